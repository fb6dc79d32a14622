"""Holding: the machine keeps its speed, the program stands still, a person decides (S8, S10, S11).

Nothing is written while a session holds, except what makes the belt slower. When the reason for the
hold is over, the walker is asked; only their confirmation lets the program go on, from the speed
that the belt then runs.
"""

from bridge.core import stopping
from bridge.core.deck import TARGETS, Deck, TurnStep
from bridge.core.messages import Direction, EventType, Outcome, Phase, Reason, Urgency
from bridge.core.prompts import PromptKind
from bridge.core.session import Trigger

GIVES_UP_S = 120.0
"""How long a hold may last in which nothing can be asked (no link, no data, no steady belt)."""

STEADY_S = 2.0
"""How long the belt must keep its speed before the walker is asked: going on from a belt that is
still on its way to a speed of the console's would take the rest of the way for a runaway."""

PHRASES = {
    Reason.CONSOLE_OVERRIDE: "announce.console_override",
    Reason.STALE_DATA: "announce.stale",
    Reason.LINK_DOWN: "announce.link_lost",
    Reason.CONTROL_LOST: "announce.control_lost",
    Reason.NOT_FOLLOWING: "announce.not_following",
    Reason.REFUSED_BY_MACHINE: "announce.refused",
}
ALARMS = frozenset({Reason.STALE_DATA, Reason.LINK_DOWN})


def begin(deck: Deck, reason: Reason, now_s: float, **data: object) -> None:
    """Stop driving and say why; a session that holds already does so for the newer reason."""
    if deck.session.phase is not Phase.HOLDING and not deck.session.move(Trigger.HOLD):
        return
    deck.prompts.withdraw()
    deck.changes.clear()
    deck.control_point.forget_targets()
    deck.close(TARGETS, Outcome.REJECTED, reason)
    deck.halt = deck.turn = deck.slower_kmh = None
    deck.problem = reason
    deck.waiting_since_s = now_s
    deck.event(EventType.HOLDING, now_s, reason=reason.value, **data)
    urgency = Urgency.ALARM if reason in ALARMS else Urgency.WARN
    deck.say(PHRASES.get(reason, "announce.hold"), now_s, urgency=urgency)


def step(deck: Deck, now_s: float) -> None:
    """One pass while the session holds: ask as soon as there is something to go on with."""
    if deck.slower_kmh is not None:
        _slower(deck, deck.slower_kmh, now_s)
    if deck.prompts.open is not None:
        deck.waiting_since_s = now_s
        if not deck.belt.steady(STEADY_S):
            deck.prompts.withdraw()
    elif _settled(deck, now_s):
        deck.ask(PromptKind.RESUME, "prompt.resume", now_s)
    elif now_s - deck.waiting_since_s >= GIVES_UP_S:
        _nothing_to_ask(deck, now_s)


def _settled(deck: Deck, now_s: float) -> bool:
    """The belt runs, and has kept its speed since the hold began: no change of it is to come."""
    long_enough = now_s - deck.waiting_since_s >= STEADY_S
    return long_enough and deck.belt.steady(STEADY_S) and not_now(deck, now_s) is None


def not_now(deck: Deck, now_s: float) -> Reason | None:
    """Why nobody may let the program go on at this moment, whatever they answer."""
    if not deck.belt.link_up:
        return Reason.LINK_DOWN
    if not deck.belt.fresh(now_s):
        return Reason.STALE_DATA
    return None if deck.belt.moving else Reason.BELT_AT_REST


def _nothing_to_ask(deck: Deck, now_s: float) -> None:
    """S18: a hold that cannot be left ends the session, and the belt where it can be reached."""
    if deck.belt.link_up:
        given_up(deck, now_s, (deck.problem or Reason.STALE_DATA).value)
    else:
        stopping.end(deck, Reason.LINK_DOWN.value, now_s)


def _slower(deck: Deck, speed_kmh: float, now_s: float) -> None:
    """Slower always passes, even now; what it leads to is the belt's new speed to hold."""
    drive = deck.drive
    if speed_kmh < drive.cleared_speed_kmh:
        deck.drive_towards(speed_kmh, drive.cleared_incline_pct, now_s)


def release(deck: Deck, now_s: float) -> None:
    """The walker says go on. The program resumes from the speed that the belt runs now."""
    run = deck.run
    assert run is not None  # a session that holds has a program
    deck.drive.adopt(deck.belt, now_s)
    if not deck.belt.control_held:
        deck.control_point.want_control()
    turning = run.segment.direction is Direction.TURN
    deck.session.move(Trigger.RELEASE_INTO_TURN if turning else Trigger.RELEASE)
    deck.turn = TurnStep.SLOWING if turning else None
    deck.changes.clear()
    deck.slower_kmh = deck.problem = deck.rest_since_s = None
    deck.event(EventType.RESUMED, now_s, speed_kmh=deck.drive.cleared_speed_kmh)


def given_up(deck: Deck, now_s: float, reason: str = "not_confirmed") -> None:
    """S18: nobody answered. Walk down from the speed that the belt runs now, and stop."""
    deck.drive.adopt(deck.belt, now_s)
    stopping.begin(deck, reason, now_s)
