"""Bringing the belt to rest: for the end, a pause, or a turn (S7, S13, S18).

*stop* walks the belt down the level's ramp to the machine's minimum and then sends Stop; *stop now*
sends Stop at once. Either way Stop is repeated until the measured speed falls, and the end is one
of two words: at rest, or unknown. Anything that spoils the walk-down (no data, no control, a belt
that does not slow, a machine that says no) turns it into a Stop at once.
"""

from typing import assert_never

from bridge.core.belt import STALE_AFTER_S
from bridge.core.deck import TARGETS, Deck, Halt, HaltGoal, TurnStep
from bridge.core.governor import adoption_max_kmh, reachable_kmh
from bridge.core.messages import EventType, Outcome, Phase, Reason, Urgency, Verb
from bridge.core.session import Trigger

STOP_REPEAT_S = 1.0
"""S7: Stop is written again this long after the last while the belt does not slow down."""

NOT_SLOWING_S = 3.0
"""A walk-down that has not slowed the belt in this time becomes a Stop."""

STOP_CONFIRM_S = 30.0
"""A belt that does not stand this long after Stop has not obeyed: the outcome is unknown, and an
alarm."""

START_TAKES_S = 6.0
"""How long a belt may still stand after Start (consoles count down from three, and data come once
a second): in this time a standing belt is no sign that it stays so."""

STANDS_PERIODS = 1.2
"""For how many of the machine's periods rest must go uncontradicted: a single record of zero may
lie (Merach sends such, QZ horizontreadmill.cpp:2891)."""

FLOOR_TOLERANCE_KMH = 0.2
FINISHED = "finished"
"""The reason of an end that the program came to by itself, and has announced."""

_GOALS = (HaltGoal.TURN, HaltGoal.PAUSE, HaltGoal.END)  # the later overrules the earlier
_PHRASES = {HaltGoal.END: "announce.stopping", HaltGoal.PAUSE: "announce.paused"}
_DUST = 1e-9


def begin(
    deck: Deck,
    reason: str,
    now_s: float,
    *,
    at_once: bool = False,
    goal: HaltGoal = HaltGoal.END,
) -> None:
    """Start bringing the belt to rest, or make a gentler way already begun more urgent."""
    halt = deck.halt
    if halt is None:
        halt = deck.halt = Halt(
            goal=goal,
            reason=reason,
            began_at_s=now_s,
            slowest_kmh=deck.belt.measured_speed_kmh,
            slowest_at_s=now_s,
        )
        if deck.session.phase in {Phase.HOLDING, Phase.PAUSED}:
            deck.drive.adopt(deck.belt, now_s)  # nobody has steered it for a while
        deck.drive.change_due(now_s)
        news = goal is not HaltGoal.TURN
    else:
        news = _GOALS.index(goal) > _GOALS.index(halt.goal)
        if news:
            halt.goal, halt.reason = goal, reason
    halt.at_once = halt.at_once or at_once
    if news:
        _leave_everything(deck)
        deck.session.move(Trigger.STOP)
        deck.event(EventType.STOP_REQUESTED, now_s, reason=reason, now=at_once)
        if reason != FINISHED:
            deck.say(_PHRASES[goal], now_s, urgency=Urgency.WARN)
    step(deck, now_s)


def _leave_everything(deck: Deck) -> None:
    """Whatever was planned is over. What a person eased to stays until the session ends."""
    deck.prompts.withdraw()
    deck.changes.clear()
    deck.turn = None
    deck.close(TARGETS | {Verb.START}, Outcome.REJECTED, Reason.SUPERSEDED)


