"""`core.starting`: a belt that somebody started is taken over, slowly and once (S2)."""

import pytest

from bridge.core import ftms
from bridge.core.messages import EventType, Notification, OpCode, Phase, Reading, Source, Verb
from bridge.simulator.belt import BeltSpec
from tests.core.conftest import Walking
from tests.judged import JudgedWalk
from tests.virtual import Walk, program, stretch

LONG = program(stretch("forward", 1.5, 600.0))


def armed(connected: Walking, **values: object) -> JudgedWalk:
    """A walk that waits for Start."""
    walk = connected(configured=LONG, presses_start=None, **values)
    walk.ask(Verb.ARM)
    walk.run_for(10.0)
    return walk


def paused(walking: Walking) -> JudgedWalk:
    """A walk at rest in a pause."""
    walk = walking(configured=LONG)
    walk.ask(Verb.PAUSE)
    walk.run_to(Phase.PAUSED, 60)
    walk.run_for(2.0)
    return walk


def test_nothing_is_taken_over_before_the_tether_is_confirmed(connected: Walking) -> None:
    """The belt runs at 0.5 and the tether's question is open: armed, no session."""
    walk = connected(configured=LONG, answers=30.0, presses_start=None)
    walk.ask(Verb.ARM)
    walk.at_console(walk.server.press_start)
    walk.run_for(20.0)
    assert walk.state.phase is Phase.ARMED
    walk.run_to(Phase.MOVING, 20)


def test_the_session_begins_with_the_adopted_speed(connected: Walking) -> None:
    """Two seconds of a steady belt; the event says from which speed, and nothing was written."""
    walk = armed(connected)
    walk.at_console(walk.server.console_speed, 0.8)
    pressed_s = walk.now_s
    walk.run_to(Phase.MOVING, 20)
    started = walk.event(EventType.SESSION_STARTED)
    assert started.data["speed_kmh"] == 0.8
    assert started.session == "session-1"
    assert walk.now_s - pressed_s >= 1.0 + 1.6 + 2.0 - 0.5
    assert walk.targets() == []
    assert walk.state.safety_key == "in"


@pytest.mark.parametrize(("speed_kmh", "adopted"), [(1.0, True), (1.05, True), (1.1, False)])
def test_the_limit_is_one_kilometre_an_hour(
    connected: Walking,
    speed_kmh: float,
    adopted: bool,
) -> None:
    """At and just below the limit (with the rounding of a record) and above it."""
    walk = armed(connected)
    for _ in range(6):
        walk.now_s += 1.0
        walk.give(Notification(0x2ACD, ftms.encode_treadmill_data(Reading(speed_kmh=speed_kmh))))
    assert (walk.state.phase is Phase.MOVING) is adopted


def test_one_slow_record_is_not_a_steady_belt(connected: Walking) -> None:
    """However long it was ago: what counts is what the records say."""
    walk = armed(connected)
    walk.give(Notification(0x2ACD, ftms.encode_treadmill_data(Reading(speed_kmh=0.5))))
    for _ in range(8):
        walk.now_s += 0.25
        walk._carry_out(walk.pilot.tick(walk.now_s))
    assert walk.state.phase is Phase.ARMED


def test_a_belt_that_is_slowed_at_the_console_is_taken_over(connected: Walking) -> None:
    """Told once that it is too fast, however long it takes."""
    walk = armed(connected)
    walk.at_console(walk.server.console_speed, 2.0)
    walk.run_for(30.0)
    walk.at_console(walk.server.console_speed, 0.9)
    walk.run_to(Phase.MOVING, 10)
    assert sum(text.startswith("The belt is too fast") for text in walk.phrases()) == 1


def test_nobody_starts_for_five_minutes(connected: Walking) -> None:
    """The arming is taken back."""
    walk = armed(connected)
    began_s = walk.now_s
    walk.run_to(Phase.IDLE, 310)
    assert walk.now_s - began_s >= 290.0
    assert walk.event(EventType.DISARMED).data["reason"] == "not_started"


