"""The server's rules and every fault, in virtual time, without Bluetooth.

SPE names are cases of the Fitness Machine Service test suite (p6), server role.
"""

import math
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridge.core import control_codec, ftms
from bridge.core.ftms import RecordJoiner, decode_treadmill_data
from bridge.core.messages import MachineStatus, OpCode, Reading, StatusCode
from bridge.core.neighbours import decode_heart_rate
from bridge.simulator.belt import Motion
from bridge.simulator.ftms_server import (
    CONTROL_POINT,
    HEART_RATE,
    MACHINE_STATUS,
    REBOOT_S,
    TRAINING_STATUS,
    TREADMILL_DATA,
    FtmsServer,
    Outgoing,
)
from bridge.simulator.habits import Habits, parse_fault

REQUEST, RESET, START, STOP, PAUSE = (bytes.fromhex(h) for h in ("00", "01", "07", "0801", "0802"))


def speed(kmh: float) -> bytes:
    """Set Target Speed."""
    return control_codec.encode_request(OpCode.SET_TARGET_SPEED, target_speed_kmh=kmh)


def incline(pct: float) -> bytes:
    """Set Target Inclination."""
    return control_codec.encode_request(OpCode.SET_TARGET_INCLINE, target_incline_pct=pct)


class Client:
    """A central on the pure server: keeps the time and everything it was sent."""

    def __init__(self, *faults: str, habits: Habits | None = None, bpm: int | None = None) -> None:
        self.server = FtmsServer(
            habits=habits,
            faults=[parse_fault(fault) for fault in faults],
            heart_rate_bpm=bpm,
        )
        self.now_s = 0.0
        self.inbox: list[tuple[float, Outgoing]] = []
        self.server.connect(0.0)

    def wait(self, seconds: float, step_s: float = 0.1) -> "Client":
        """Let time pass, collecting what comes."""
        for _ in range(round(seconds / step_s)):
            self.now_s = round(self.now_s + step_s, 6)
            self.collect()
        return self

    def collect(self) -> None:
        """Take what is due."""
        self.inbox += [(self.now_s, out) for out in self.server.outgoing(self.now_s)]

    def ask(self, request: bytes) -> int:
        """Write a request and return the result code of its answer."""
        assert self.server.control_write(request, self.now_s) is None
        self.collect()
        _, (_, payload, kind) = next(
            item for item in reversed(self.inbox) if item[1][0] == CONTROL_POINT
        )
        assert kind == "indicate"
        answer = control_codec.decode_response(payload)
        assert answer.request_opcode == request[0]
        return answer.result_code

    def drive(self, kmh: float) -> "Client":
        """Take control, start, and settle at a speed."""
        assert [self.ask(REQUEST), self.ask(START)] == [1, 1]
        self.wait(3)
        assert self.ask(speed(kmh)) == 1
        return self.wait(30)

    def payloads(self, uuid16: int, since_s: float = 0.0) -> Iterator[bytes]:
        """What came from one characteristic."""
        return (out[1] for at_s, out in self.inbox if out[0] == uuid16 and at_s >= since_s)

    def readings(self, since_s: float = 0.0) -> list[Reading]:
        """Decoded records, unjoined."""
        return [decode_treadmill_data(raw) for raw in self.payloads(TREADMILL_DATA, since_s)]

    def statuses(self, since_s: float = 0.0) -> list[MachineStatus]:
        """Decoded status events."""
        return [control_codec.decode_status(raw) for raw in self.payloads(MACHINE_STATUS, since_s)]

    @property
    def measured_kmh(self) -> float | None:
        """The last speed that was told."""
        return self.readings()[-1].speed_kmh


# --- control point rules -------------------------------------------------------------------------


def test_spe_bv_01_start_when_started_fails() -> None:
    """80 07 04."""
    assert Client().drive(2.0).ask(START) == 4


def test_spe_bv_02_stop_when_stopped_fails() -> None:
    """80 08 04, for stop and for pause."""
    client = Client()
    client.ask(REQUEST)
    assert [client.ask(STOP), client.ask(PAUSE)] == [4, 4]


