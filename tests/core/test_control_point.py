"""One procedure at a time, the newest target of each kind, and a stop that waits for nobody."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge.core.control_point import (
    ATT_CCCD_IMPROPERLY_CONFIGURED,
    ATT_PROCEDURE_ALREADY_IN_PROGRESS,
    PROCEDURE_TIMEOUT_S,
    STOP_RETRY_S,
    ControlPoint,
    Kind,
    Settled,
    Verdict,
)
from bridge.core.messages import (
    ClearedIncline,
    ClearedSpeed,
    ClearedStart,
    ControlPointWrite,
    ControlResponse,
    MachineStatus,
    OpCode,
    ResultCode,
    StatusCode,
    WriteOutcome,
)
from bridge.core.quirks import InclineCodec, Quirks
from tests.core.values import HALVES, TENTHS

CONTROL, START = bytes([0x00]), bytes([0x07])
STOP, PAUSE = bytes([0x08, 1]), bytes([0x08, 2])


def a_control_point(**quirks: Any) -> ControlPoint:
    """A treadmill with an incline, and nothing asked of it yet."""
    return ControlPoint(speed_range=TENTHS, incline_range=HALVES, quirks=Quirks(**quirks))


def full() -> ControlPoint:
    """One of everything that can wait."""
    point = a_control_point()
    point.want_control()
    point.want_start(ClearedStart())
    point.want_speed(ClearedSpeed(speed_kmh=1.0))
    point.want_incline(ClearedIncline(incline_pct=2.0))
    return point


def sent(point: ControlPoint, now_s: float = 0.0) -> ControlPointWrite:
    """The next write; fails when there is none."""
    write = point.next_write(now_s)
    assert write is not None
    return write


def answered(point: ControlPoint, result: int = ResultCode.SUCCESS) -> Settled:
    """The machine answers what is outstanding."""
    assert point.outstanding is not None
    opcodes = {
        Kind.CONTROL: OpCode.REQUEST_CONTROL,
        Kind.START: OpCode.START_OR_RESUME,
        Kind.SPEED: OpCode.SET_TARGET_SPEED,
        Kind.INCLINE: OpCode.SET_TARGET_INCLINE,
        Kind.STOP: OpCode.STOP_OR_PAUSE,
        Kind.PAUSE: OpCode.STOP_OR_PAUSE,
    }
    opcode = opcodes[point.outstanding.kind]
    settled = point.response(ControlResponse(request_opcode=opcode, result_code=result))
    assert settled is not None
    return settled


def test_nothing_wanted_is_nothing_written() -> None:
    """S1: an idle control point is silent for ever."""
    point = a_control_point()
    assert point.next_write(0.0) is None
    assert point.tick(1e9) is None
    assert point.next_wakeup_s() is None


def test_control_then_start_then_speed_then_incline_one_at_a_time() -> None:
    """FTMS 4.16.2: the next procedure waits for the answer to the one before."""
    point = full()
    seen = []
    for _ in range(4):
        seen.append(sent(point))
        assert point.next_write(0.0) is None
        assert answered(point).verdict is Verdict.DONE
    assert [write.payload for write in seen] == [
        CONTROL,
        START,
        bytes.fromhex("026400"),
        bytes.fromhex("031400"),
    ]
    assert [write.write_id for write in seen] == [1, 2, 3, 4]
    assert [write.why for write in seen] == [
        "request control",
        "start",
        "target speed 1",
        "target incline 2",
    ]
    assert point.next_write(0.0) is None


def test_the_newest_target_replaces_the_one_that_waits() -> None:
    """An older wish that has not left yet is never sent."""
    point = a_control_point()
    for speed_kmh, incline_pct in ((1.0, 1.0), (1.5, 2.0), (1.2, 0.5)):
        point.want_speed(ClearedSpeed(speed_kmh=speed_kmh))
        point.want_incline(ClearedIncline(incline_pct=incline_pct))
    assert sent(point).payload == bytes.fromhex("027800")
    assert answered(point).procedure.value == 1.2
    assert sent(point).payload == bytes.fromhex("030500")
    assert answered(point).procedure.value == 0.5
    assert point.next_write(0.0) is None


def test_an_incline_for_a_machine_without_one_stays_here() -> None:
    """There is no step to round it to, so there is nothing to write."""
    point = ControlPoint(speed_range=TENTHS)
    point.want_incline(ClearedIncline(incline_pct=1.0))
    assert point.next_write(0.0) is None


# --- S7: stop ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pause", "payload"), [(False, STOP), (True, PAUSE)])
def test_a_stop_overtakes_everything_and_drops_it(pause: bool, payload: bytes) -> None:
    """S7: past an outstanding procedure, past the queue; nothing of the queue leaves after it."""
    point = full()
    sent(point)
    point.want_stop(pause=pause)
    assert sent(point, 5.0).payload == payload
    answered(point)
    assert point.next_write(5.0) is None
    assert point.control_left == 0


def test_a_pause_does_not_soften_a_stop_that_waits() -> None:
    """S7: of both, Stop leaves; a Stop that follows a Pause replaces it."""
    for first, second in ((False, True), (True, False)):
        point = a_control_point()
        point.want_stop(pause=first)
        point.want_stop(pause=second)
        assert sent(point).payload == STOP
        assert point.next_write(0.0) is None


@pytest.mark.parametrize(("pause", "payload"), [(False, STOP), (True, PAUSE)])
def test_a_stop_that_the_machine_was_too_busy_for_is_written_again(
    pause: bool, payload: bytes
) -> None:
    """S7: 0xFE means later, so it leaves again after 0.2 s, and targets wait behind it."""
    point = a_control_point()
    point.want_stop(pause=pause)
    write = sent(point)
    busy = WriteOutcome(write_id=write.write_id, att_error=ATT_PROCEDURE_ALREADY_IN_PROGRESS)
    assert point.outcome(busy, 10.0) is None
    point.want_speed(ClearedSpeed(speed_kmh=1.0))
    assert point.next_write(10.0 + STOP_RETRY_S - 0.01) is None
    assert point.next_wakeup_s() == 10.0 + STOP_RETRY_S
    assert sent(point, 10.0 + STOP_RETRY_S).payload == payload


def test_a_new_stop_does_not_wait_for_the_retry_of_the_last() -> None:
    """S7: somebody pressed again."""
    point = a_control_point()
    point.want_stop()
    busy = WriteOutcome(write_id=sent(point).write_id, att_error=ATT_PROCEDURE_ALREADY_IN_PROGRESS)
    point.outcome(busy, 10.0)
    point.want_stop()
    assert sent(point, 10.0).payload == STOP


def test_a_retry_of_a_pause_does_not_undo_a_newer_stop() -> None:
    """S7: Stop was asked while the Pause was still on its way; the busy answer comes after."""
    point = a_control_point()
    point.want_stop(pause=True)
    pause = sent(point)
    point.want_stop()
    busy = WriteOutcome(write_id=pause.write_id, att_error=ATT_PROCEDURE_ALREADY_IN_PROGRESS)
    assert point.outcome(busy, 10.0) is None
    assert sent(point, 10.0).payload == STOP


# --- how a procedure ends ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (ResultCode.SUCCESS, Verdict.DONE),
        (ResultCode.OP_CODE_NOT_SUPPORTED, Verdict.REFUSED),
        (ResultCode.INVALID_PARAMETER, Verdict.REFUSED),
        (ResultCode.OPERATION_FAILED, Verdict.REFUSED),
        (ResultCode.CONTROL_NOT_PERMITTED, Verdict.NO_CONTROL),
        (0x77, Verdict.REFUSED),
        (0x00, Verdict.REFUSED),
    ],
)
def test_every_result_code_is_reported_as_it_is(result: int, verdict: Verdict) -> None:
    """S17: only Success is success; the machine's own word is kept."""
    point = a_control_point()
    point.want_speed(ClearedSpeed(speed_kmh=1.0))
    sent(point)
    settled = answered(point, result)
    assert settled.verdict is verdict
    assert settled.result_code == result
    assert settled.procedure.kind is Kind.SPEED
    assert point.outstanding is None


