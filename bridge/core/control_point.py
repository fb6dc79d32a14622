"""One control procedure at a time on 0x2AD9 (FTMS v1.0 section 4.16.2).

Holds at most one outstanding procedure and, behind it, the newest target of each kind: a newer
one replaces an older one that has not left yet. Stop does not queue: it leaves at once, and again
until it is taken. Motion is accepted only as the governor's `Cleared` values. How one machine wants
to be asked, and where its answer is seen, comes as `Quirks`. Refuses to know why anything is wanted
and what the belt does; it reports how each procedure was settled.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.control_codec import (
    encode_pause,
    encode_request,
    encode_request_control,
    encode_set_target_incline,
    encode_set_target_speed,
    encode_stop,
)
from bridge.core.messages import (
    Cleared,
    ClearedIncline,
    ClearedSpeed,
    ClearedStart,
    ControlPointWrite,
    ControlResponse,
    InclineRange,
    MachineStatus,
    OpCode,
    ResultCode,
    SpeedRange,
    StatusCode,
    WriteOutcome,
)
from bridge.core.quirks import (
    STANDARD,
    Quirks,
    target_incline_to_machine,
    target_speed_to_machine,
)

PROCEDURE_TIMEOUT_S = 3.0
"""No answer in this time counts as unknown (S17). The profile allows 30 s; a walker cannot wait.

Real answers took 0.7 ms on a virtual link and up to 0.84 s on a Reebok FR30z.
"""

STOP_RETRY_S = 0.2
"""How soon a stop that the machine turned away (0xFE, busy) is written again."""

KEEP_ALIVE_SHARE = 0.8
"""A fading target is sent again before its time is over, with a tick to spare."""

_DUST = 1e-9
SAME_TARGET_KMH = 0.06
"""A status event echoes a target to the machine's own rounding."""

ATT_CCCD_IMPROPERLY_CONFIGURED = 0xFD
ATT_PROCEDURE_ALREADY_IN_PROGRESS = 0xFE


class Kind(StrEnum):
    """What a procedure is for."""

    CONTROL = "request control"
    SPEED = "target speed"
    INCLINE = "target incline"
    START = "start"
    STOP = "stop"
    PAUSE = "pause"


class Verdict(StrEnum):
    """How a procedure ended; ``TAKEN``: written, by a machine that never says yes."""

    DONE = "done"
    TAKEN = "taken"
    REFUSED = "refused"
    NO_CONTROL = "no control"
    UNKNOWN = "unknown"


_OPCODES = {
    Kind.CONTROL: OpCode.REQUEST_CONTROL,
    Kind.SPEED: OpCode.SET_TARGET_SPEED,
    Kind.INCLINE: OpCode.SET_TARGET_INCLINE,
    Kind.START: OpCode.START_OR_RESUME,
    Kind.STOP: OpCode.STOP_OR_PAUSE,
    Kind.PAUSE: OpCode.STOP_OR_PAUSE,
}


_TOLD_BY = {
    Kind.SPEED: StatusCode.TARGET_SPEED_CHANGED,
    Kind.INCLINE: StatusCode.TARGET_INCLINE_CHANGED,
    Kind.START: StatusCode.STARTED_OR_RESUMED_BY_USER,
    Kind.STOP: StatusCode.STOPPED_OR_PAUSED_BY_USER,
    Kind.PAUSE: StatusCode.STOPPED_OR_PAUSED_BY_USER,
}
"""The status event that acknowledges each kind, on machines that have no other answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """One write and what it asks for; ``value`` in km/h or percent where the kind has one."""

    kind: Kind
    write_id: int
    sent_at_s: float
    value: float | None = None
    cleared: Cleared | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A procedure is over. ``result_code`` is the machine's own word, where it said one."""

    procedure: Procedure
    verdict: Verdict
    result_code: int | None = None


