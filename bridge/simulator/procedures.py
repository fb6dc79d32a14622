"""What a simulated treadmill does when a client asks: the control point's procedures, by op code.

Gets requests already decoded and answers with a result code; what the machine tells meanwhile goes
to `Machine.tell`. Refuses to know octets, answers and links (`ftms_server`'s). In comments, "FTMS"
is the Fitness Machine Service specification v1.0 and "TS" its test suite.
"""

import math
from collections.abc import Callable, Iterable
from typing import Literal

from bridge.core.control_codec import ControlRequest
from bridge.core.messages import MachineStatus, OpCode, ResultCode, StatusCode
from bridge.core.quirks import KMH_PER_MPH, InclineCodec
from bridge.simulator.belt import BeltSpec, Motion
from bridge.simulator.habits import Act, Fault, Habits, TimedAct
from bridge.simulator.machine import Machine, stopped_by_user

_HASTE = 0.8
"""A client that keeps to a spacing arrives some jitter early; closer than this part is too soon."""

_DUST = 1e-6
_TARGETS = frozenset({OpCode.SET_TARGET_SPEED, OpCode.SET_TARGET_INCLINE})


def too_soon(now_s: float, last_s: float, spacing_s: float) -> bool:
    """Whether two things came closer than a machine of this spacing takes them."""
    return now_s - last_s < spacing_s * _HASTE


def _within(value: float, low: float, high: float) -> bool:
    """Whether ``value`` is in a range whose ends may be fractions of another unit."""
    return low - _DUST <= value <= high + _DUST