def test_an_answer_to_nothing_or_to_something_else_settles_nothing() -> None:
    """UREVO sends every indication twice; the second must not settle the next procedure."""
    point = full()
    stray = ControlResponse(request_opcode=OpCode.REQUEST_CONTROL, result_code=ResultCode.SUCCESS)
    assert point.response(stray) is None
    sent(point)
    answered(point)
    sent(point)
    assert point.response(stray) is None
    assert point.outstanding is not None


def test_no_answer_in_time_is_unknown() -> None:
    """S17: three seconds, and not before; then the next procedure may leave."""
    point = full()
    sent(point, 100.0)
    assert point.next_wakeup_s() == 100.0 + PROCEDURE_TIMEOUT_S
    assert point.tick(100.0 + PROCEDURE_TIMEOUT_S - 0.01) is None
    settled = point.tick(100.0 + PROCEDURE_TIMEOUT_S)
    assert settled is not None
    assert settled.verdict is Verdict.UNKNOWN
    assert settled.result_code is None
    assert sent(point, 104.0).payload == START


def test_a_taken_write_is_not_yet_done() -> None:
    """The Write Response says that the bytes arrived; only the indication says what came of it."""
    point = full()
    write = sent(point)
    assert point.outcome(WriteOutcome(write_id=write.write_id), 0.0) is None
    assert point.outstanding is not None