def step(deck: Deck, now_s: float) -> None:
    """Go on with it; called with every measurement and every tick."""
    halt = deck.halt
    if halt is None:
        return
    _note_slowest(deck, halt, now_s)
    if stands(deck, now_s):
        _at_rest(deck, halt, now_s)
        return
    if halt.at_once or not deck.belt.link_up or _walked_down(deck, halt, now_s):
        halt.at_once = True
        if halt.waiting_since_s is None:
            halt.waiting_since_s = now_s
        if deck.belt.link_up:
            _write_stop(deck, halt, now_s)
        if now_s - halt.waiting_since_s >= STOP_CONFIRM_S - _DUST:
            _not_obeyed(deck, halt, now_s)


def stands(deck: Deck, now_s: float) -> bool:
    """The belt is measured at rest, and no start is under way that it has yet to follow."""
    belt = deck.belt
    starting = now_s - deck.started_at_s < START_TAKES_S
    stood_s = now_s - belt.steady_since_s
    settled = stood_s >= STANDS_PERIODS * belt.period_s - _DUST
    if belt.at_rest and belt.fresh(now_s) and settled and not starting:
        return True
    return _fell_silent(deck, now_s)


def _fell_silent(deck: Deck, now_s: float) -> bool:
    """Some machines say nothing once they stand: silence after a Stop they took means rest."""
    halt, age_s = deck.halt, deck.belt.data_age_s(now_s)
    if not deck.quirks.silent_at_rest or halt is None or not halt.taken or age_s is None:
        return False
    return deck.belt.link_up and age_s >= max(STALE_AFTER_S, deck.quirks.rest_silence_s)


def taken(deck: Deck) -> None:
    """The machine said yes to Stop."""
    if deck.halt is not None and deck.halt.stop_sent_at_s is not None:
        deck.halt.taken = True


def _note_slowest(deck: Deck, halt: Halt, now_s: float) -> None:
    measured_kmh = deck.belt.measured_speed_kmh
    if measured_kmh is None:
        return
    if halt.slowest_kmh is None or measured_kmh < halt.slowest_kmh - _DUST:
        halt.slowest_kmh, halt.slowest_at_s = measured_kmh, now_s


def _walked_down(deck: Deck, halt: Halt, now_s: float) -> bool:
    """Take the next step down; true when it is time for Stop."""
    drive, belt = deck.drive, deck.belt
    if deck.session.phase not in {Phase.STOPPING, Phase.TURNING} or not belt.fresh(now_s):
        return True
    tried_s = now_s - max(drive.written_at_s, halt.began_at_s)
    if deck.control_point.busy and tried_s >= NOT_SLOWING_S:
        return True  # the next step cannot leave: no control, or no answer to what is open
    measured_kmh = belt.measured_speed_kmh or 0.0
    floor_kmh = reachable_kmh(0.0, deck.view(now_s))
    if drive.cleared_speed_kmh <= floor_kmh + _DUST:
        settled = measured_kmh <= floor_kmh + FLOOR_TOLERANCE_KMH
        return settled or now_s - drive.written_at_s >= NOT_SLOWING_S
    if measured_kmh > drive.cleared_speed_kmh + _DUST and (
        now_s - max(halt.slowest_at_s, halt.began_at_s) >= NOT_SLOWING_S
    ):
        return True
    deck.drive_towards(floor_kmh, drive.cleared_incline_pct, now_s)
    return False


def _write_stop(deck: Deck, halt: Halt, now_s: float) -> None:
    """S7: now, and again until the measured speed falls."""
    sent_at_s = halt.stop_sent_at_s
    if sent_at_s is not None:
        due = now_s - sent_at_s >= STOP_REPEAT_S - _DUST
        slowing = deck.belt.fresh(now_s) and now_s - halt.slowest_at_s < 2 * STOP_REPEAT_S
        if not due or (slowing and halt.slowest_at_s > sent_at_s):
            return
    halt.stop_sent_at_s = now_s
    deck.control_point.want_stop(pause=halt.goal is HaltGoal.PAUSE)


def without_control(deck: Deck) -> None:
    """The machine obeys only who holds control: ask for it, and stop as soon as it is given."""
    if deck.halt is not None:
        deck.control_point.want_control()