@pytest.mark.parametrize("opcode", [0x04, 0x09, 0x15, 0x7F, 0x80, 0xFF])
def test_spe_bv_03_unknown_op_code_is_not_supported(opcode: int) -> None:
    """Result 02, for what the machine lacks and for what nobody has."""
    client = Client()
    client.ask(REQUEST)
    assert client.ask(bytes((opcode, 0, 0))) == 2


@pytest.mark.parametrize(
    "request_",
    [speed(0.4), speed(12.1), incline(-0.1), incline(12.1), b"\x08\x00", b"\x08\x03"],
)
def test_spe_bv_04_bi_05_out_of_range_is_invalid(request_: bytes) -> None:
    """Result 03, at rest and while running."""
    client = Client()
    client.ask(REQUEST)
    assert client.ask(request_) == 3
    assert client.drive(2.0).ask(request_) == 3


@pytest.mark.parametrize("request_", [b"\x02", b"\x02\x10", b"\x03\x10", b"\x08"])
def test_a_parameter_that_is_cut_short_is_invalid(request_: bytes) -> None:
    """Result 03 also for what is malformed (FTMS 4.16.2.22)."""
    client = Client()
    client.ask(REQUEST)
    assert client.ask(request_) == 3


@pytest.mark.parametrize("request_", [START, STOP, RESET, speed(1), incline(1)])
def test_spe_bv_09_nothing_without_control(request_: bytes) -> None:
    """Result 05, and nothing moves."""
    client = Client()
    assert client.ask(request_) == 5
    client.wait(10)
    assert client.server.belt.motion is Motion.REST


def test_limits_of_the_range_are_inside() -> None:
    """Exactly the minimum and the maximum are taken."""
    client = Client().drive(2.0)
    asked = (speed(0.5), speed(12.0), incline(0), incline(12.0))
    assert [client.ask(request) for request in asked] == [1, 1, 1, 1]


def test_without_indications_the_write_is_refused() -> None:
    """ATT 0xFD, and the request is not carried out; it is logged all the same."""
    server = FtmsServer()
    server.connect(0)
    assert server.control_write(REQUEST, 1.0, indications_on=False) == 0xFD
    assert not server.controlled
    assert server.outgoing(2.0)[0][0] != CONTROL_POINT
    assert server.writes == [(1.0, REQUEST)]


def test_one_procedure_at_a_time() -> None:
    """ATT 0xFE until the answer has gone out; the second request is discarded, not queued."""
    client = Client(habits=Habits(response_delay_s=0.5))
    server = client.server
    assert server.control_write(REQUEST, 0.0) is None
    assert server.control_write(START, 0.1) == 0xFE
    assert server.outgoing(0.4) == []
    assert server.outgoing(0.5) == [(CONTROL_POINT, b"\x80\x00\x01", "indicate")]
    assert server.outgoing(0.6) == []
    assert server.control_write(START, 0.7) is None
    assert server.writes == [(0.0, REQUEST), (0.1, START), (0.7, START)]


@pytest.mark.parametrize("payload", [b"", bytes(20)])
def test_lengths_that_no_request_has(payload: bytes) -> None:
    """ATT 0x0D: nothing at all, or more than an op code and 18 octets."""
    client = Client()
    assert client.server.control_write(payload, 0.0) == 0x0D


def test_a_write_into_a_link_that_just_went_does_nothing() -> None:
    """ATT 0x0E, as BlueZ says it too; control cannot be had without a link."""
    client = Client("drop-link:1")
    assert client.server.control_write(REQUEST, 1.0) == 0x0E
    assert not client.server.controlled


def test_the_answer_comes_before_the_events_it_causes() -> None:
    """So that a client knows whose change a status event tells."""
    client = Client()
    client.ask(REQUEST)
    client.server.control_write(START, 0.0)
    order = [out[0] for out in client.server.outgoing(0.0)]
    assert order[:2] == [CONTROL_POINT, MACHINE_STATUS]