@pytest.mark.parametrize(
    ("att_error", "error", "verdict"),
    [
        (ATT_CCCD_IMPROPERLY_CONFIGURED, None, Verdict.REFUSED),
        (ATT_PROCEDURE_ALREADY_IN_PROGRESS, None, Verdict.REFUSED),
        (0x03, None, Verdict.REFUSED),
        (None, "not connected", Verdict.UNKNOWN),
    ],
)
def test_a_failed_write_settles_at_once(
    att_error: int | None, error: str | None, verdict: Verdict
) -> None:
    """S17: turned away is refused; lost on the way is unknown, for the machine may have had it."""
    point = full()
    write = sent(point)
    outcome = WriteOutcome(write_id=write.write_id, att_error=att_error, error=error)
    settled = point.outcome(outcome, 0.0)
    assert settled is not None
    assert settled.verdict is verdict
    assert settled.result_code == att_error
    assert point.outstanding is None


def test_the_outcome_of_an_overtaken_write_settles_nothing() -> None:
    """S7: the stop is outstanding now, and only its own outcome is its own."""
    point = full()
    overtaken = sent(point)
    point.want_stop()
    sent(point)
    late = WriteOutcome(write_id=overtaken.write_id, error="timed out")
    assert point.outcome(late, 0.0) is None
    assert point.outstanding is not None
    assert point.outstanding.kind is Kind.STOP
    answered(point)
    assert point.outcome(late, 0.0) is None


# --- S9, S11: what must not leave any more -------------------------------------------------------


def test_a_lost_link_drops_everything() -> None:
    """S11: what was outstanding is unknown, what waited is never sent on the next link."""
    point = full()
    sent(point)
    settled = point.drop()
    assert settled is not None
    assert settled.verdict is Verdict.UNKNOWN
    assert settled.procedure.kind is Kind.CONTROL
    assert point.drop() is None
    assert point.next_write(1.0) is None
    waiting = full()
    waiting.want_stop()
    assert waiting.drop() is None
    assert waiting.next_write(1.0) is None


def test_forgotten_targets_do_not_leave() -> None:
    """S1, S9: the belt stands, so neither a target nor a start nor a stop follows it."""
    point = full()
    point.forget_targets()
    assert sent(point).payload == CONTROL
    answered(point)
    assert point.next_write(0.0) is None
    point.want_stop()
    point.forget_targets()
    assert point.next_write(0.0) is None


@pytest.mark.parametrize(
    "ask",
    [
        lambda point: point.want_control(),
        lambda point: point.want_start(ClearedStart()),
        lambda point: point.want_speed(ClearedSpeed(speed_kmh=1.0)),
        lambda point: point.want_incline(ClearedIncline(incline_pct=1.0)),
        lambda point: point.want_stop(),
    ],
)
def test_busy_until_what_is_asked_has_been_answered(ask: Callable[[ControlPoint], None]) -> None:
    """S11: a target cleared meanwhile would leave later than it was meant for."""
    point = a_control_point()
    busy = [point.busy]
    for act in (lambda: ask(point), lambda: sent(point), lambda: answered(point)):
        act()
        busy.append(point.busy)
        assert (point.next_wakeup_s() is not None) is point.busy
    assert busy == [False, True, True, False]


# --- how one machine wants to be asked -----------------------------------------------------------