def test_a_pause_ends_with_the_consoles_start(walking: Walking) -> None:
    """The same session, the same segment; what the person had eased to stays."""
    walk = walking(configured=LONG)
    walk.run_until(lambda each: each.state.speed_kmh == 1.5, 60)
    walk.ask(Verb.SPEED, speed_kmh=1.2)
    walk.run_until(lambda each: each.state.speed_kmh == 1.2, 60)
    walk.ask(Verb.PAUSE)
    walk.run_to(Phase.PAUSED, 60)
    walk.run_for(5.0)
    walk.at_console(walk.server.press_start)
    walk.run_to(Phase.MOVING, 10)
    assert walk.event(EventType.RESUMED).data["speed_kmh"] == 0.5
    assert walk.types.count("session_started") == 1
    walk.run_for(60.0)
    assert walk.state.speed_kmh == 1.2


def test_a_belt_that_coasts_into_a_pause_is_not_a_start(walking: Walking) -> None:
    """Paused at the console on a machine that takes its time: it has to have stood first."""
    walk = walking(configured=LONG, spec=BeltSpec(deceleration_kmh_per_s=0.03))
    walk.run_for(5.0)
    walk.at_console(walk.server.press_pause)
    walk.run_for(10.0)
    assert walk.server.belt.speed_kmh > 0.05
    assert walk.state.phase is Phase.PAUSED
    walk.run_until(lambda each: each.server.belt.speed_kmh == 0, 30)
    walk.run_for(3.0)
    walk.at_console(walk.server.press_start)
    walk.run_to(Phase.MOVING, 10)


def test_a_pause_says_again_that_a_belt_is_too_fast(walking: Walking) -> None:
    """Once for each pause, and it is taken over when it is slowed."""
    walk = paused(walking)
    walk.at_console(walk.server.console_speed, 2.0)
    walk.run_for(20.0)
    assert walk.state.phase is Phase.PAUSED
    assert sum(text.startswith("The belt is too fast") for text in walk.phrases()) == 1
    walk.at_console(walk.server.console_speed, 1.0)
    walk.run_to(Phase.MOVING, 10)


def test_a_pause_does_not_last_for_ever(walking: Walking) -> None:
    """A quarter of an hour; the belt stands already."""
    walk = paused(walking)
    walk.run_for(880.0)
    assert walk.state.phase is Phase.PAUSED
    walk.run_to(Phase.ENDED, 20)
    assert walk.event(EventType.SESSION_ENDED).data["reason"] == "not_resumed"


def test_a_pause_in_a_turn_goes_on_with_the_turn(walking: Walking) -> None:
    """The question is asked again after Start."""
    made = program(
        stretch("forward", 1.0, 30.0), stretch("turn", 1.0, 45.0), stretch("backward", 1.0, 60.0)
    )
    walk = walking(configured=made)
    walk.run_until(lambda each: "turn_requested" in each.types, 60)
    walk.ask(Verb.PAUSE, Source.PAGE)
    walk.run_to(Phase.PAUSED, 30)
    walk.run_for(3.0)
    walk.at_console(walk.server.press_start)
    walk.run_until(lambda each: each.types.count("turn_requested") == 2, 30)
    assert walk.state.phase is Phase.TURNING


def test_a_session_can_begin_with_a_turn(connected: Walking) -> None:
    """No program that is shipped does; one that did would be asked about first."""
    walk: Walk = connected(
        configured=program(stretch("turn", 1.0, 20.0), stretch("backward", 1.0, 60.0))
    )
    walk.ask(Verb.ARM)
    walk.run_until(lambda each: "turn_requested" in each.types, 40)
    assert walk.state.phase is Phase.TURNING


def test_a_turn_at_rest_waits_for_start_but_not_for_ever(walking: Walking) -> None:
    """Taken over when somebody starts the belt slowly; nobody does: the end."""
    made = program(
        stretch("forward", 1.0, 30.0),
        stretch("turn", 1.0, 30.0),
        stretch("backward", 1.0, 60.0),
        level="CARE",
    )
    started = walking("CARE", configured=made)
    started.run_until(lambda each: each.state.segment == 3, 200)
    assert started.sent(OpCode.START_OR_RESUME) == []
    waiting = walking("CARE", configured=made)
    waiting.presses_start = None
    waiting.run_to(Phase.ENDED, 300)
    assert waiting.event(EventType.SESSION_ENDED).data["reason"] == "not_started"
