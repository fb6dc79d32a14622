"""`core.stopping`: the belt comes to rest, or somebody hears that nobody knows (S7, S18)."""

from dataclasses import replace

import pytest

from bridge.core import stopping
from bridge.core.ftms import encode_treadmill_data
from bridge.core.messages import (
    EventType,
    Notification,
    OpCode,
    Outcome,
    Phase,
    Reading,
    Reason,
    Source,
    Verb,
)
from bridge.core.pilot import Pilot
from bridge.core.quirks import Quirks
from bridge.simulator.habits import Habits
from tests.core.conftest import Walking
from tests.virtual import STEP_S, Walk, program, settings, stretch

LONG = program(stretch("forward", 2.0, 600.0))
STOP = bytes((0x08, 0x01))
PAUSE = bytes((0x08, 0x02))


def at_two(walk: Walk) -> Walk:
    """The same walk, once the belt runs 2.0 km/h."""
    walk.run_until(lambda each: each.state.speed_kmh == 2.0, 120)
    return walk


def ask_stop(walk: Walk, *, now: bool = False) -> str:
    """Ask for a stop; its command id."""
    command = walk.command(Verb.STOP, now=now)
    walk.give(command)
    return command.id


def test_stop_walks_the_belt_down_the_ramp_and_then_stops_it(walking: Walking) -> None:
    """From 2.0 in steps of the level's 0.1 km/h a second to the minimum; Stop; confirmed once."""
    walk = at_two(walking(configured=LONG))
    began_s = walk.now_s
    command = ask_stop(walk)
    assert walk.targets()[-1] == (began_s, 1.9)
    walk.run_to(Phase.ENDED, 60)
    down = [target for at_s, target in walk.targets() if at_s >= began_s]
    assert down == [round(1.9 - 0.1 * step, 1) for step in range(15)]
    stopped_s = walk.sent(OpCode.STOP_OR_PAUSE)[0]
    assert 14.0 <= stopped_s - began_s <= 16.0
    assert walk.answers_of(command) == [(Outcome.ACCEPTED, None), (Outcome.CONFIRMED, None)]
    assert walk.event(EventType.SESSION_ENDED).data["reason"] == "stop_mqtt"
    assert walk.phrases()[-1] == "The belt has stopped."


def test_stop_now_is_ftms_stop_in_the_same_moment(walking: Walking) -> None:
    """No step down first, and nothing waits."""
    walk = at_two(walking(configured=LONG))
    command = ask_stop(walk, now=True)
    assert walk.writes[-1] == (walk.now_s, STOP)
    walk.run_to(Phase.ENDED, 10)
    assert walk.final(command) == (Outcome.CONFIRMED, None)
    assert len(walk.sent(OpCode.STOP_OR_PAUSE)) == 1


def test_a_second_stop_can_make_the_first_more_urgent(walking: Walking) -> None:
    """``stop`` and then ``stop now``: each gets its own one answer."""
    walk = at_two(walking(configured=LONG))
    gentle = ask_stop(walk)
    walk.run_for(2.0)
    urgent = ask_stop(walk, now=True)
    assert walk.writes[-1] == (walk.now_s, STOP)
    walk.run_to(Phase.ENDED, 10)
    assert walk.final(gentle) == walk.final(urgent) == (Outcome.CONFIRMED, None)
    assert walk.types.count("stop_requested") == walk.types.count("belt_stopped") == 1


def test_stop_is_repeated_while_the_belt_does_not_slow_down(walking: Walking) -> None:
    """Every second, until the machine listens; then no more."""
    walk = at_two(walking(configured=LONG))
    walk.fault("result:4")
    command = ask_stop(walk, now=True)
    began_s = walk.now_s
    walk.run_for(5.5)
    assert [round(at_s - began_s) for at_s in walk.sent(OpCode.STOP_OR_PAUSE)] == [0, 1, 2, 3, 4, 5]
    walk.server.clear_faults(walk.now_s)
    walk.run_to(Phase.ENDED, 10)
    assert walk.final(command) == (Outcome.CONFIRMED, None)


def test_a_belt_that_never_slows_is_an_alarm_and_an_unknown_outcome(walking: Walking) -> None:
    """Never silence: in time the asker and the walker hear that nobody knows, and Stop goes on."""
    walk = at_two(walking(configured=LONG))
    walk.fault("result:4")
    command = ask_stop(walk, now=True)
    walk.run_for(31.0)
    assert walk.final(command) == (Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME)
    assert "I cannot tell whether the belt stops." in walk.phrases()[-1]
    assert walk.state.phase is Phase.STOPPING
    again = ask_stop(walk)
    before = len(walk.sent(OpCode.STOP_OR_PAUSE))
    walk.run_for(10.0)
    assert len(walk.sent(OpCode.STOP_OR_PAUSE)) >= before + 9
    walk.server.clear_faults(walk.now_s)
    walk.run_to(Phase.ENDED, 10)
    assert walk.final(again) == (Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME)


