"""`core.reactions`: what a session does about what the machine says."""

from typing import Any

import pytest

from bridge.core import ftms
from bridge.core.control_codec import encode_response, encode_status
from bridge.core.messages import (
    ControlResponse,
    Delivered,
    EventType,
    Notification,
    OpCode,
    Outcome,
    Phase,
    Reading,
    Reason,
    Source,
    StatusCode,
    Verb,
)
from bridge.core.quirks import Quirks, StatusRewrite
from bridge.simulator.belt import BeltSpec
from tests.core.conftest import Walking
from tests.virtual import Walk, program, stretch

LONG = program(stretch("forward", 2.0, 600.0))
DATA, STATUS, POINT = 0x2ACD, 0x2ADA, 0x2AD9


def at_two(walk: Walk) -> Walk:
    """The same walk at 2.0 km/h."""
    walk.run_until(lambda each: each.state.speed_kmh == 2.0, 120)
    return walk


def record(walk: Walk, **values: Any) -> None:
    """One record of the machine, now."""
    reading = Reading(**values)
    walk.give(Notification(DATA, ftms.encode_treadmill_data(reading)))


@pytest.mark.parametrize(
    ("uuid16", "payload"), [(DATA, b""), (STATUS, b""), (POINT, b"\x80"), (0x2AD3, b"\x00\x01")]
)
def test_bytes_that_mean_nothing_change_nothing(
    walking: Walking, uuid16: int, payload: bytes
) -> None:
    """Whatever characteristic they come from."""
    walk = at_two(walking(configured=LONG))
    before = walk.state
    walk.give(Notification(uuid16, payload))
    assert walk.state == before


def test_a_record_without_speed_proves_only_life(connected: Walking) -> None:
    """Before the first speed there is none to act on; afterwards the last one stands."""
    devices = {"no-speed": Quirks(ignored_fields=frozenset({"speed_kmh"}))}
    walk = connected(configured={"devices": devices}, device="no-speed")
    record(walk, speed_kmh=3.0, distance_m=3)
    assert walk.state.speed_kmh is None
    assert not walk.state.stale


def test_one_zero_is_not_a_stop(walking: Walking) -> None:
    """A single spurious zero (Merach) does not end a session; two seconds of rest do."""
    walk = at_two(walking(configured=LONG))
    record(walk, speed_kmh=0.0)
    walk.run_for(5.0)
    assert walk.state.phase is Phase.MOVING


def test_a_stop_told_and_a_stop_seen(walking: Walking) -> None:
    """Each ends the session once; the second word of it changes nothing."""
    walk = at_two(walking(configured=LONG))
    walk.at_console(walk.server.press_stop)
    walk.run_for(8.0)
    assert walk.state.phase is Phase.ENDED
    walk.give(
        Notification(
            STATUS, encode_status(StatusCode.STOPPED_OR_PAUSED_BY_USER, stop_or_pause="stop")
        )
    )
    assert walk.types.count("session_ended") == walk.types.count("belt_stopped") == 1


def test_a_pause_told_twice_is_one_pause(walking: Walking) -> None:
    """And it is not claimed that a belt that still moves has stopped."""
    walk = at_two(walking(configured=LONG))
    pause = Notification(
        STATUS, encode_status(StatusCode.STOPPED_OR_PAUSED_BY_USER, stop_or_pause="pause")
    )
    walk.at_console(walk.server.press_pause)
    walk.run_to(Phase.PAUSED, 3)
    assert walk.phrases()[-1] == "Pausing. The belt slows down."
    walk.give(pause)
    assert walk.types.count("paused") == 1


def test_a_pause_of_a_belt_that_is_not_ours_is_nothing(connected: Walking) -> None:
    """Somebody else walks: no session, no event."""
    walk = connected()
    walk.at_console(walk.server.console_speed, 2.0)
    walk.run_for(8.0)
    walk.at_console(walk.server.press_pause)
    walk.run_for(3.0)
    walk.at_console(walk.server.pull_key)
    walk.run_for(1.0)
    assert walk.types == ["safety_key_removed"]
    assert walk.state.phase is Phase.IDLE