class Procedures(Machine):
    """A machine that can be asked; `Procedures.carry_out` for one request."""

    def __init__(
        self,
        *,
        spec: BeltSpec | None = None,
        habits: Habits | None = None,
        faults: Iterable[Fault] = (),
        now_s: float = 0.0,
    ) -> None:
        self.controlled = False
        """The connected client holds control."""
        self._requests = 0
        self._requested_s = -math.inf
        self._may_target = False
        self._client_started = False
        self._fading = 0
        self._lies: dict[int, int] = {}
        super().__init__(spec=spec, habits=habits, faults=faults, now_s=now_s)

    def carry_out(self, request: ControlRequest) -> int:
        """Do what was asked, if this machine does it; the result code it answers with."""
        if self.habits.forced_result is not None:
            return self.habits.forced_result
        result = self._result(request)
        lies = dict(self.habits.false_results).get(request.opcode)
        if not lies:
            return result
        turn = self._lies.get(request.opcode, 0)
        self._lies[request.opcode] = turn + 1
        return lies[turn % len(lies)]

    def give_up_control(self) -> None:
        """The client that held control is gone, or must ask anew."""
        self.controlled = self._may_target = False
        self._requests = 0
        self._requested_s = -math.inf

    def take_for_granted(self) -> None:
        """A client is there; where nobody needs to ask for control it holds it at once."""
        if not self.habits.control_requests:
            self._take_control()

    def _take_control(self) -> None:
        after_s = self.habits.press_start_after_s
        if not self.controlled and after_s is not None:
            self.plan(TimedAct(act=Act.PRESS_START, after_s=after_s))
        self.controlled = self._may_target = True

    # --- one request ------------------------------------------------------------------------------

    def _result(self, request: ControlRequest) -> int:
        carry_out = self._procedure(request)
        if carry_out is None:
            return ResultCode.OP_CODE_NOT_SUPPORTED
        if carry_out != self._request_control and not self._is_permitted(request.opcode):
            return ResultCode.CONTROL_NOT_PERMITTED
        if not request.complete:
            return ResultCode.INVALID_PARAMETER
        if self._is_ignored(request):
            return self.habits.ignored_result
        return carry_out()

    def _procedure(self, request: ControlRequest) -> Callable[[], int] | None:
        start = self.habits.start_opcode
        procedures: dict[int, Callable[[], int]] = {
            OpCode.REQUEST_CONTROL: self._request_control,
            OpCode.RESET: self._reset,
            OpCode.SET_TARGET_SPEED: lambda: self._set_speed(request.target_speed_kmh),
            OpCode.SET_TARGET_INCLINE: lambda: self._set_incline(request.target_incline_pct),
            OpCode.STOP_OR_PAUSE: lambda: self._stop_or_pause(request.stop_or_pause),
            start: self._start,
        }
        return procedures.get(request.opcode)

    def _is_permitted(self, opcode: int) -> bool:
        if not self.controlled:
            return False
        if self.habits.control_before_target and opcode in _TARGETS:
            permitted, self._may_target = self._may_target, False
            return permitted
        return True

    def _is_ignored(self, request: ControlRequest) -> bool:
        names = {
            OpCode.SET_TARGET_SPEED: "speed",
            OpCode.SET_TARGET_INCLINE: "incline",
            OpCode.STOP_OR_PAUSE: request.stop_or_pause or "",
            self.habits.start_opcode: "start",
        }
        return names.get(request.opcode) in self.habits.ignored_ops

    def _request_control(self) -> int:
        habits = self.habits
        if not too_soon(self._now_s, self._requested_s, habits.control_request_gap_s):
            self._requests += 1
            self._requested_s = self._now_s
        if self._requests >= habits.control_requests:
            self._take_control()
        return ResultCode.SUCCESS

    def _reset(self) -> int:
        """FTMS 4.16.2.2: targets to defaults, times to zero, idle, and control is given up."""
        self.belt.reset()
        self.give_up_control()
        self._tell_own(MachineStatus(opcode=StatusCode.RESET))
        return ResultCode.SUCCESS

    # --- targets ----------------------------------------------------------------------------------

    def _set_speed(self, asked: float | None) -> int:
        """A belt that stands still does not take a speed: Start begins at the minimum."""
        spec = self.belt.spec
        speed_kmh = (asked or 0.0) * (KMH_PER_MPH if self.habits.targets_in_mph else 1.0)
        if not _within(speed_kmh, spec.min_speed_kmh, spec.max_speed_kmh):
            return ResultCode.INVALID_PARAMETER
        if self.habits.refuses_off_step and not spec.offers_speed(speed_kmh):
            return ResultCode.INVALID_PARAMETER
        if self.belt.motion is not Motion.RUNNING:
            return ResultCode.OPERATION_FAILED
        if self._is_too_early():
            return self._refuse_early()
        if self.habits.needs_client_start and not self._client_started:
            return ResultCode.OPERATION_FAILED
        if self.habits.follows_rises or speed_kmh <= self.belt.target_speed_kmh:
            self.belt.set_target_speed(speed_kmh)
            self._fade_later()
            self._tell_own(self.speed_event())
        return ResultCode.SUCCESS

    def _is_too_early(self) -> bool:
        deaf = too_soon(self._now_s, self.started_s, self.habits.deaf_after_start_s)
        return deaf or (self.habits.needs_motion and self.belt.speed_kmh == 0)

    def _refuse_early(self) -> int:
        result = self.habits.early_result
        if result is None:
            self.plan(TimedAct(act=Act.DROP_LINK, after_s=0.0))
            return ResultCode.OPERATION_FAILED
        return result

    def _fade_later(self) -> None:
        self._fading += 1
        if self.habits.keep_alive_s is not None:
            after_s = self.habits.keep_alive_s
            self.plan(TimedAct(act=Act.TARGET_FADES, after_s=after_s, value=self._fading))

    def perform(self, timed: TimedAct) -> None:
        """Carry out an act whose moment has come; only the last target's fading counts."""
        super().perform(timed)
        if timed.act is Act.TARGET_FADES and timed.value == self._fading:
            self.belt.set_target_speed(self.belt.spec.min_speed_kmh)

    def _set_incline(self, asked: float | None) -> int:
        spec = self.belt.spec
        incline_pct = asked if asked is not None else math.nan
        if self.habits.incline_target != InclineCodec():
            incline_pct = self.habits.incline_target.pct(incline_pct * 10)
        if not _within(incline_pct, spec.min_incline_pct, spec.max_incline_pct):
            return ResultCode.INVALID_PARAMETER
        if self.habits.refuses_off_step and not spec.offers_incline(incline_pct):
            return ResultCode.INVALID_PARAMETER
        if not self.habits.follows_incline:
            return ResultCode.SUCCESS
        if not self.belt.set_target_incline(incline_pct):
            return ResultCode.OPERATION_FAILED
        self._tell_own(self.incline_event())
        return ResultCode.SUCCESS

    # --- starting and stopping --------------------------------------------------------------------

    def _start(self) -> int:
        """TS SPE/BV-01: Start while started fails. Machines also pause, begin anew, or nod."""
        if self.belt.motion is Motion.RUNNING:
            return self._start_while_running()
        if not self.belt.start():
            return ResultCode.OPERATION_FAILED
        self.started_s = self._now_s
        self._client_started = True
        lasts_s = self.habits.client_start_lasts_s
        if lasts_s is not None:
            self.plan(TimedAct(act=Act.CONSOLE_STOP, after_s=lasts_s))
        self._tell_own(MachineStatus(opcode=StatusCode.STARTED_OR_RESUMED_BY_USER))
        return ResultCode.SUCCESS

    def _start_while_running(self) -> int:
        self._client_started = True
        match self.habits.start_while_running:
            case "pauses":
                return self._stop_or_pause("pause")
            case "restarts":
                self.belt.set_target_speed(self.belt.spec.min_speed_kmh)
                self.started_s = self._now_s
                self._tell_own(MachineStatus(opcode=StatusCode.STARTED_OR_RESUMED_BY_USER))
            case "fails":
                return ResultCode.OPERATION_FAILED
            case "succeeds":
                pass
        return ResultCode.SUCCESS

    def _stop_or_pause(self, which: Literal["stop", "pause"] | None) -> int:
        """TS SPE/BV-02: Stop while stopped fails; while stopping it is welcome again."""
        if which is None:
            return ResultCode.INVALID_PARAMETER
        if which == "pause" and self.habits.pause_means == "ignored":
            return ResultCode.SUCCESS
        stops = which == "stop" or self.habits.pause_means == "stop"
        self.belt.forgets_at_rest = stops and which == "pause" and self.belt.motion != Motion.REST
        if not (self.belt.stop() if stops else self.belt.pause()):
            return ResultCode.OPERATION_FAILED
        self._client_started = False
        self._tell_own(stopped_by_user(which))
        return ResultCode.SUCCESS

    def _start_belt(self, speed_kmh: float | None = None) -> bool:
        """The console's start is not the client's."""
        if not super()._start_belt(speed_kmh):
            return False
        self._client_started = False
        return True

    def _tell_own(self, event: MachineStatus) -> None:
        """An event that the client itself caused; FTMS asks only that others be told."""
        if self.habits.tells_own_changes:
            self.tell(event)