def test_a_machine_that_refuses_to_slow_down_is_stopped_at_once(walking: Walking) -> None:
    """The first No to a step down turns the walk-down into Stop."""
    walk = at_two(walking(configured=LONG))
    walk.fault("result:3")
    ask_stop(walk)
    began_s = walk.now_s
    walk.run_for(0.5)
    assert walk.sent(OpCode.STOP_OR_PAUSE, began_s) != []


def test_a_belt_that_does_not_follow_the_walk_down_is_stopped(walking: Walking) -> None:
    """It says yes to every step and keeps its speed: after 3 s it is told to stop."""
    walk = at_two(walking(configured=LONG))
    began_s = walk.now_s
    walk.server.belt.spec = walk.server.belt.spec.__class__(deceleration_kmh_per_s=0.001)
    ask_stop(walk)
    walk.run_for(6.0)
    sent_s = walk.sent(OpCode.STOP_OR_PAUSE)
    assert 2.5 <= sent_s[0] - began_s <= 5.0


def test_a_belt_that_hangs_above_the_minimum_is_stopped_all_the_same(walking: Walking) -> None:
    """The last target is out and the measured speed does not come: Stop after 3 s."""
    walk = walking(configured=program(stretch("forward", 1.0, 600.0)))
    walk.run_until(lambda each: each.state.speed_kmh == 1.0, 60)
    walk.server.belt.spec = walk.server.belt.spec.__class__(deceleration_kmh_per_s=0.02)
    ask_stop(walk)
    walk.run_until(lambda each: each.sent(OpCode.STOP_OR_PAUSE) != [], 30)
    assert walk.targets()[-1][1] == 0.5
    assert walk.now_s - walk.targets()[-1][0] >= 3.0 - STEP_S


def test_stop_without_data_is_at_once(walking: Walking) -> None:
    """Nobody walks a belt down without seeing it; and without data rest is never confirmed."""
    walk = at_two(walking(configured=LONG))
    walk.fault("silent:100")
    walk.run_for(5.0)
    command = ask_stop(walk)
    assert walk.writes[-1] == (walk.now_s, STOP)
    walk.run_for(31.0)
    assert walk.final(command) == (Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME)
    assert walk.state.phase is Phase.STOPPING
    walk.run_to(Phase.ENDED, 120)
    assert walk.phrases()[-1] == "The belt has stopped."


def test_stop_from_idle_takes_control_and_stops_a_belt_nobody_armed(connected: Walking) -> None:
    """The machine turns an uncontrolled Stop away: control is asked for, Stop follows at once."""
    walk = connected()
    walk.at_console(walk.server.console_speed, 3.0)
    walk.run_for(8.0)
    command = ask_stop(walk)
    began_s = walk.now_s
    walk.run_for(0.5)
    assert [payload for _, payload in walk.writes] == [STOP, b"\x00", STOP]
    assert walk.now_s - began_s < 1.0
    walk.run_until(lambda each: each.server.belt.speed_kmh == 0, 10)
    walk.run_for(2.0)
    assert walk.final(command) == (Outcome.CONFIRMED, None)
    assert walk.state.phase is Phase.IDLE


def test_stop_without_control_ever_does_not_flood_the_machine(connected: Walking) -> None:
    """A machine that never grants control gets a Stop and a request each second, no more."""
    walk = connected()
    walk.at_console(walk.server.console_speed, 3.0)
    walk.run_for(8.0)
    walk.fault("result:5")
    ask_stop(walk)
    walk.run_for(10.0)
    assert 10 <= len(walk.sent(OpCode.STOP_OR_PAUSE)) <= 12
    assert len(walk.sent(OpCode.REQUEST_CONTROL)) <= 12


def test_control_that_is_given_and_not_meant_does_not_flood_either(connected: Walking) -> None:
    """Control is granted and Stop refused for want of it, again and again: once a second."""
    walk = connected()
    walk.at_console(walk.server.console_speed, 3.0)
    walk.run_for(8.0)

    def lose(_: object = None) -> None:
        walk.server.controlled = False

    ask_stop(walk)
    for _ in range(200):
        lose()
        walk.step()
    assert len(walk.sent(OpCode.STOP_OR_PAUSE)) <= 13