def test_own_changes_need_not_be_told() -> None:
    """FTMS only asks that other clients are told; both kinds of machine exist."""
    quiet = Client(habits=Habits(tells_own_changes=False)).drive(2.0)
    assert quiet.statuses() == []
    assert [each.opcode for each in Client().drive(2.0).statuses()] == [4, 5]


def test_reset_idles_zeroes_and_drops_control() -> None:
    """FTMS 4.16.2.2 and rule 6: counters to zero, idle, control gone, and it is told."""
    client = Client().drive(3.0)
    assert client.ask(RESET) == 1
    assert client.ask(speed(2.0)) == 5
    client.wait(10)
    assert client.readings()[-1].elapsed_s == 0
    assert client.measured_kmh == 0
    assert client.statuses()[-1].opcode == StatusCode.RESET
    training = list(client.payloads(TRAINING_STATUS))
    assert [ftms.read_training_status(raw)["training_status"] for raw in training] == [
        "manual_mode_quick_start",
        "idle",
    ]
    assert client.server.read(TRAINING_STATUS) == training[-1]


def test_control_ends_with_the_link() -> None:
    """Rule 5; unsent answers die with it, and the belt runs on."""
    client = Client().drive(2.0)
    client.server.control_write(speed(3.0), client.now_s)
    client.server.disconnect(client.now_s)
    client.now_s += 5
    assert client.server.outgoing(client.now_s) == []
    client.server.connect(client.now_s)
    assert client.server.outgoing(client.now_s) == []
    assert client.ask(STOP) == 5
    assert client.server.belt.speed_kmh == 3.0


def test_stop_and_pause_freeze_time_and_start_lets_it_run() -> None:
    """Rule 7: frozen, not zeroed; and Resume is Start."""
    client = Client().drive(2.0)
    assert client.ask(PAUSE) == 1
    client.wait(5)
    frozen = client.readings()[-1].elapsed_s
    assert frozen
    client.wait(10)
    assert client.readings()[-1].elapsed_s == frozen
    assert client.ask(START) == 1
    client.wait(10)
    assert (client.readings()[-1].elapsed_s or 0) > frozen
    assert client.ask(STOP) == 1
    assert client.ask(STOP) == 1, "while stopping it is welcome again"
    client.wait(10)
    assert client.measured_kmh == 0


def test_a_speed_at_rest_starts_nothing() -> None:
    """It fails, and Start goes to the minimum all the same."""
    client = Client()
    client.ask(REQUEST)
    assert client.ask(speed(6.0)) == 4
    client.wait(5)
    assert client.measured_kmh == 0
    client.ask(START)
    client.wait(30)
    assert client.measured_kmh == 0.5


def test_targets_are_rounded_down_to_the_machines_step_and_told() -> None:
    """1.99 km/h is 1.9 on a machine of 0.1 steps; 1.9 % is 1.5."""
    client = Client().drive(1.0)
    client.ask(speed(1.99))
    client.ask(incline(1.9))
    assert [client.statuses()[-2].target_speed_kmh, client.statuses()[-1].target_incline_pct] == [
        1.9,
        1.5,
    ]
    client.wait(10)
    assert (client.measured_kmh, client.readings()[-1].incline_pct) == (1.9, 1.5)


def test_without_the_key_incline_and_start_fail() -> None:
    """The machine answers 04 and nothing moves."""
    client = Client()
    client.ask(REQUEST)
    client.server.pull_key(0)
    assert [client.ask(START), client.ask(incline(3))] == [4, 4]


# --- reading and telling -------------------------------------------------------------------------


def test_features_and_ranges() -> None:
    """What is claimed is what is done; 0.5 to 12 km/h by 0.1 and 0 to 12 % by 0.5."""
    server = FtmsServer()
    features = ftms.read_features(server.read(0x2ACC))
    assert features["targets"] == ["speed", "incline"]
    assert features["features"] == ["total_distance", "incline", "expended_energy", "elapsed_time"]
    assert server.read(0x2AD4).hex() == "3200b0040a00"
    assert server.read(0x2AD5).hex() == "000078000500"
    with pytest.raises(LookupError, match="0x2AD9"):
        server.read(0x2AD9)