def control_given(deck: Deck) -> None:
    """Control has come: the Stop that was turned away goes out again, once, without waiting."""
    halt = deck.halt
    if halt is not None and not halt.control_asked:
        halt.control_asked = True
        halt.stop_sent_at_s = None


def _at_rest(deck: Deck, halt: Halt, now_s: float) -> None:
    deck.halt = None
    deck.drive.at_rest()
    deck.control_point.forget_targets()
    deck.event(EventType.BELT_STOPPED, now_s, reason=halt.reason)
    deck.close({Verb.STOP, Verb.PAUSE}, Outcome.CONFIRMED)
    match halt.goal:
        case HaltGoal.END:
            end(deck, halt.reason, now_s)
        case HaltGoal.PAUSE:
            pause(deck, "asked", now_s)
        case HaltGoal.TURN:
            deck.turn = TurnStep.HALTING
            # What may be started again; anything faster is a runaway.
            most_kmh = adoption_max_kmh(deck.who.level, deck.belt.speed_range)
            deck.drive.watch.adopt(most_kmh, now_s)
        case _:
            assert_never(halt.goal)


def _not_obeyed(deck: Deck, halt: Halt, now_s: float) -> None:
    """S7: never silence. The walker hears it, the asker is told that nobody knows.

    The belt is told to stop for as long as it takes, but over a lost link nothing can be told: the
    session ends, and whatever the machine does when it comes back is not this session's.
    """
    reason = Reason.UNKNOWN_OUTCOME if deck.belt.link_up else Reason.LINK_DOWN
    if not halt.alarmed:
        halt.alarmed = True
        deck.problem = reason
        deck.say("announce.stop_unknown", now_s, urgency=Urgency.ALARM)
        deck.close({Verb.STOP, Verb.PAUSE}, Outcome.UNKNOWN, reason)
    if not deck.belt.link_up:
        end(deck, reason.value, now_s)


def pause(deck: Deck, by: str, now_s: float) -> None:
    """The belt stands, or comes to, and the session waits for the console's Start."""
    if not deck.session.move(Trigger.PAUSED):
        return
    _leave_everything(deck)
    deck.halt = None
    deck.drive.at_rest()
    deck.waiting_since_s = now_s
    deck.too_fast_said = False
    deck.stood = deck.belt.at_rest
    deck.event(EventType.PAUSED, now_s, by=by)
    deck.say("announce.stopped" if deck.belt.at_rest else "announce.paused", now_s)


def end(deck: Deck, reason: str, now_s: float, *, by_machine: bool = False) -> None:
    """S9, S18: the session is over; nothing more goes out until a person arms again."""
    had_session = deck.session.running
    trigger = Trigger.MACHINE_STOPPED if by_machine else Trigger.AT_REST
    if not deck.session.move(trigger):
        deck.session.move(Trigger.STOP)
        deck.session.move(Trigger.AT_REST)
    _leave_everything(deck)
    deck.eased_kmh = deck.eased_pct = None
    deck.halt = None
    deck.drive.at_rest()
    deck.control_point.forget_targets()
    if had_session:
        deck.event(EventType.SESSION_ENDED, now_s, **summary(deck, reason))
        if deck.belt.at_rest and deck.belt.fresh(now_s):  # never said of a belt nobody sees stand
            deck.say("announce.stopped", now_s)
    deck.run = None
    deck.problem = None
    deck.tether_confirmed = False


def summary(deck: Deck, reason: str | None) -> dict[str, object]:
    """The session so far, as `session_ended` and the retained session topic carry it."""
    run = deck.run
    return {
        "reason": reason,
        "program": None if run is None else run.program.id,
        "walker": deck.who.id,
        "level": deck.who.level.id,
        "segments": None if run is None else len(run.program.segments),
        "segments_done": None if run is None else run.index,
        **deck.session.totals.summary(),
    }
