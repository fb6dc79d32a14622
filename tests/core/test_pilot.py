"""`core.pilot`: the doors, time, and the link."""

import pytest

from bridge.core.control_point import PROCEDURE_TIMEOUT_S
from bridge.core.messages import (
    ControlPointWrite,
    EventType,
    LinkDown,
    Notification,
    Outcome,
    Phase,
    Source,
    Verb,
    WriteOutcome,
)
from bridge.core.pilot import IDLE_TICK_S, LONGEST_TICK_S, TICK_S, Pilot
from tests.core.conftest import Walking
from tests.virtual import program, settings, stretch

LONG = program(stretch("forward", 2.0, 600.0))


def test_a_pilot_alone_is_idle_and_silent() -> None:
    """No link: nothing to say, nothing to write, and no hurry."""
    pilot = Pilot(settings())
    assert pilot.tick(10.0) == []
    assert pilot.next_wakeup_s(10.0) == 10.0 + IDLE_TICK_S
    assert pilot.state(10.0).link == "down"
    assert pilot.at_rest
    assert pilot.receive(LinkDown(), 11.0) == []


def test_the_pilot_wakes_up_oftener_when_there_is_something_to_do(walking: Walking) -> None:
    """A running session, and an open procedure's own time."""
    walk = walking(configured=LONG)
    walk.run_until(lambda each: each.state.speed_kmh == 2.0, 120)
    assert walk.pilot.next_wakeup_s(walk.now_s) == walk.now_s + TICK_S
    walk.ask(Verb.PAUSE)
    walk.run_to(Phase.PAUSED, 60)
    assert walk.pilot.next_wakeup_s(walk.now_s) <= walk.now_s + TICK_S


def test_an_overdue_procedure_wakes_the_pilot_at_once(connected: Walking) -> None:
    """Never in the past."""
    walk = connected(presses_start=None, faults=("no-indication",))
    walk.ask(Verb.ARM, program="first-minute")
    walk.run_for(6.1)
    late_s = walk.now_s + 2 * PROCEDURE_TIMEOUT_S
    assert walk.pilot.next_wakeup_s(late_s) == late_s


def test_bytes_that_mean_nothing_are_counted_and_not_raised(connected: Walking) -> None:
    """Nothing from outside can raise in the pilot."""
    walk = connected()
    for payload in (b"", b"\x01", b"\x80"):
        walk.give(Notification(0x2AD9, payload))
    assert walk.pilot.malformed_notifications >= 2
    walk.give(WriteOutcome(write_id=99, error="nobody asked"))


def test_a_sleeping_computer_does_not_move_the_program_on(walking: Walking) -> None:
    """An hour between two ticks is at most a second and a half of the program."""
    walk = walking(configured=LONG)
    walk.run_for(5.0)
    before_s = walk.state.segment_remaining_s
    assert before_s is not None
    walk.pilot.deck.belt.measured_at_s = walk.now_s + 3600.0
    walk.pilot.tick(walk.now_s + 3600.0)
    after_s = walk.pilot.deck.run.remaining_s if walk.pilot.deck.run else 0.0
    assert before_s - after_s <= LONGEST_TICK_S + 0.3


def test_a_clock_that_goes_back_does_not_take_time_back(walking: Walking) -> None:
    """Time passes forward or not at all."""
    walk = walking(configured=LONG)
    walk.run_for(5.0)
    before_s = walk.state.segment_remaining_s
    walk.pilot.tick(walk.now_s - 2.0)
    assert walk.pilot.state(walk.now_s).segment_remaining_s == before_s


def test_a_stop_leaves_before_everything_else_of_the_moment(walking: Walking) -> None:
    """S7: its write is the first of the outputs, whatever was decided together with it."""
    walk = walking(configured=LONG)
    walk.run_until(lambda each: each.state.speed_kmh == 2.0, 120)
    outputs = walk.pilot.receive(walk.command(Verb.STOP, now=True), walk.now_s)
    assert isinstance(outputs[0], ControlPointWrite)
    assert outputs[0].payload == b"\x08\x01"


def test_control_is_asked_for_again_when_nobody_answered(walking: Walking) -> None:
    """The first request was lost: every five seconds another, and then the program goes on."""
    walk = walking(configured=LONG, faults=("no-indication",))
    walk.run_for(21.0)
    asked = [at_s for at_s, payload in walk.writes if payload == b"\x00"]
    assert len(asked) >= 4
    assert walk.targets() == []
    walk.server.clear_faults(walk.now_s)
    walk.run_until(lambda each: each.state.speed_kmh == 2.0, 120)


def test_a_link_that_is_told_lost_twice_is_lost_once(walking: Walking) -> None:
    """One event, one alarm."""
    walk = walking(configured=LONG)
    walk.disconnect()
    walk.give(LinkDown(detail="again"))
    assert walk.types.count("link_lost") == 1
    assert walk.types.count("holding") == 1


def test_a_new_link_without_the_loss_of_the_old_one_is_both(walking: Walking) -> None:
    """S11: held all the same, and nothing is sent before somebody says go on."""
    walk = walking(configured=LONG)
    walk.run_until(lambda each: each.state.speed_kmh == 2.0, 120)
    walk.answers = None
    count = len(walk.writes)
    walk.connect()
    walk.run_for(20.0)
    assert walk.state.phase is Phase.HOLDING
    assert walk.types.count("link_lost") == walk.types.count("link_restored") == 1
    assert len(walk.writes) == count