def test_records_come_every_period_and_are_not_made_up() -> None:
    """One a second; a caller that was held up gets one, not the missed ones."""
    client = Client().wait(10.05, step_s=0.05)
    times = [at_s for at_s, out in client.inbox if out[0] == TREADMILL_DATA]
    assert times == pytest.approx(range(1, 11))
    assert len(client.server.outgoing(100.0)) == 1
    assert client.server.next_due_s() == 101.0


def test_heart_rate_is_told_with_each_record_when_there_is_one() -> None:
    """0x2A37, one octet of beats."""
    client = Client(bpm=96).wait(2)
    beats = [decode_heart_rate(raw).heart_rate_bpm for raw in client.payloads(HEART_RATE)]
    assert beats == [96, 96]
    assert "heart_rate" in ftms.read_features(client.server.read(0x2ACC))["features"]


def test_nothing_is_due_while_nobody_is_there() -> None:
    """No client, no agenda: the machine sleeps, and wakes for its agenda."""
    server = FtmsServer()
    assert server.next_due_s() == math.inf
    server.set_fault(parse_fault("console-speed:2@7"), 0.0)
    assert server.next_due_s() == 7.0
    assert server.outgoing(30.0) == []
    assert server.belt.speed_kmh == 2.0


def test_long_records_are_split_where_the_mtu_is_small() -> None:
    """FTMS 4.1: never more than ATT_MTU - 3, and joined they are whole."""
    client = Client().drive(2.0)
    client.server.exchange_mtu(15)
    since_s = client.now_s + 0.01
    client.wait(1)
    frames = list(client.payloads(TREADMILL_DATA, since_s))
    assert [len(frame) for frame in frames] == [9, 11]


# --- the console ---------------------------------------------------------------------------------


def test_every_hand_at_the_console_is_told() -> None:
    """2ADA for start, speed, incline, pause, stop and the key; presses that do nothing are not."""
    client = Client()
    server = client.server
    acts: tuple[Callable[[], None], ...] = (
        lambda: server.press_stop(client.now_s),  # at rest: nothing to stop
        lambda: server.press_start(client.now_s),
        lambda: server.press_start(client.now_s),  # running already
        lambda: server.console_speed(3.0, client.now_s),
        lambda: server.console_incline(2.0, client.now_s),
        lambda: server.press_pause(client.now_s),
        lambda: server.press_pause(client.now_s + 9),  # paused already
        lambda: server.press_start(client.now_s),
        lambda: server.press_stop(client.now_s),
        lambda: server.pull_key(client.now_s),
        lambda: server.pull_key(client.now_s),  # out already
        lambda: server.console_speed(3.0, client.now_s),  # dead without the key
        lambda: server.console_incline(3.0, client.now_s),
        lambda: server.press_start(client.now_s),
        lambda: server.insert_key(client.now_s),
        lambda: server.press_start(client.now_s),
    )
    for act in acts:
        act()
        client.wait(10)
    told = list(client.payloads(MACHINE_STATUS))
    assert [raw.hex() for raw in told] == [
        "04",
        "052c01",
        "061400",
        "0202",
        "04",
        "0201",
        "03",
        "04",
    ]
    assert [entry.kind for entry in server.journal].count("console") == 16


def test_a_console_speed_starts_a_belt_at_rest() -> None:
    """Contract, section 8: console-speed on a belt at rest starts it."""
    client = Client("console-speed:1.5@3").wait(2.9)
    assert client.server.belt.motion is Motion.REST
    client.wait(10)
    assert client.measured_kmh == 1.5
    assert [each.opcode for each in client.statuses()] == [4, 5]


