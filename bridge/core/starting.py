"""Taking over a belt that somebody started at the console (S2).

Nothing is sent here. An armed or paused session looks for a belt that has come to run steadily, at
no more than 1.0 km/h or the machine's own minimum, and adopts that speed as its own.
"""

from bridge.core import steering, stopping, turning
from bridge.core.deck import Deck, TurnStep
from bridge.core.governor import adoption_max_kmh
from bridge.core.messages import Direction, EventType, Phase, Urgency
from bridge.core.session import Trigger

START_TOLERANCE_KMH = 0.05

STEADY_START_S = 2.0
"""How long a started belt must keep its speed, by its own measurements: one that still spins up is
not adopted midway."""

TURN_START_WAIT_S = 120.0
"""How long a confirmed turn at rest waits for the console's Start before the session ends."""


def step(deck: Deck, now_s: float) -> None:
    """One pass while a session is armed or paused."""
    # A belt that is only just coming to a pause has not been started again.
    ready = deck.stood if deck.session.phase is Phase.PAUSED else deck.tether_confirmed
    if not ready:
        return
    match slow_start(deck, now_s):
        case True:
            _begin_driving(deck, now_s)
        case False if not deck.too_fast_said:
            deck.too_fast_said = True
            deck.say("announce.too_fast", now_s, urgency=Urgency.ALARM)
        case _:
            pass


def step_in_turn(deck: Deck, now_s: float) -> None:
    """One pass while a turn at rest waits for the console's Start."""
    if slow_start(deck, now_s):
        turning.started(deck, now_s)
    elif now_s - deck.waiting_since_s >= TURN_START_WAIT_S:
        stopping.begin(deck, "not_started", now_s)


def slow_start(deck: Deck, now_s: float) -> bool | None:
    """Whether the belt has been started slowly enough to adopt; ``None``: it has not started."""
    belt, measured_kmh = deck.belt, deck.belt.measured_speed_kmh
    if measured_kmh is None or not belt.moving or not belt.fresh(now_s):
        return None
    if not belt.steady(STEADY_START_S):
        return None
    limit_kmh = adoption_max_kmh(deck.who.level, belt.speed_range)
    return measured_kmh <= limit_kmh + START_TOLERANCE_KMH


def _begin_driving(deck: Deck, now_s: float) -> None:
    run = deck.run
    assert run is not None  # armed and paused sessions have a program
    begins = deck.session.phase is Phase.ARMED
    deck.session.move(Trigger.ADOPT)
    deck.belt.key = "in"
    deck.drive.adopt(deck.belt, now_s)
    deck.rest_since_s = None
    deck.session.counted_at_s = now_s
    if begins:
        _begin_session(deck, now_s)
    else:
        deck.event(EventType.RESUMED, now_s, speed_kmh=deck.drive.cleared_speed_kmh)
    if run.segment.direction is Direction.TURN:
        deck.session.move(Trigger.TURN)
        deck.turn = TurnStep.SLOWING


def _begin_session(deck: Deck, now_s: float) -> None:
    run = deck.run
    assert run is not None  # armed sessions have a program
    deck.session.id = deck.settings.new_session_id()
    deck.event(
        EventType.SESSION_STARTED,
        now_s,
        program=run.program.id,
        walker=run.walker.id,
        level=run.walker.level.id,
        segments=len(run.program.segments),
        speed_kmh=deck.drive.cleared_speed_kmh,
    )
    steering.enter_segment(deck, now_s)