def test_our_own_targets_come_back_as_echoes(walking: Walking) -> None:
    """Status 0x05 for what we wrote is not the console."""
    walk = at_two(walking(configured=LONG))
    assert walk.types.count("console_override") == 0
    speed = encode_status(StatusCode.TARGET_SPEED_CHANGED, target_speed_kmh=2.0)
    level = encode_status(StatusCode.TARGET_INCLINE_CHANGED, target_incline_pct=0.0)
    for echo in (speed, level):
        walk.give(Notification(STATUS, echo))
    assert walk.state.phase is Phase.MOVING


@pytest.mark.parametrize("payload", [b"\x05", b"\x06", b"\x05\x01", b"\x06\x01"])
def test_a_target_that_is_not_named_is_nobodys_choice(walking: Walking, payload: bytes) -> None:
    """A status event cut short says that something changed, and not to what."""
    walk = at_two(walking(configured=LONG))
    walk.give(Notification(STATUS, payload))
    assert walk.state.phase is Phase.MOVING


def test_a_slope_chosen_at_the_console_holds(walking: Walking) -> None:
    """S8: the incline key is a choice like the speed key."""
    walk = at_two(walking(configured=LONG))
    walk.at_console(walk.server.console_incline, 4.0)
    walk.run_for(0.2)
    assert walk.types[-2:] == ["console_override", "holding"]
    assert walk.state.phase is Phase.HOLDING


def test_a_target_told_in_a_pause_or_while_armed_is_the_consoles_own(connected: Walking) -> None:
    """Nothing is driven there, so nothing is held."""
    walk = connected(configured=LONG, presses_start=None)
    walk.ask(Verb.ARM)
    walk.run_for(8.0)
    walk.give(
        Notification(STATUS, encode_status(StatusCode.TARGET_SPEED_CHANGED, target_speed_kmh=3.0))
    )
    assert walk.state.phase is Phase.ARMED


def test_a_status_without_its_parameter(walking: Walking) -> None:
    """Cut off after its opcode: a target is not known, and a stop or pause is taken for a stop."""
    walk = at_two(walking(configured=LONG))
    walk.give(Notification(STATUS, bytes((StatusCode.TARGET_SPEED_CHANGED,))))
    phases = [walk.state.phase]
    walk.give(Notification(STATUS, bytes((StatusCode.STOPPED_OR_PAUSED_BY_USER,))))
    phases.append(walk.state.phase)
    assert phases == [Phase.MOVING, Phase.ENDED]


def test_while_stopping_the_machines_echoes_are_ours(walking: Walking) -> None:
    """Targets and stops that are told on the way down do not hold or end anything."""
    walk = at_two(walking(configured=LONG))
    walk.ask(Verb.STOP)
    walk.run_for(1.0)
    walk.give(
        Notification(STATUS, encode_status(StatusCode.TARGET_SPEED_CHANGED, target_speed_kmh=0.3))
    )
    walk.run_for(0.2)
    assert walk.state.phase is Phase.STOPPING
    walk.run_to(Phase.ENDED, 60)
    assert walk.event(EventType.SESSION_ENDED).data["reason"] == "stop_mqtt"


def test_speed_reached_belongs_to_the_goal_of_a_change(walking: Walking) -> None:
    """A belt that comes back to its speed by itself has reached nothing new."""
    walk = at_two(walking(configured=LONG))
    assert walk.types.count("speed_reached") == 1
    record(walk, speed_kmh=1.9)
    walk.run_for(5.0)
    assert walk.types.count("speed_reached") == 1


def test_an_answer_to_nothing_is_ignored(walking: Walking) -> None:
    """A second indication for the same request (UREVO sends two)."""
    walk = at_two(walking(configured=LONG))
    twice = encode_response(ControlResponse(request_opcode=2, result_code=3))
    walk.give(Notification(POINT, twice))
    assert "refused" not in walk.types


def test_a_refused_request_for_control_holds(walking: Walking) -> None:
    """The treadmill does not listen: the walker hears it, and nothing is tried again by itself."""
    walk = at_two(walking(configured=LONG))
    walk.answers = None
    walk.server.controlled = False
    walk.fault("result:5")
    walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.0)
    walk.run_to(Phase.HOLDING, 10)
    assert walk.state.problem is Reason.CONTROL_LOST
    count = len(walk.writes)
    walk.run_for(20.0)
    assert len(walk.writes) == count