def test_start_is_pressed_after_a_client_takes_control() -> None:
    """For runs with nobody at the keyboard; once each time control is taken anew."""
    client = Client(habits=Habits(press_start_after_s=5))
    client.wait(20)
    assert client.server.belt.motion is Motion.REST
    client.ask(REQUEST)
    client.ask(REQUEST)
    client.wait(4.9)
    assert client.server.belt.motion is Motion.REST
    client.wait(10)
    assert client.measured_kmh == 0.5
    assert [entry.what for entry in client.server.journal if entry.kind == "console"] == ["start"]


# --- faults --------------------------------------------------------------------------------------


def test_start_toggle_pauses_a_running_belt() -> None:
    """A Start while running is answered with success and slows the belt down (TM11GY)."""
    client = Client("start-toggle").drive(2.0)
    assert client.ask(START) == 1
    client.wait(5)
    assert client.server.belt.motion is Motion.PAUSED
    assert client.ask(START) == 1
    client.wait(5)
    assert client.measured_kmh == 0.5


def test_targets_mph() -> None:
    """02 64 00 runs 1.6 km/h (1.0 mph); 8 is 12.9 km/h and out of range; data stays km/h."""
    client = Client("targets-mph").drive(1.0)
    assert client.measured_kmh == 1.6
    assert client.ask(speed(8.0)) == 3


def test_late_data_tells_the_past() -> None:
    """Each record comes S seconds after it was true; control is not late."""
    client = Client("late-data:4")
    client.ask(REQUEST)
    client.ask(START)
    client.wait(4.9)
    assert client.readings() == []
    client.wait(1.1)
    assert [each.speed_kmh for each in client.readings()] == [0, 0.5]


def test_silence_lasts_s_seconds_from_the_first_record_kept_back() -> None:
    """Set at power-on it waits for a client; set while running it begins with the next record."""
    server = FtmsServer(faults=[parse_fault("silent:5")])
    server.outgoing(60)
    server.connect(100)
    arrivals = [at_s for at_s in range(100, 110) for _ in server.outgoing(at_s)]
    assert arrivals == [106, 107, 108, 109]
    client = Client().drive(2.0)
    client.server.set_fault(parse_fault("silent:5"), client.now_s)
    since_s = client.now_s + 0.05
    client.wait(4.8)
    assert client.readings(since_s) == []
    assert client.ask(STOP) == 1, "control goes on"
    client.wait(3)
    assert client.readings(since_s)


def test_drop_link_loses_the_client_and_the_belt_runs_on() -> None:
    """At its second; the machine can be connected again at once."""
    client = Client().drive(2.0)
    client.server.set_fault(parse_fault("drop-link:2"), client.now_s)
    was_connected = [client.wait(seconds).server.connected for seconds in (1.9, 0.2)]
    assert was_connected == [True, False]
    assert client.server.on_air(client.now_s)
    assert client.server.belt.speed_kmh == 2.0


def test_no_indication_carries_out_and_says_nothing() -> None:
    """The request takes effect, no answer comes, and the next one is taken."""
    client = Client("no-indication")
    assert client.server.control_write(REQUEST, 0) is None
    assert client.server.control_write(START, 0) is None
    client.wait(10)
    assert list(client.payloads(CONTROL_POINT)) == []
    assert client.measured_kmh == 0.5


@pytest.mark.parametrize("code", [1, 2, 4, 0x7F])
def test_result_answers_everything_and_does_nothing(code: int) -> None:
    """Even Success: a machine that acknowledges and does not act."""
    client = Client(f"result:{code}")
    assert [client.ask(request) for request in (REQUEST, START, speed(2), RESET)] == [code] * 4
    client.wait(5)
    assert client.server.belt.motion is Motion.REST
    assert not client.server.controlled


def test_split_records_join_to_what_they_were() -> None:
    """Two notifications a record, speed and the cleared bit in the last (FTMS 4.19)."""
    plain, split = Client().drive(3.3), Client("split-records").drive(3.3)
    parts = split.readings()
    assert [part.more_data for part in parts[-2:]] == [True, False]
    joiner = RecordJoiner()
    joined = [whole for part in parts if (whole := joiner.push(part, 0.0))]
    assert joined == plain.readings()