def test_a_link_lost_without_a_session_is_not_on_the_record(connected: Walking) -> None:
    """It shows in the state."""
    walk = connected()
    walk.disconnect()
    walk.connect()
    assert walk.types == []


def test_a_link_lost_and_found_is_on_the_record(walking: Walking) -> None:
    """Both, and both are said."""
    walk = walking(configured=LONG)
    walk.disconnect()
    walk.run_for(2.0)
    walk.connect()
    assert walk.types.count("link_lost") == walk.types.count("link_restored") == 1
    assert any(text.startswith("Connection lost.") for text in walk.phrases())
    assert walk.phrases()[-1] == "Connected again. Nothing changes until you say so."
    assert walk.event(EventType.LINK_LOST).data == {"detail": "test"}


def test_a_link_lost_in_a_pause_holds(walking: Walking) -> None:
    """S11: a pause does not go on by itself over a lost link."""
    walk = walking(configured=LONG)
    walk.ask(Verb.PAUSE)
    walk.run_to(Phase.PAUSED, 60)
    walk.disconnect()
    assert walk.state.phase is Phase.HOLDING
    walk.connect()
    walk.run_to(Phase.ENDED, 10)
    assert walk.event(EventType.SESSION_ENDED).data["reason"] == "link_down"


def test_the_summary_of_the_running_session(walking: Walking) -> None:
    """What the retained session topic carries."""
    walk = walking(configured=LONG)
    walk.run_for(30.0)
    summary = walk.pilot.summary()
    assert summary["reason"] is None
    assert summary["program"] == "made"
    assert (summary["segments"], summary["segments_done"]) == (1, 0)
    assert summary["elapsed_s"] == pytest.approx(30.0, abs=2.0)


def test_a_prompt_that_runs_out_has_its_own_end(walking: Walking, connected: Walking) -> None:
    """Tether: disarmed. Turn and resume: the belt comes to rest."""
    armed = connected(answers=None)
    armed.ask(Verb.ARM, program="first-minute")
    armed.run_for(121.0)
    assert armed.state.phase is Phase.IDLE
    turning = walking(configured=program(stretch("forward", 1.0, 30.0), stretch("turn", 1.0, 30.0)))
    turning.run_to(Phase.TURNING, 60)
    turning.answers = None
    turning.prompt_seen = turning.state.prompt.id if turning.state.prompt else None
    turning.later.clear()
    turning.run_to(Phase.ENDED, 120)
    holding = walking(configured=LONG)
    holding.answers = None
    holding.at_console(holding.server.console_speed, 1.0)
    holding.run_to(Phase.ENDED, 200)
    reasons = [each.event(EventType.SESSION_ENDED).data["reason"] for each in (turning, holding)]
    assert reasons == ["not_confirmed", "not_confirmed"]


def test_waiting_for_start_and_for_the_end_of_a_pause_has_an_end(
    walking: Walking, connected: Walking
) -> None:
    """Five minutes armed, fifteen paused."""
    armed = connected(presses_start=None)
    armed.ask(Verb.ARM, program="first-minute")
    armed.run_for(320.0)
    assert armed.state.phase is Phase.IDLE
    paused = walking(configured=LONG)
    paused.ask(Verb.PAUSE, Source.PAGE)
    paused.run_to(Phase.PAUSED, 60)
    paused.run_to(Phase.ENDED, 910)
    assert paused.ask(Verb.STOP)[0].outcome is Outcome.CONFIRMED


def test_a_write_that_fails_is_unknown(walking: Walking) -> None:
    """The Write Response never came: no acknowledgement is believed."""
    walk = walking(configured=LONG)
    walk.run_until(lambda each: each.state.speed_kmh == 2.0, 120)
    walk.fault("no-indication")
    walk.ask(Verb.SPEED, speed_kmh=1.0)
    last = walk.pilot.deck.control_point.last_write_id
    walk.give(WriteOutcome(write_id=last, error="timeout"))
    assert walk.state.acknowledged_speed_kmh == 2.0


def test_a_link_lost_while_armed_and_while_stopping(connected: Walking, walking: Walking) -> None:
    """Armed: disarmed. Stopping: an alarm, and the stop goes on being wanted."""
    armed = connected(presses_start=None)
    armed.ask(Verb.ARM, program="first-minute")
    armed.disconnect()
    assert armed.event(EventType.DISARMED).data == {"reason": "link_down"}
    stopping = walking(configured=LONG)
    stopping.ask(Verb.STOP)
    stopping.disconnect()
    assert stopping.state.phase is Phase.STOPPING
    assert stopping.phrases()[-1].startswith("Connection lost.")


def test_a_turn_at_rest_waits_for_start(walking: Walking) -> None:
    """The pilot looks for the started belt while the turn does."""
    made = program(
        stretch("forward", 1.0, 30.0),
        stretch("turn", 1.0, 30.0),
        stretch("backward", 1.0, 60.0),
        level="CARE",
    )
    walk = walking("CARE", configured=made)
    walk.run_until(lambda each: each.state.segment == 3, 120)