def test_control_that_was_taken_away_silently_is_asked_for_again(walking: Walking) -> None:
    """0x05 to a decrease: control is requested, and the decrease goes on."""
    walk = at_two(walking(configured=LONG))
    walk.server.controlled = False
    wish = walk.command(Verb.SPEED, speed_kmh=1.5)
    walk.give(wish)
    walk.run_for(1.0)
    assert walk.final(wish.id) == (Outcome.REJECTED, Reason.CONTROL_LOST)
    walk.run_until(lambda each: each.state.speed_kmh == 1.5, 20)


def test_a_voice_is_put_on_the_record_once(connected: Walking) -> None:
    """With how long it took; a second word for the same announcement changes nothing."""
    walk = connected(hears=None)
    walk.ask(Verb.ARM, program="first-minute")
    cue = walk.said[-1][1]
    walk.run_for(1.5)
    for _ in range(2):
        walk.give(Delivered(announcement_id=cue.id, channel="page"))
    assert walk.types.count("announced") == 1
    assert walk.event(EventType.ANNOUNCED).data == {
        "announcement": cue.id,
        "text": cue.text,
        "channel": "page",
        "waited_s": 1.5,
    }


def test_silence_is_nobodys_business_without_a_session(connected: Walking) -> None:
    """Idle, and with the link down."""
    walk = connected()
    walk.run_for(2.0)
    walk.fault("silent:30")
    walk.run_for(25.0)
    walk.disconnect()
    walk.run_for(5.0)
    assert walk.types == []


def test_key_out_drops_what_was_about_to_leave(walking: Walking) -> None:
    """A target that waited behind an open procedure never goes out."""
    walk = at_two(walking(configured=LONG))
    walk.fault("no-indication")
    walk.ask(Verb.SPEED, speed_kmh=1.0)
    walk.run_for(1.2)
    walk.at_console(walk.server.pull_key)
    walk.run_for(0.1)
    count = len(walk.writes)
    walk.run_for(20.0)
    assert len(walk.writes) == count


def test_a_told_console_speed_holds(walking: Walking) -> None:
    """S8: at once, with what was told."""
    walk = at_two(walking(configured=LONG))
    walk.at_console(walk.server.console_speed, 1.2)
    walk.run_for(0.1)
    assert walk.state.phase is Phase.HOLDING
    assert walk.event(EventType.CONSOLE_OVERRIDE).data == {"speed_kmh": 1.2}


@pytest.mark.parametrize(
    ("speed_kmh", "kind"), [(1.5, EventType.CONSOLE_OVERRIDE), (4.0, EventType.RUNAWAY)]
)
def test_a_speed_that_is_only_seen(walking: Walking, speed_kmh: float, kind: EventType) -> None:
    """S8, S12: slower is the console's, much faster a runaway."""
    walk = at_two(walking(configured=LONG))
    walk.server.belt.set_target_speed(speed_kmh)
    walk.run_for(8.0)
    assert kind in {each.type for each in walk.events}


def test_a_belt_that_does_not_follow_is_held(walking: Walking) -> None:
    """S12: 20 s far below what was cleared."""
    walk = walking(configured=LONG, faults=("lazy-belt",))
    walk.answers = None
    walk.run_to(Phase.HOLDING, 90)
    assert walk.state.problem is Reason.NOT_FOLLOWING


def test_a_belt_that_stands_unasked_was_stopped_there(walking: Walking) -> None:
    """S9: nothing was told, two seconds of rest were seen."""
    walk = at_two(walking(configured=LONG))
    walk.server.belt.stop()
    walk.run_to(Phase.ENDED, 10)
    assert walk.event(EventType.BELT_STOPPED).data == {"reason": "console_stop"}