def test_truncated_promises_more_than_it_sends() -> None:
    """20 octets of a 24-octet record; what comes before the cut is right."""
    client = Client("truncated").drive(3.0)
    last = list(client.payloads(TREADMILL_DATA))[-1]
    assert len(last) == 20
    reading = decode_treadmill_data(last)
    assert (reading.speed_kmh, reading.incline_pct, reading.warning) == (3.0, 0, "truncated")
    assert reading.elapsed_s is None


def test_no_ranges() -> None:
    """Neither range characteristic can be read."""
    server = FtmsServer(faults=[parse_fault("no-ranges")])
    for uuid16 in (0x2AD4, 0x2AD5):
        with pytest.raises(LookupError):
            server.read(uuid16)


def test_key_out_stops_the_belt_and_is_told() -> None:
    """2ADA 03, and neither Start nor a speed does anything until key-in and the console."""
    client = Client().drive(4.0)
    client.server.set_fault(parse_fault("key-out:1"), client.now_s)
    client.wait(3)
    assert client.measured_kmh == 0
    assert client.statuses()[-1].opcode == StatusCode.STOPPED_BY_SAFETY_KEY
    client.server.insert_key(client.now_s)
    assert client.ask(START) == 4
    client.server.press_start(client.now_s)
    client.wait(5)
    assert client.measured_kmh == 0.5


def test_console_stop() -> None:
    """At its second, told as 02 01."""
    client = Client().drive(2.0)
    client.server.set_fault(parse_fault("console-stop:1"), client.now_s)
    client.wait(6)
    assert client.measured_kmh == 0
    assert client.statuses()[-1].stop_or_pause == "stop"


def test_runaway_ignores_targets_but_not_stop() -> None:
    """Speed rises although lower targets are acknowledged; Stop ends it."""
    client = Client().drive(2.0)
    client.server.set_fault(parse_fault("runaway:1"), client.now_s)
    client.wait(3)
    assert client.ask(speed(1.0)) == 1
    client.wait(3)
    assert (client.measured_kmh or 0) > 3.5
    assert client.ask(STOP) == 1
    client.wait(10)
    assert client.measured_kmh == 0


def test_lazy_belt_acknowledges_rises_and_stays() -> None:
    """Slower is obeyed, faster only acknowledged."""
    client = Client().drive(2.0)
    client.server.set_fault(parse_fault("lazy-belt"), client.now_s)
    assert client.ask(speed(3.0)) == 1
    client.wait(20)
    assert client.measured_kmh == 2.0
    assert client.ask(speed(1.0)) == 1
    client.wait(5)
    assert client.measured_kmh == 1.0


def test_ignores_incline() -> None:
    """Acknowledged, and flat it stays."""
    client = Client("ignores-incline").drive(2.0)
    assert client.ask(incline(5)) == 1
    client.wait(20)
    assert client.readings()[-1].incline_pct == 0


def test_wraps_elapsed() -> None:
    """Elapsed time starts over at the count; everything else goes on."""
    client = Client("wraps-elapsed:20").drive(2.0)
    seconds = [reading.elapsed_s for reading in client.readings()]
    assert max(second or 0 for second in seconds) == 19
    assert seconds[-1] is not None
    assert seconds[-1] < 15
    distances = [reading.distance_m or 0 for reading in client.readings()]
    assert distances == sorted(distances)


def test_reboot_forgets_and_is_away_for_a_while() -> None:
    """Link, control, counters and speed are gone; so is the machine, for its boot."""
    client = Client().drive(3.0)
    server = client.server
    server.set_fault(parse_fault("reboot:1"), client.now_s)
    client.wait(1.1)
    assert not server.connected
    assert not server.on_air(client.now_s)
    assert server.next_due_s() == pytest.approx(client.now_s - 0.1 + REBOOT_S)
    assert (server.belt.speed_kmh, server.belt.distance_m) == (0, 0)
    assert server.on_air(client.now_s + REBOOT_S)