@dataclass(slots=True)
class ControlPoint:
    """The queue of one machine's control point."""

    speed_range: SpeedRange
    incline_range: InclineRange | None = None
    quirks: Quirks = STANDARD
    outstanding: Procedure | None = None
    last_write_id: int = 0
    speed: ClearedSpeed | None = None
    incline: ClearedIncline | None = None
    control_left: int = 0
    start: ClearedStart | None = None
    stop: Kind | None = None
    retry_at_s: float = 0.0
    written_at_s: float = -math.inf
    asked_for_target: bool = False
    retried: bool = False
    lasting: Procedure | None = None

    def want_control(self) -> None:
        """Ask for the right to set targets, as often as this machine wants to be asked."""
        self.control_left = self.quirks.control_requests

    def want_speed(self, cleared: ClearedSpeed) -> None:
        """Set this speed next; a target that has not left yet is replaced."""
        self.speed = cleared

    def want_incline(self, cleared: ClearedIncline) -> None:
        """Set this incline next; a target that has not left yet is replaced."""
        self.incline = cleared

    def want_start(self, cleared: ClearedStart) -> None:
        """Start once."""
        self.start = cleared

    def want_stop(self, *, pause: bool = False) -> None:
        """S7: stop before everything else; whatever waited is dropped, and a start with it."""
        self.speed = self.incline = self.start = self.lasting = None
        self.control_left = 0
        self.stop = Kind.PAUSE if pause and self.stop is not Kind.STOP else Kind.STOP
        self.retry_at_s = 0.0

    def forget_targets(self) -> None:
        """The belt stands: a target or a start that has not left yet must not leave any more."""
        self.speed = self.incline = self.start = self.stop = self.lasting = None

    def drop(self) -> Settled | None:
        """The link is gone: nothing waits for the next one (S11)."""
        lost, self.outstanding = self.outstanding, None
        self.forget_targets()
        self.control_left = 0
        self.asked_for_target = False
        if lost is None:
            return None
        return Settled(procedure=lost, verdict=Verdict.UNKNOWN)

    @property
    def busy(self) -> bool:
        """Something is under way or goes first: a target handed in now would leave later."""
        waits = (self.outstanding, self.speed, self.incline, self.start, self.stop)
        return self.control_left > 0 or any(each is not None for each in waits)

    # --- out -------------------------------------------------------------------------------------

    def next_write(self, now_s: float) -> ControlPointWrite | None:
        """The write that should leave now, if any. A stop waits for no procedure and no pacing."""
        if self.stop is not None and now_s >= self.retry_at_s:
            kind, self.stop = self.stop, None
            if now_s < self._paced_until_s:
                # Sent at once all the same, and again when this machine listens again for certain.
                self.stop, self.retry_at_s = kind, now_s + self.quirks.write_pacing_ms / 1000
            return self._send(kind, self._stop_payload(kind), now_s)
        if self.outstanding is not None or self.stop is not None or now_s < self._paced_until_s:
            return None
        return self._next_request(now_s) or self._next_target(now_s)

    def _next_request(self, now_s: float) -> ControlPointWrite | None:
        """What goes before targets: the right to set them, and a start."""
        if self.control_left:
            self.control_left -= 1
            return self._send(Kind.CONTROL, encode_request_control(), now_s)
        if self.start is not None:
            self.start = None
            return self._send(Kind.START, encode_request(self.quirks.start_opcode), now_s)
        waiting = self.speed is not None or self.incline is not None
        if self.quirks.control_before_target and waiting and not self.asked_for_target:
            self.asked_for_target = True
            return self._send(Kind.CONTROL, encode_request_control(), now_s)
        self.asked_for_target = False
        return None

    @property
    def _paced_until_s(self) -> float:
        """When this machine has had its rest after the last write."""
        gap_ms = self.quirks.write_pacing_ms
        if self.control_left and self.control_left < self.quirks.control_requests:
            gap_ms = max(gap_ms, self.quirks.control_request_gap_ms)
        return self.written_at_s + gap_ms / 1000

    def _next_target(self, now_s: float) -> ControlPointWrite | None:
        if self.speed is not None:
            cleared, self.speed = self.speed, None
            payload = self._speed_payload(cleared.speed_kmh)
            return self._send(Kind.SPEED, payload, now_s, cleared.speed_kmh, cleared)
        slope, self.incline = self.incline, None
        if slope is None or self.incline_range is None:
            return self._keep_alive(now_s)
        payload = self._incline_payload(slope.incline_pct, self.incline_range)
        return self._send(Kind.INCLINE, payload, now_s, slope.incline_pct, slope)

    def _keep_alive(self, now_s: float) -> ControlPointWrite | None:
        """Some machines forget a target that is not repeated (Matrix T600x: about every 3 s)."""
        lasting, every_s = self.lasting, self.quirks.keep_alive_s
        if lasting is None or every_s is None or lasting.value is None:
            return None
        if now_s - self.written_at_s < every_s * KEEP_ALIVE_SHARE:
            return None
        payload = self._speed_payload(lasting.value)
        return self._send(Kind.SPEED, payload, now_s, lasting.value, lasting.cleared)

    def _speed_payload(self, speed_kmh: float) -> bytes:
        if self.quirks.target_unit == "kmh":
            return encode_set_target_speed(speed_kmh, self.speed_range)
        said = target_speed_to_machine(speed_kmh, self.quirks)
        return encode_request(OpCode.SET_TARGET_SPEED, target_speed_kmh=said)

    def _incline_payload(self, incline_pct: float, limits: InclineRange) -> bytes:
        if self.quirks.incline_target == STANDARD.incline_target:
            return encode_set_target_incline(incline_pct, limits)
        said = target_incline_to_machine(incline_pct, self.quirks)
        return encode_request(OpCode.SET_TARGET_INCLINE, target_incline_pct=said)

    def _stop_payload(self, kind: Kind) -> bytes:
        """A machine that ignores Pause (08 02) is paused by Stop (08 01)."""
        pause = kind is Kind.PAUSE and self.quirks.pause_means != "ignored"
        return encode_pause() if pause else encode_stop()

    def _send(
        self,
        kind: Kind,
        payload: bytes,
        now_s: float,
        value: float | None = None,
        cleared: Cleared | None = None,
    ) -> ControlPointWrite:
        self.last_write_id += 1
        self.written_at_s = now_s
        self.outstanding = Procedure(
            kind=kind, write_id=self.last_write_id, sent_at_s=now_s, value=value, cleared=cleared
        )
        if kind is Kind.SPEED:
            self.lasting = self.outstanding
        why = kind.value if value is None else f"{kind.value} {value:g}"
        return ControlPointWrite(write_id=self.last_write_id, payload=payload, why=why)

    # --- in --------------------------------------------------------------------------------------

    def outcome(self, outcome: WriteOutcome, now_s: float) -> Settled | None:
        """The Write Response or an error. Only a failure settles; else the machine's answer does.

        A machine without an answer has given all it gives by taking the write.
        """
        procedure = self.outstanding
        if procedure is None or procedure.write_id != outcome.write_id:
            return None
        if outcome.att_error is None and outcome.error is None:
            return self._settle(procedure, Verdict.TAKEN) if self._mute(procedure.kind) else None
        if outcome.att_error == ATT_PROCEDURE_ALREADY_IN_PROGRESS and self._retry(procedure, now_s):
            return None
        verdict = Verdict.UNKNOWN if outcome.att_error is None else Verdict.REFUSED
        return self._settle(procedure, verdict, outcome.att_error)

    def _mute(self, kind: Kind) -> bool:
        """Whether this machine never answers a request of this kind."""
        source = self.quirks.acknowledgement
        return source == "measurement" or (source == "status" and kind is Kind.CONTROL)

    def _retry(self, procedure: Procedure, now_s: float) -> bool:
        """The machine still works on an earlier procedure: a stop is written again, soon."""
        if procedure.kind not in {Kind.STOP, Kind.PAUSE}:
            return False
        self.outstanding = None
        if self.stop is None:  # else a newer one waits already, and leaves at once
            self.stop = procedure.kind
            self.retry_at_s = now_s + STOP_RETRY_S
        return True

    def response(self, response: ControlResponse) -> Settled | None:
        """An indication. One that answers nothing outstanding is ignored (UREVO sends two)."""
        procedure = self.outstanding
        if procedure is None or self._opcode(procedure.kind) != response.request_opcode:
            return None
        code = response.result_code
        if code in self.quirks.retry_results and self._once_more(procedure):
            return None
        if code == ResultCode.SUCCESS:
            verdict = Verdict.DONE
        elif response.request_opcode in self.quirks.meaningless_results:
            verdict = Verdict.TAKEN
        elif code == ResultCode.CONTROL_NOT_PERMITTED:
            verdict = Verdict.NO_CONTROL
        else:
            verdict = Verdict.REFUSED
        return self._settle(procedure, verdict, code)

    def _opcode(self, kind: Kind) -> int:
        return self.quirks.start_opcode if kind is Kind.START else _OPCODES[kind]

    def _once_more(self, procedure: Procedure) -> bool:
        """Machines that lose their unlocking want it, and the request, once more."""
        if self.retried or procedure.cleared is None:
            return False
        self.retried = True
        self.outstanding = None
        self.want_control()
        match procedure.cleared:
            case ClearedSpeed() if self.speed is None:
                self.speed = procedure.cleared
            case ClearedIncline() if self.incline is None:
                self.incline = procedure.cleared
            case _:
                pass  # a newer target waits, and leaves instead
        return True

    def status(self, status: MachineStatus) -> Settled | None:
        """A status event, on a machine whose only acknowledgement it is (KingSmith MC21)."""
        procedure = self.outstanding
        if procedure is None or self.quirks.acknowledgement != "status":
            return None
        if _TOLD_BY.get(procedure.kind) != status.opcode:
            return None
        said, asked = status.target_speed_kmh, procedure.value
        if said is not None and asked is not None and abs(said - asked) > SAME_TARGET_KMH + _DUST:
            return None
        return self._settle(procedure, Verdict.DONE)

    def tick(self, now_s: float) -> Settled | None:
        """S17: a procedure without an answer in time is unknown, not done."""
        procedure = self.outstanding
        if procedure is None or now_s - procedure.sent_at_s < PROCEDURE_TIMEOUT_S:
            return None
        return self._settle(procedure, Verdict.UNKNOWN)

    def _settle(
        self, procedure: Procedure, verdict: Verdict, result_code: int | None = None
    ) -> Settled:
        self.outstanding = None
        if procedure.kind is not Kind.CONTROL:  # the unlocking is part of the one more try
            self.retried = False
        if verdict in {Verdict.REFUSED, Verdict.NO_CONTROL} and procedure is self.lasting:
            self.lasting = None
        return Settled(procedure=procedure, verdict=verdict, result_code=result_code)

    def next_wakeup_s(self) -> float | None:
        """When `tick` or `next_write` would have something to do."""
        if self.stop is not None:
            return self.retry_at_s
        if self.outstanding is not None:
            return self.outstanding.sent_at_s + PROCEDURE_TIMEOUT_S
        waits = (self.start, self.speed, self.incline)
        if self.control_left or any(each is not None for each in waits):
            return self._paced_until_s
        return None