def test_some_machines_want_to_be_asked_twice_and_given_time() -> None:
    """Each write waits for the pause after the last; stop does not."""
    point = a_control_point(control_requests=2, control_request_gap_ms=500, write_pacing_ms=100)
    point.want_control()
    point.want_speed(ClearedSpeed(speed_kmh=1.0))
    assert sent(point, 10.0).payload == CONTROL
    answered(point)
    assert point.next_write(10.4) is None
    assert point.next_wakeup_s() == 10.5
    assert sent(point, 10.5).payload == CONTROL
    answered(point)
    assert point.next_write(10.59) is None
    assert sent(point, 10.7).payload == bytes.fromhex("026400")
    answered(point)
    point.want_start(ClearedStart())
    assert point.next_write(10.7) is None
    assert point.next_wakeup_s() == pytest.approx(10.8)
    point.want_stop()
    assert sent(point, 10.7).payload == STOP


def test_control_may_be_taken_for_granted() -> None:
    """A machine that is never asked for control gets no such write."""
    point = a_control_point(control_requests=0)
    point.want_control()
    assert not point.busy
    assert point.next_write(0.0) is None


def test_control_before_every_target() -> None:
    """Once for each, before it; none without a target behind it."""
    point = a_control_point(control_before_target=True)
    assert point.next_write(0.0) is None
    payloads = []
    for speed_kmh in (1.0, 1.1):
        point.want_speed(ClearedSpeed(speed_kmh=speed_kmh))
        for _ in range(2):
            payloads.append(sent(point).payload)
            answered(point)
        assert point.next_write(0.0) is None
    point.want_incline(ClearedIncline(incline_pct=1.0))
    payloads.append(sent(point).payload)
    speed = [bytes.fromhex("026400"), bytes.fromhex("026e00")]
    assert payloads == [CONTROL, speed[0], CONTROL, speed[1], CONTROL]


def test_a_start_by_another_opcode() -> None:
    """The opcode is written and its answer recognised, and no other answer counts."""
    point = a_control_point(start_opcode=0x00, control_requests=0)
    point.want_start(ClearedStart())
    assert sent(point).payload == CONTROL
    success = ResultCode.SUCCESS
    assert point.response(ControlResponse(request_opcode=0x07, result_code=success)) is None
    settled = point.response(ControlResponse(request_opcode=0x00, result_code=success))
    assert settled is not None
    assert settled.procedure.kind is Kind.START


def test_a_target_in_the_machines_own_units() -> None:
    """2.0 km/h is 1.24 mph, rounded down; inclines by the machine's own numbers."""
    point = a_control_point(target_unit="mph", incline_target=InclineCodec(offset=0, per_pct=100.0))
    point.want_speed(ClearedSpeed(speed_kmh=2.0))
    point.want_incline(ClearedIncline(incline_pct=1.5))
    assert sent(point).payload == bytes([0x02, 124, 0])
    assert answered(point).procedure.value == 2.0
    assert sent(point).payload == bytes.fromhex("039600")
    assert answered(point).procedure.value == 1.5


@pytest.mark.parametrize(
    ("pause_means", "payload"), [("pause", PAUSE), ("stop", PAUSE), ("ignored", STOP)]
)
def test_a_pause_that_would_be_ignored_is_a_stop(pause_means: str, payload: bytes) -> None:
    """S7: what the machine does not understand does not bring its belt to rest."""
    point = a_control_point(pause_means=pause_means)
    point.want_stop(pause=True)
    assert sent(point).payload == payload


def test_a_fading_target_is_repeated_until_it_is_over() -> None:
    """The value that was cleared, no other; not after a stop, a refusal or a hold."""
    for end in ("stop", "forget", "refuse", "drop"):
        point = a_control_point(keep_alive_s=3.0)
        assert point.next_write(0.0) is None
        point.want_speed(ClearedSpeed(speed_kmh=1.0))
        first = sent(point, 10.0)
        answered(point)
        assert point.next_write(12.3) is None
        again = sent(point, 12.4)
        assert again.payload == first.payload
        match end:
            case "stop":
                point.want_stop()
                assert sent(point, 12.4).payload == STOP
                answered(point)
            case "forget":
                answered(point)
                point.forget_targets()
            case "refuse":
                answered(point, ResultCode.OPERATION_FAILED)
            case _:
                point.drop()
        assert point.next_write(99.0) is None


def test_a_lasting_machine_is_not_repeated_to() -> None:
    """The plain machine keeps its target."""
    point = a_control_point()
    point.want_speed(ClearedSpeed(speed_kmh=1.0))
    sent(point)
    answered(point)
    assert point.next_write(1e6) is None