def test_a_belt_found_at_rest_after_the_link_was_lost(walking: Walking) -> None:
    """S11: the reason is what is known."""
    walk = at_two(walking(configured=LONG))
    walk.disconnect()
    walk.server.belt.stop()
    walk.run_for(5.0)
    walk.connect()
    walk.run_to(Phase.ENDED, 10)
    assert walk.event(EventType.BELT_STOPPED).data == {"reason": "link_down"}


def test_silence_holds_and_is_told_once(walking: Walking) -> None:
    """S10: at ten seconds, with how old the last record is."""
    walk = at_two(walking(configured=LONG))
    walk.answers = None
    walk.fault("silent:30")
    walk.run_for(25.0)
    assert walk.types.count("stale") == 1
    assert walk.event(EventType.STALE).data == {"age_s": pytest.approx(10.0, abs=0.5)}


def test_the_key_while_armed_and_its_end(connected: Walking) -> None:
    """Disarmed; the console's next Start says that the key is in."""
    walk = connected(configured=LONG, presses_start=None)
    walk.ask(Verb.ARM)
    walk.run_for(8.0)
    walk.at_console(walk.server.pull_key)
    walk.run_to(Phase.IDLE, 1)
    assert (walk.state.safety_key, walk.state.problem) == ("out", Reason.KEY_OUT)
    walk.at_console(walk.server.insert_key)
    walk.at_console(walk.server.press_start)
    walk.run_for(1.0)
    assert (walk.state.safety_key, walk.state.problem) == ("in", None)
    started = Notification(STATUS, encode_status(StatusCode.STARTED_OR_RESUMED_BY_USER))
    walk.run_for(5.0)
    walk.give(started)
    assert [each for each in walk.types if each != "announced"][-2:] == [
        "safety_key_removed",
        "disarmed",
    ]


def test_a_stop_without_control_asks_for_it(connected: Walking) -> None:
    """A foreign belt: turned away, control, and Stop again."""
    walk = connected()
    walk.at_console(walk.server.console_speed, 2.0)
    walk.run_for(8.0)
    walk.ask(Verb.STOP)
    walk.run_for(0.3)
    assert [payload for _, payload in walk.writes] == [b"\x08\x01", b"\x00", b"\x08\x01"]


def test_a_refusal_on_the_way_to_rest_is_a_stop(walking: Walking) -> None:
    """The machine will not be walked down."""
    walk = at_two(walking(configured=LONG))
    walk.fault("result:3")
    walk.ask(Verb.STOP)
    walk.run_for(0.3)
    assert walk.writes[-1][1] == b"\x08\x01"


@pytest.mark.parametrize("opcode", [0x02, 0x03])
def test_a_refused_decrease_holds_and_a_refused_rise_is_said(walking: Walking, opcode: int) -> None:
    """For the speed and for the slope."""
    made = program(
        stretch("forward", 1.0, 60.0),
        stretch("forward", 1.5, 60.0, 2.0 if opcode == 0x03 else 0.0),
        stretch("forward", 1.0, 60.0),
    )
    risen = walking(configured=made)
    risen.run_until(lambda each: each.state.speed_kmh == 1.0, 60)
    risen.fault("result:3")
    risen.run_until(lambda each: "refused" in each.types, 90)
    assert risen.phrases()[-1] == "The treadmill said no. Holding this speed."
    assert risen.state.phase is Phase.MOVING
    fallen = walking(configured=made)
    fallen.answers = None
    fallen.run_until(lambda each: each.state.segment == 2, 90)
    fallen.run_for(50.0)
    fallen.fault("result:3")
    fallen.run_to(Phase.HOLDING, 60)
    assert fallen.state.problem is Reason.REFUSED_BY_MACHINE


def test_a_refused_start_is_answered(connected: Walking) -> None:
    """And nothing more is said: the belt stands, and the console's Start still counts."""
    walk = connected(configured={**LONG, "start": "page"}, presses_start=None)
    walk.ask(Verb.ARM)
    walk.run_for(10.0)
    walk.fault("result:4")
    start = walk.command(Verb.START, Source.PAGE)
    walk.give(start)
    walk.run_for(0.5)
    assert walk.final(start.id) == (Outcome.REJECTED, Reason.REFUSED_BY_MACHINE)