def test_pause_is_ftms_pause_and_start_resumes(walking: Walking) -> None:
    """Walk down, Pause, rest; the console's Start goes on with the same program."""
    walk = at_two(walking(configured=LONG))
    remaining_s = walk.state.segment_remaining_s
    walk.ask(Verb.PAUSE)
    command = walk.results[-1].id
    walk.run_to(Phase.PAUSED, 60)
    assert walk.writes[-1][1] == PAUSE
    assert walk.final(command) == (Outcome.CONFIRMED, None)
    walk.run_for(30.0)
    assert walk.state.segment_remaining_s == pytest.approx(remaining_s, abs=1.0)
    walk.at_console(walk.server.press_start)
    walk.run_to(Phase.MOVING, 20)
    assert "resumed" in walk.types
    walk.run_until(lambda each: each.state.speed_kmh == 2.0, 120)


def test_stop_overrules_a_pause_and_a_pause_overrules_nothing(walking: Walking) -> None:
    """Stop during a pause ends the session; a pause during a stop is refused."""
    walk = at_two(walking(configured=LONG))
    walk.ask(Verb.PAUSE)
    paused = walk.results[-1].id
    walk.run_for(1.0)
    command = ask_stop(walk)
    (refused,) = walk.ask(Verb.PAUSE)
    assert refused.reason is Reason.STOPPING
    walk.run_to(Phase.ENDED, 60)
    assert walk.writes[-1][1] == STOP
    assert walk.final(command) == walk.final(paused) == (Outcome.CONFIRMED, None)


def test_a_lost_link_while_stopping_ends_as_unknown_after_its_time(walking: Walking) -> None:
    """The asker hears it at once, the walker at once and again at the end; nothing claims rest."""
    walk = at_two(walking(configured=LONG))
    command = ask_stop(walk)
    walk.run_for(2.0)
    walk.disconnect()
    assert walk.final(command) == (Outcome.UNKNOWN, Reason.LINK_DOWN)
    walk.run_for(31.0)
    assert walk.state.phase is Phase.ENDED
    assert walk.event(EventType.SESSION_ENDED).data["reason"] == "link_down"
    assert "I cannot tell whether the belt stops." in walk.phrases()[-1]
    count = len(walk.writes)
    walk.connect()
    walk.run_for(20.0)
    assert len(walk.writes) == count


def test_a_stop_outlasts_a_short_loss_of_the_link(walking: Walking) -> None:
    """It is the one thing that goes on after a reconnect: the belt is told to stop (S7)."""
    walk = at_two(walking(configured=LONG))
    ask_stop(walk)
    walk.run_for(2.0)
    walk.disconnect()
    walk.run_for(5.0)
    since_s = walk.now_s
    walk.connect()
    walk.run_to(Phase.ENDED, 20)
    after = [payload for at_s, payload in walk.writes if at_s >= since_s]
    assert set(after) == {STOP, b"\x00"}
    assert walk.server.belt.speed_kmh == 0


def test_stop_while_the_link_is_down_is_unknown_at_once(walking: Walking) -> None:
    """And the session ends when nothing comes back."""
    walk = at_two(walking(configured=LONG))
    walk.disconnect()
    walk.run_for(1.0)
    command = ask_stop(walk)
    assert walk.answers_of(command) == [
        (Outcome.ACCEPTED, None),
        (Outcome.UNKNOWN, Reason.LINK_DOWN),
    ]
    walk.run_for(31.0)
    assert walk.state.phase is Phase.ENDED


def test_stop_at_rest_is_confirmed_at_once_and_disarms(connected: Walking) -> None:
    """Idle: confirmed. Armed: confirmed, and nothing stays armed. Nothing is written."""
    walk = connected(presses_start=None)
    walk.run_for(4.0)
    assert walk.ask(Verb.STOP)[-1].outcome is Outcome.CONFIRMED
    walk.ask(Verb.ARM, program="first-minute")
    walk.run_for(10.0)
    assert walk.ask(Verb.STOP, Source.PAGE)[-1].outcome is Outcome.CONFIRMED
    assert walk.state.phase is Phase.IDLE
    assert walk.sent(OpCode.STOP_OR_PAUSE) == []


def test_a_stop_right_after_start_waits_for_the_belt_to_have_obeyed(connected: Walking) -> None:
    """A belt that counts down to its start still stands; that is no confirmation of rest."""
    walk = connected(presses_start=None)
    walk.ask(Verb.ARM, program="first-minute")
    walk.run_for(12.0)
    walk.server.belt.spec = walk.server.belt.spec.__class__(start_delay_s=3.0)
    walk.at_console(walk.server.press_start)
    walk.run_for(0.5)
    command = ask_stop(walk)
    assert walk.writes[-1] == (walk.now_s, STOP)
    assert walk.answers_of(command) == [(Outcome.ACCEPTED, None)]
    walk.run_for(8.0)
    assert walk.final(command) == (Outcome.CONFIRMED, None)
    assert walk.server.belt.speed_kmh == 0