# --- where the answer is seen --------------------------------------------------------------------


@pytest.mark.parametrize("source", ["measurement", "status"])
def test_a_machine_that_never_answers_has_taken_what_it_took(source: str) -> None:
    """S17: taken is not done; only the measurement will show it."""
    point = a_control_point(acknowledgement=source)
    point.want_control()
    settled = point.outcome(WriteOutcome(write_id=sent(point).write_id), 0.0)
    assert settled is not None
    assert settled.verdict is Verdict.TAKEN
    point.want_speed(ClearedSpeed(speed_kmh=1.0))
    settled = point.outcome(WriteOutcome(write_id=sent(point).write_id), 0.0)
    assert (settled is not None) is (source == "measurement")


@pytest.mark.parametrize(
    ("opcode", "told_kmh", "done"),
    [
        (StatusCode.TARGET_SPEED_CHANGED, 1.0, True),
        (StatusCode.TARGET_SPEED_CHANGED, 1.05, True),
        (StatusCode.TARGET_SPEED_CHANGED, None, True),
        (StatusCode.TARGET_SPEED_CHANGED, 1.2, False),
        (StatusCode.TARGET_INCLINE_CHANGED, None, False),
        (StatusCode.STARTED_OR_RESUMED_BY_USER, None, False),
    ],
)
def test_a_status_event_may_be_the_answer(
    opcode: StatusCode, told_kmh: float | None, done: bool
) -> None:
    """It must be about the same thing and name the same target, to the machine's rounding."""
    status = MachineStatus(opcode=opcode, target_speed_kmh=told_kmh)
    point = a_control_point(acknowledgement="status")
    assert point.status(status) is None
    point.want_speed(ClearedSpeed(speed_kmh=1.0))
    sent(point)
    settled = point.status(status)
    assert (settled is not None and settled.verdict is Verdict.DONE) is done
    plain = a_control_point()
    plain.want_speed(ClearedSpeed(speed_kmh=1.0))
    sent(plain)
    assert plain.status(status) is None


def test_a_result_that_says_nothing_says_nothing() -> None:
    """S17: on that opcode only, and a success is still a success."""
    for result, verdict in ((0x04, Verdict.TAKEN), (0x01, Verdict.DONE)):
        point = a_control_point(meaningless_results=frozenset({0x02}))
        point.want_speed(ClearedSpeed(speed_kmh=1.0))
        point.want_incline(ClearedIncline(incline_pct=1.0))
        sent(point)
        assert answered(point, result).verdict is verdict
        sent(point)
        assert answered(point, 0x04).verdict is Verdict.REFUSED


@pytest.mark.parametrize("kind", [Kind.SPEED, Kind.INCLINE])
@pytest.mark.parametrize("newer", [False, True])
def test_a_target_that_found_the_machine_locked_goes_once_more(kind: Kind, newer: bool) -> None:
    """After control, once for each; a newer target of that kind takes its place."""
    point = a_control_point(retry_results=frozenset({0x05}))

    def want(value: float) -> None:
        if kind is Kind.SPEED:
            point.want_speed(ClearedSpeed(speed_kmh=value))
        else:
            point.want_incline(ClearedIncline(incline_pct=value))

    want(1.0)
    sent(point)
    if newer:
        want(2.0)
    opcode = OpCode.SET_TARGET_SPEED if kind is Kind.SPEED else OpCode.SET_TARGET_INCLINE
    locked = ControlResponse(request_opcode=opcode, result_code=0x05)
    assert point.response(locked) is None
    assert sent(point).payload == CONTROL
    answered(point)
    assert sent(point).why == f"{kind.value} {2 if newer else 1}"
    settled = point.response(locked)
    assert settled is not None
    assert settled.verdict is Verdict.NO_CONTROL
    assert point.next_write(0.0) is None
    want(1.5)
    sent(point)
    assert point.response(locked) is None
    assert point.busy


def test_a_start_that_found_the_machine_locked_is_not_sent_again() -> None:
    """S1, S2: a start is used once, whatever came of it."""
    point = a_control_point(retry_results=frozenset({0x05}))
    point.want_start(ClearedStart())
    sent(point)
    assert answered(point, 0x05).verdict is Verdict.NO_CONTROL
    assert point.next_write(0.0) is None
