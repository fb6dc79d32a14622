"""A snapshot of a session for publishing (contract section 4). Unknown is ``None``, never zero.

Reads the rooms and changes nothing.
"""

from bridge.core import steering
from bridge.core.deck import Deck
from bridge.core.messages import State


def snapshot(deck: Deck, now_s: float) -> State:
    """What everybody may see now."""
    belt, drive, run = deck.belt, deck.drive, deck.run
    totals = deck.session.totals if deck.session.id is not None else None
    prompt = deck.prompts.open
    running = deck.session.running
    return State(
        link="up" if belt.link_up else "down",
        stale=belt.link_up and not belt.fresh(now_s),
        phase=deck.session.phase,
        direction=run.segment.direction if run is not None and running else None,
        requested_speed_kmh=drive.requested_speed_kmh,
        target_speed_kmh=drive.cleared_speed_kmh if running else None,
        acknowledged_speed_kmh=belt.acknowledged_speed_kmh,
        speed_kmh=belt.measured_speed_kmh if belt.link_up else None,
        target_incline_pct=drive.cleared_incline_pct if running else None,
        incline_pct=belt.measured_incline_pct,
        heart_rate_bpm=deck.heart.known_bpm(now_s) or belt.heart_rate_bpm,
        distance_m=None if totals is None else round(totals.distance_m, 1),
        backward_distance_m=None if totals is None else round(totals.backward_distance_m, 1),
        elapsed_s=None if totals is None else round(totals.elapsed_s, 1),
        backward_time_s=None if totals is None else round(totals.backward_time_s, 1),
        energy_kcal=None,
        energy_low_kcal=None,
        energy_high_kcal=None,
        program=None if run is None else run.program.id,
        walker=deck.who.id,
        segment=None
        if run is None or not running
        else min(run.index + 1, len(run.program.segments)),
        segments=None if run is None else len(run.program.segments),
        segment_remaining_s=None if run is None or not running else round(run.remaining_s, 1),
        next_change=steering.next_change(deck),
        prompt=None if prompt is None else prompt.public(),
        safety_key=belt.key,
        problem=deck.problem,
        session=deck.session.id,
    )
