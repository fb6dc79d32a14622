"""Turning round on the belt (S13): slow, ask, wait for the person, go on.

    SLOWING ── at most 1.0 km/h, incline 0 ──▶ ASKED ── confirmed ──▶ CONFIRMED ── least time ──▶ on
       │                                        ▲   └── 60 s without an answer ──▶ stop
       └── the machine cannot go that slow, ──▶ HALTING (at rest) ──▶ ASKED ── confirmed ──▶
           or the level turns at rest           AWAITING_START ── Start at the console ──▶ on

Nothing faster than 1.0 km/h and no incline move until it is confirmed. Refuses to know what comes
after the turn.
"""

from collections.abc import Mapping

from bridge.core import stopping
from bridge.core.deck import Deck, HaltGoal, TurnStep
from bridge.core.governor import TURN_MAX_KMH, reachable_kmh
from bridge.core.messages import Direction, EventType, Reason
from bridge.core.prompts import PromptKind

TURN_TRANSITIONS: Mapping[tuple[TurnStep, str], TurnStep] = {
    (TurnStep.SLOWING, "slow and level"): TurnStep.ASKED,
    (TurnStep.SLOWING, "at rest"): TurnStep.HALTING,
    (TurnStep.HALTING, "asked"): TurnStep.ASKED,
    (TurnStep.HALTING, "moving"): TurnStep.SLOWING,
    (TurnStep.ASKED, "confirmed"): TurnStep.CONFIRMED,
    (TurnStep.ASKED, "confirmed at rest"): TurnStep.AWAITING_START,
    (TurnStep.AWAITING_START, "started"): TurnStep.CONFIRMED,
}
"""Every step of a turn; anything else that happens ends in a hold or a stop."""

_SLOW_TOLERANCE_KMH = 0.05
SLOWING_TIMEOUT_S = 120.0
"""A belt that is not slow and level by then does not follow: from 10 km/h and 10 % it takes 90 s.
Some machines report an incline that means nothing (Tunturi T60), and would never be level."""

_LEVEL_PCT = 0.25  # half of the finest incline step in the captures
_DUST = 1e-9


def begin(deck: Deck, now_s: float) -> None:
    """Start slowing down for a turn."""
    deck.turn = TurnStep.SLOWING
    step(deck, now_s)


def step(deck: Deck, now_s: float) -> None:
    """One pass while the session is turning."""
    if deck.halt is not None:
        return
    match deck.turn:
        case TurnStep.SLOWING:
            _slow_down(deck, now_s)
        case TurnStep.HALTING:
            if deck.belt.moving:  # one record of zero was not the end of it
                _move(deck, "moving")
            elif not _level(deck):  # S14; it was level before the Stop, so the console did this
                stopping.begin(deck, Reason.CONSOLE_OVERRIDE.value, now_s)
            else:
                _ask(deck, now_s, "prompt.turn_at_rest")
        case TurnStep.ASKED | TurnStep.CONFIRMED if not deck.rests_for_turn:
            _keep_slow(deck, deck.drive.cleared_incline_pct, now_s)
        case _:
            pass


def _move(deck: Deck, trigger: str) -> None:
    assert deck.turn is not None  # only called from a step
    deck.turn = TURN_TRANSITIONS[deck.turn, trigger]


def turns_at_rest(deck: Deck) -> bool:
    """The level asks for it, or the machine's minimum is faster than a turn may be."""
    too_fast = deck.belt.speed_range.min_speed_kmh > TURN_MAX_KMH + _DUST
    return deck.who.level.turn_at_rest or too_fast


def _keep_slow(deck: Deck, incline_pct: float, now_s: float) -> float:
    """Drive at the speed of a turn, or slower where it is already or somebody asked for it."""
    target_kmh = min(reachable_kmh(TURN_MAX_KMH, deck.view(now_s)), deck.drive.cleared_speed_kmh)
    if deck.eased_kmh is not None:
        target_kmh = min(target_kmh, deck.eased_kmh)
    deck.drive_towards(target_kmh, incline_pct, now_s)
    return target_kmh


def _slow_down(deck: Deck, now_s: float) -> None:
    target_kmh = _keep_slow(deck, 0.0, now_s)
    level = _level(deck) and not deck.control_point.busy  # nor is a last step on its way
    if turns_at_rest(deck):
        if deck.drive.cleared_speed_kmh <= target_kmh + _DUST and level:
            stopping.begin(deck, "turn", now_s, goal=HaltGoal.TURN)
        return
    measured_kmh = deck.belt.measured_speed_kmh
    slow = measured_kmh is not None and measured_kmh <= TURN_MAX_KMH + _SLOW_TOLERANCE_KMH
    if slow and level and deck.belt.fresh(now_s):
        _ask(deck, now_s, "prompt.turn")
    elif deck.run is not None and deck.run.segment_elapsed_s >= SLOWING_TIMEOUT_S:
        stopping.begin(deck, Reason.NOT_FOLLOWING.value, now_s)


def _level(deck: Deck) -> bool:
    """S14: incline is 0 before a turn, cleared and, where it is told, measured."""
    incline_pct = deck.belt.measured_incline_pct
    told = incline_pct is None or abs(incline_pct) < _LEVEL_PCT
    return abs(deck.drive.cleared_incline_pct) <= _DUST and told


def _ask(deck: Deck, now_s: float, phrase: str) -> None:
    _move(deck, "asked" if deck.turn is TurnStep.HALTING else "slow and level")
    prompt = deck.ask(PromptKind.TURN, phrase, now_s, {"direction": _next_direction(deck)})
    deck.event(EventType.TURN_REQUESTED, now_s, prompt=prompt.id)


def started(deck: Deck, now_s: float) -> None:
    """The belt runs again, slowly, after a turn at rest."""
    deck.drive.adopt(deck.belt, now_s)
    _move(deck, "started")


def _next_direction(deck: Deck) -> str:
    """How to stand after the turn, in the walker's language."""
    following = None if deck.run is None else deck.run.next_segment
    direction = Direction.FORWARD if following is None else following.direction
    return deck.announcements.compose(f"direction.{direction.value}", {})


def confirmed(deck: Deck, now_s: float) -> None:
    """The person says that they stand in the new direction."""
    at_rest = turns_at_rest(deck)
    _move(deck, "confirmed at rest" if at_rest else "confirmed")
    deck.event(EventType.TURN_CONFIRMED, now_s)
    if at_rest:
        deck.waiting_since_s = now_s
        deck.say("announce.press_start", now_s)