def test_a_foreign_belt_cannot_be_armed_while_it_is_being_stopped(connected: Walking) -> None:
    """What is stopping is not armed underneath."""
    walk = connected()
    walk.at_console(walk.server.console_speed, 3.0)
    walk.run_for(8.0)
    ask_stop(walk)
    (refused,) = walk.ask(Verb.ARM, program="first-minute")
    assert refused.reason is Reason.STOPPING


def test_a_machine_that_answers_late_is_not_stopped_twice(walking: Walking) -> None:
    """While the belt slows down there is no second Stop."""
    walk = connected_with(walking, Habits(response_delay_s=0.8))
    ask_stop(walk, now=True)
    walk.run_to(Phase.ENDED, 10)
    assert len(walk.sent(OpCode.STOP_OR_PAUSE)) <= 2


def connected_with(walking: Walking, habits: Habits) -> Walk:
    """A walk at 2.0 km/h whose machine takes these habits on."""
    walk = at_two(walking(configured=LONG))
    walk.server.habits = habits
    return walk


def test_a_finished_program_is_not_told_to_hold_the_rails(walking: Walking) -> None:
    """Its end has been announced in its own words."""
    walk = walking(configured=program(stretch("forward", 1.0, 40.0)))
    walk.run_to(Phase.ENDED, 120)
    assert walk.event(EventType.STOP_REQUESTED).data == {"reason": "finished", "now": False}
    assert not any(text.startswith("Stopping") for text in walk.phrases())


def test_a_walk_down_that_nobody_answers_becomes_a_stop(walking: Walking) -> None:
    """The first step got no indication: the next one cannot leave, and Stop does not wait."""
    walk = at_two(walking(configured=LONG))
    walk.fault("no-indication")
    ask_stop(walk)
    began_s = walk.now_s
    walk.run_until(lambda each: each.sent(OpCode.STOP_OR_PAUSE) != [], 10)
    assert walk.now_s - began_s <= 4.0
    walk.run_to(Phase.ENDED, 20)


def test_a_belt_is_brought_to_rest_for_a_turn(walking: Walking) -> None:
    """CARE: the session goes on, at rest, and anything faster than a slow start is a runaway."""
    made = program(
        stretch("forward", 1.0, 30.0),
        stretch("turn", 1.0, 30.0),
        stretch("backward", 1.0, 60.0),
        level="CARE",
    )
    walk = walking("CARE", configured=made)
    walk.run_until(lambda each: "belt_stopped" in each.types, 120)
    assert walk.event(EventType.BELT_STOPPED).data == {"reason": "turn"}
    assert walk.state.phase is Phase.TURNING
    assert "stop_requested" not in walk.types


def test_a_machine_that_is_silent_at_rest_stands_when_it_has_taken_the_stop(
    walking: Walking,
) -> None:
    """T318 sends no last zero: silence after a Stop that it took is rest, and nothing else is."""
    devices = {"t318": Quirks(silent_at_rest=True)}
    walk = at_two(walking(configured={**LONG, "devices": devices}, device="t318"))
    walk.server.habits = replace(walk.server.habits, silent_at_rest=True)
    command = ask_stop(walk, now=True)
    walk.run_to(Phase.ENDED, 20)
    assert walk.final(command) == (Outcome.CONFIRMED, None)


def test_answers_that_come_when_nothing_is_being_stopped() -> None:
    """They change nothing: the belt came to rest before the machine's answer did."""
    deck = Pilot(settings()).deck
    stopping.taken(deck)
    stopping.control_given(deck)
    stopping.without_control(deck)
    stopping.step(deck, 5.0)
    stopping.pause(deck, "console", 5.0)
    assert deck.out == []
    assert not deck.control_point.busy


def test_a_single_zero_confirms_nothing(walking: Walking) -> None:
    """The record says 0, the belt runs: no confirmation, and Stop again."""
    walk = at_two(walking(configured=LONG))
    walk.fault("result:4")
    command = ask_stop(walk, now=True)
    walk.run_for(0.5)
    walk.give(Notification(0x2ACD, encode_treadmill_data(Reading(speed_kmh=0.0))))
    walk.run_for(10.0)
    assert walk.answers_of(command) == [(Outcome.ACCEPTED, None)]
    assert walk.state.phase is Phase.STOPPING