def test_a_key_that_is_out_stays_out_over_a_reboot() -> None:
    """It is a thing, not a memory."""
    server = FtmsServer(faults=[parse_fault("key-out:1"), parse_fault("reboot:2")])
    server.advance(3)
    assert not server.belt.key_in


def test_control_lost_is_told_and_meant() -> None:
    """2ADA FF, then 05 until control is requested again; the belt runs on."""
    client = Client().drive(2.0)
    client.server.set_fault(parse_fault("control-lost:1"), client.now_s)
    client.wait(2)
    assert client.statuses()[-1].opcode == StatusCode.CONTROL_PERMISSION_LOST
    assert client.ask(speed(1.0)) == 5
    assert client.measured_kmh == 2.0
    assert client.ask(REQUEST) == 1
    assert client.ask(speed(1.0)) == 1


def test_clear_brings_the_plain_machine_back() -> None:
    """Habits, agenda, silence and runaway alike."""
    client = Client("lazy-belt", "late-data:9", "silent:99", "key-out:50", "runaway:0").wait(2)
    client.server.clear_faults(client.now_s)
    client.drive(3.0).wait(30)
    assert client.measured_kmh == 3.0
    assert client.server.habits == Habits()


def test_acts_happen_at_their_own_moment_however_time_is_cut() -> None:
    """A caller that looks every 20 s finds what one that looks every 0.1 s finds."""
    faults = ("console-speed:3@2", "console-stop:9.5", "console-speed:2@20.25")
    fine, coarse = Client(*faults).wait(40), Client(*faults).wait(40, step_s=20)
    assert fine.server.belt.distance_m == pytest.approx(coarse.server.belt.distance_m)
    assert [e.at_s for e in coarse.server.journal[1:]] == [2.0, 9.5, 20.25]


class AnyClient(RuleBasedStateMachine):
    """Whatever a client and a hand do, in any order: the machine keeps its own rules."""

    def __init__(self) -> None:
        super().__init__()
        self.client = Client()

    @rule(payload=st.binary(max_size=4) | st.sampled_from([REQUEST, START, STOP, PAUSE, speed(3)]))
    def write(self, payload: bytes) -> None:
        """A write while nothing is open is taken unless its length is impossible."""
        server = self.client.server
        if not server.connected:
            return
        before = server.belt.speed_kmh
        error = server.control_write(payload, self.client.now_s)
        assert (error is None) == bool(payload)
        assert server.belt.speed_kmh == before, "no write moves the belt at once"
        answers = [out for out in server.outgoing(self.client.now_s) if out[2] == "indicate"]
        assert len(answers) == (error is None)

    @rule(
        hand=st.sampled_from(["press_start", "press_stop", "press_pause", "pull_key", "insert_key"])
    )
    def hand(self, hand: str) -> None:
        """Any button."""
        getattr(self.client.server, hand)(self.client.now_s)

    @rule(fault=st.sampled_from(["drop-link:1", "control-lost:0", "reboot:2", "runaway:0"]))
    def fault(self, fault: str) -> None:
        """Any mishap."""
        self.client.server.set_fault(parse_fault(fault), self.client.now_s)

    @rule(seconds=st.sampled_from([0.1, 1.0, 7.0]))
    def pass_time(self, seconds: float) -> None:
        """Time; who was thrown out comes back."""
        self.client.wait(seconds)
        if self.client.server.on_air(self.client.now_s):
            self.client.server.connect(self.client.now_s)

    @invariant()
    def keeps_its_rules(self) -> None:
        """Control only with a link; no motion without the key; nothing that is due is kept."""
        server = self.client.server
        server.outgoing(self.client.now_s)
        assert server.connected or not server.controlled
        assert 0 <= server.belt.speed_kmh <= 12
        if not server.belt.key_in:
            assert server.belt.motion in (Motion.REST, Motion.STOPPING)
        assert server.next_due_s() > self.client.now_s


TestAnyClient = AnyClient.TestCase
TestAnyClient.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