def test_a_heart_rate_is_taken_in(connected: Walking) -> None:
    """0x2A37: for people, at any time."""
    walk = connected()
    walk.give(Notification(0x2A37, bytes((0x00, 88))))
    assert walk.state.heart_rate_bpm == 88


def test_status_events_right_after_subscribing_are_old(connected: Walking) -> None:
    """Where the device's profile says so: a stale key event is not today's."""
    devices = {"slow": Quirks(status_settle_ms=800)}
    walk = connected(configured={"devices": devices}, device="slow")
    key_out = Notification(STATUS, encode_status(StatusCode.STOPPED_BY_SAFETY_KEY))
    walk.give(key_out)
    assert walk.types == []
    walk.run_for(1.0)
    walk.give(key_out)
    assert walk.types == ["safety_key_removed"]


def test_a_status_event_that_is_noise_on_this_device(connected: Walking) -> None:
    """A rewrite of the profile to nothing."""
    noise = StatusRewrite(opcode=int(StatusCode.STARTED_OR_RESUMED_BY_USER))
    devices = {"noisy": Quirks(status_rewrites=(noise,))}
    walk = connected(configured={"devices": devices}, device="noisy")
    walk.give(Notification(STATUS, encode_status(StatusCode.STARTED_OR_RESUMED_BY_USER)))
    assert walk.state.safety_key == "unknown"


def test_a_console_that_asks_before_it_starts(connected: Walking) -> None:
    """START only asks there; the belt moves when the armed client says so too, and not else."""
    devices = {"asks": Quirks(start_handshake=True)}
    walk = connected(
        configured={**LONG, "devices": devices},
        device="asks",
        presses_start=None,
        spec=BeltSpec(start_delay_s=3.0),
    )
    pressed = Notification(STATUS, encode_status(StatusCode.STARTED_OR_RESUMED_BY_USER))
    walk.run_for(2.0)
    walk.give(pressed)
    assert walk.sent(OpCode.START_OR_RESUME) == []
    walk.ask(Verb.ARM)
    walk.run_for(10.0)
    walk.give(pressed)
    walk.run_for(0.5)
    assert len(walk.sent(OpCode.START_OR_RESUME)) == 1
    walk.give(pressed)  # the belt still stands, and the machine says so again
    walk.run_to(Phase.MOVING, 20)


def test_no_handshake_on_stale_data(connected: Walking) -> None:
    """The machine asks, and nobody sees the belt: no Start goes out."""
    devices = {"asks": Quirks(start_handshake=True)}
    walk = connected(configured={**LONG, "devices": devices}, device="asks", presses_start=None)
    walk.ask(Verb.ARM)
    walk.run_for(8.0)
    walk.fault("silent:20")
    walk.run_for(6.0)
    walk.give(Notification(STATUS, encode_status(StatusCode.STARTED_OR_RESUMED_BY_USER)))
    walk.run_for(2.0)
    assert walk.sent(OpCode.START_OR_RESUME) == []


def test_a_status_event_can_be_the_answer_to_a_write(connected: Walking) -> None:
    """Where the profile says that this is how the machine acknowledges."""
    devices = {"tells": Quirks(acknowledgement="status", control_requests=0)}
    walk = connected(
        configured={**LONG, "devices": devices}, device="tells", faults=("no-indication",)
    )
    walk.server.controlled = True
    walk.arm(None)
    walk.run_until(lambda each: each.state.acknowledged_speed_kmh == 2.0, 60)


def test_a_record_in_two_halves_is_read_once_it_is_whole(walking: Walking) -> None:
    """Split records carry a session as whole ones do."""
    walk = walking(configured=LONG, faults=("split-records",))
    assert at_two(walk).state.distance_m is not None


def test_control_that_is_lost_holds_a_session_and_nothing_else(connected: Walking) -> None:
    """Status 0xFF, idle and driving."""
    walk = connected(configured=LONG)
    walk.fault("control-lost:0")
    walk.run_for(1.0)
    assert walk.types == []
    walk.arm(None)
    walk.answers = None
    walk.fault("control-lost:0")
    walk.run_to(Phase.HOLDING, 2)
    assert walk.state.problem is Reason.CONTROL_LOST
