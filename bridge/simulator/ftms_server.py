"""The Fitness Machine Service of a simulated treadmill, without any Bluetooth: pure, virtual time.

What would leave over the air is collected by `FtmsServer.outgoing`; `gatt` carries it, tests read
it. Refuses to know controllers, links and clocks. In comments, "FTMS" is the Fitness Machine
Service specification v1.0 and "TS" its test suite.
"""

import heapq
import math
from collections.abc import Iterable
from typing import Literal

from bridge.core.control_codec import decode_request
from bridge.core.messages import MachineStatus, OpCode, ResultCode, StatusCode
from bridge.core.quirks import PreambleWrite
from bridge.simulator import records
from bridge.simulator.belt import BeltSpec
from bridge.simulator.habits import Act, Fault, Habits, TimedAct
from bridge.simulator.machine import Incident, stopped_by_user
from bridge.simulator.procedures import Procedures, too_soon
from bridge.simulator.telemetry import Telemetry

FEATURE = 0x2ACC
TREADMILL_DATA = 0x2ACD
TRAINING_STATUS = 0x2AD3
SPEED_RANGE = 0x2AD4
INCLINE_RANGE = 0x2AD5
CONTROL_POINT = 0x2AD9
MACHINE_STATUS = 0x2ADA
HEART_RATE = 0x2A37

CCCD_IMPROPERLY_CONFIGURED = 0xFD
PROCEDURE_ALREADY_IN_PROGRESS = 0xFE
INVALID_ATTRIBUTE_LENGTH = 0x0D
UNLIKELY_ERROR = 0x0E
LONGEST_REQUEST = 19
"""An op code and at most 18 octets of parameter (FTMS 4.16)."""

REBOOT_S = 4.0
"""How long a machine that reboots is off the air: about a console's boot screen."""

Kind = Literal["notify", "indicate"]
Outgoing = tuple[int, bytes, Kind]


class FtmsServer(Procedures):
    """A treadmill with its service, switched on at ``now_s`` and with nobody connected.

    ``writes`` holds every control-point write with its time, taken or not. ``heart_rate_bpm``,
    when set, is told in 0x2A37 with each record.
    """

    def __init__(
        self,
        *,
        spec: BeltSpec | None = None,
        habits: Habits | None = None,
        faults: Iterable[Fault] = (),
        heart_rate_bpm: int | None = None,
        now_s: float = 0.0,
    ) -> None:
        self.writes: list[tuple[float, bytes]] = []
        self.heart_rate_bpm = heart_rate_bpm
        self.connected = False
        self._outbox: list[tuple[float, int, Outgoing]] = []
        self._telemetry = Telemetry()
        self._answering = False
        self._was_asked = False
        self._written_s = -math.inf
        self._subscribed_s = -math.inf
        self._unheard: set[int] = set()
        self._preambles = frozenset[PreambleWrite]()
        self._last_status = stopped_by_user("stop")
        self._mtu = records.SMALLEST_MTU
        self._next_record_s = math.inf
        self._silence_s: float | None = None
        self._silent_until_s = -math.inf
        self._boots_until_s = -math.inf
        self._told_training = b""
        super().__init__(spec=spec, habits=habits, faults=faults, now_s=now_s)

    # --- the link ---------------------------------------------------------------------------------

    def on_air(self, now_s: float) -> bool:
        """Whether the machine can be found and connected: it is up, and nobody else has it."""
        self.advance(now_s)
        return not self.connected and now_s >= self._boots_until_s

    def connect(self, now_s: float, mtu: int = records.SMALLEST_MTU) -> None:
        """A central connects. Its first record comes one period later."""
        self.advance(now_s)
        self.connected = True
        self._mtu = mtu
        self._next_record_s = now_s + self.habits.data_period_s
        self._told_training = records.training_status(self.belt, self.habits)
        self.take_for_granted()
        self.note("link", "connected")

    def exchange_mtu(self, mtu: int) -> None:
        """Both sides agreed on an ATT_MTU; records that do not fit a notification are split."""
        self._mtu = mtu

    def disconnect(self, now_s: float) -> None:
        """The link is gone; with it control, the open procedure and every unsent octet."""
        self.advance(now_s)
        self._lose_link()

    def _lose_link(self) -> None:
        if not self.connected:
            return
        self.connected = False
        self.give_up_control()
        self._answering = self._was_asked = False
        self._written_s = self._subscribed_s = -math.inf
        self._unheard.clear()
        self._preambles = frozenset()
        self._outbox.clear()
        self._next_record_s = math.inf
        self.note("link", "disconnected")

    # --- characteristics --------------------------------------------------------------------------

    def read(self, uuid16: int) -> bytes:
        """The value of a readable characteristic. Raises `LookupError` for one it has not."""
        habits = self.habits
        told = dict(habits.values)
        if habits.has(uuid16) and uuid16 in told:
            return told[uuid16]
        if uuid16 == FEATURE and habits.has(FEATURE):
            return records.feature(habits, heart_rate=self.heart_rate_bpm is not None)
        if uuid16 == TRAINING_STATUS and habits.has(TRAINING_STATUS):
            return records.training_status(self.belt, habits)
        if uuid16 == SPEED_RANGE and habits.has(SPEED_RANGE):
            return records.speed_range(habits.told_body or self.belt.spec, habits)
        if uuid16 == INCLINE_RANGE and habits.has(INCLINE_RANGE):
            return records.incline_range(habits.told_body or self.belt.spec)
        raise LookupError(f"no readable characteristic 0x{uuid16:04X}")

    def subscribe(self, uuid16: int, now_s: float) -> bool:
        """A client turns notifications on; whether this machine took notice.

        Whoever does not say so is taken to have subscribed to everything in good time.
        """
        self.advance(now_s)
        if too_soon(now_s, self._subscribed_s, self.habits.cccd_spacing_s):
            self._unheard.add(uuid16)
            return False
        self._subscribed_s = now_s
        self._unheard.discard(uuid16)
        if uuid16 == MACHINE_STATUS and self.habits.replays_last_status:
            self._post(MACHINE_STATUS, records.status(self._last_status, self.habits))
        return True

    def vendor_write(self, uuid: str, payload: bytes, now_s: float) -> None:
        """A write to a characteristic of the maker's: the right octets unlock something."""
        self.advance(now_s)
        self._preambles |= {
            each
            for each in self.habits.preambles
            if (each.characteristic, each.payload) == (uuid, payload)
        }

    def control_write(
        self, payload: bytes, now_s: float, *, indications_on: bool = True
    ) -> int | None:
        """A write to the control point: an ATT error code, or None when the write was taken.

        The answer to a write that was taken comes with `outgoing`; until it has, the procedure is
        open and another write is refused (FTMS 4.16.2, 4.16.3).
        """
        self.advance(now_s)
        self.writes.append((now_s, payload))
        error = self._att_error(payload, indications_on=indications_on)
        result = self._take(payload) if error is None else None
        self.journal.append(
            Incident(
                at_s=now_s, kind="write", what="", payload=payload, att_error=error, result=result
            )
        )
        return error

    def outgoing(self, now_s: float) -> list[Outgoing]:
        """What is due by now, in order. An indication handed out here counts as confirmed."""
        self.advance(now_s)
        self._queue_training_status()
        self._queue_record()
        due: list[Outgoing] = []
        while self._outbox and self._outbox[0][0] <= now_s:
            message = heapq.heappop(self._outbox)[2]
            if message[0] == CONTROL_POINT:
                self._answering = False
            due.append(message)
        return due

    def next_due_s(self) -> float:
        """When `outgoing` should be asked next; infinite when only a call from outside matters."""
        due_s = [self._next_record_s]
        if self._agenda:
            due_s.append(self._agenda[0][0])
        if self._outbox:
            due_s.append(self._outbox[0][0])
        if self._now_s < self._boots_until_s:
            due_s.append(self._boots_until_s)
        return min(due_s)

    # --- what is told -----------------------------------------------------------------------------

    def tell(self, event: MachineStatus) -> None:
        """A status event (0x2ADA) for the connected client."""
        self._last_status = event
        if not (self.habits.streams_speed and event.opcode == StatusCode.TARGET_SPEED_CHANGED):
            self._post(MACHINE_STATUS, records.status(event, self.habits))

    def _post(self, uuid16: int, payload: bytes, delay_s: float = 0.0) -> None:
        heard = uuid16 not in self._unheard and self.habits.has(uuid16)
        if self.connected and heard and self._is_awake():
            message: Outgoing = (uuid16, payload, "notify")
            heapq.heappush(self._outbox, (self._now_s + delay_s, next(self._order), message))

    def _queue_training_status(self) -> None:
        status = records.training_status(self.belt, self.habits)
        if status != self._told_training:
            self._told_training = status
            self._post(TRAINING_STATUS, status)

    def _queue_record(self) -> None:
        """The record that is due, if one is; records missed by a late caller are not made up."""
        if self._now_s < self._next_record_s:
            return
        while self._next_record_s <= self._now_s:
            self._next_record_s += self.habits.data_period_s
        if self._silence_s is not None:
            self._silent_until_s = self._now_s + self._silence_s
            self._silence_s = None
        if self._now_s < self._silent_until_s:
            return
        for delay_s, frame in self._telemetry.next(self.belt, self.habits, self._now_s, self._mtu):
            self._post(TREADMILL_DATA, frame, delay_s)
        if self.habits.streams_speed and self.belt.speed_kmh != self.belt.target_speed_kmh:
            self._post(MACHINE_STATUS, records.status(self._actual_speed_event(), self.habits))
        if self.heart_rate_bpm is not None:
            self._post(HEART_RATE, records.heart_rate(self.heart_rate_bpm))

    def _actual_speed_event(self) -> MachineStatus:
        """The speed that is, told as the target that changed (UREVO, while ramping)."""
        return MachineStatus(
            opcode=StatusCode.TARGET_SPEED_CHANGED, target_speed_kmh=self.belt.speed_kmh
        )

    # --- faults -----------------------------------------------------------------------------------

    def perform(self, timed: TimedAct) -> None:
        """Carry out an act whose moment has come."""
        super().perform(timed)
        match timed.act:
            case Act.SILENCE:
                self._silence_s = timed.value
            case Act.DROP_LINK:
                self._lose_link()
            case Act.REBOOT:
                self._lose_link()
                self._boots_until_s = self._now_s + REBOOT_S
            case Act.CONTROL_LOST:
                self.give_up_control()
                self.tell(MachineStatus(opcode=StatusCode.CONTROL_PERMISSION_LOST))
            case _:
                pass

    def clear_faults(self, now_s: float) -> None:
        """Back to the habits the machine was made with; acts still to come are forgotten."""
        super().clear_faults(now_s)
        self._silence_s = None
        self._silent_until_s = -math.inf

    # --- the control point ------------------------------------------------------------------------

    def _att_error(self, payload: bytes, *, indications_on: bool) -> int | None:
        if not self.connected:  # the link went in the same moment
            return UNLIKELY_ERROR
        if not 1 <= len(payload) <= LONGEST_REQUEST:
            return INVALID_ATTRIBUTE_LENGTH
        if not indications_on or CONTROL_POINT in self._unheard:
            return CCCD_IMPROPERLY_CONFIGURED
        return PROCEDURE_ALREADY_IN_PROGRESS if self._answering else None

    def _take(self, payload: bytes) -> int | None:
        """Carry out a request and answer it; ``None`` when this machine lets it drop."""
        if too_soon(self._now_s, self._written_s, self.habits.write_spacing_s):
            return None
        self._written_s = self._now_s
        place = next(self._order)  # ahead of the status events that the request causes
        if self._unlocks():
            result = self.carry_out(decode_request(payload))
        else:
            result = ResultCode.CONTROL_NOT_PERMITTED
        self._answer(payload[0], result, place)
        return result

    def _unlocks(self) -> bool:
        """Whether this write comes to an unlocked machine; what unlocked one write is used up."""
        each_write = {each for each in self.habits.preambles if each.at == "each-write"}
        unlocked = self._is_awake() and each_write <= self._preambles
        self._preambles -= each_write
        return unlocked

    def _is_awake(self) -> bool:
        return self._preambles >= set(self.habits.needs_unlocking)

    def _answer(self, opcode: int, result: int, place: int) -> None:
        source = self.habits.acknowledges
        if source == "none" or (source == "status" and self._is_mute_about(opcode, result)):
            return
        kind: Kind = "notify" if source == "notification" else "indicate"
        self._answering = True
        answer: Outgoing = (CONTROL_POINT, records.response(opcode, result), kind)
        due_s = self._now_s + self.habits.response_delay_s
        heapq.heappush(self._outbox, (due_s, place, answer))
        if self.habits.answers_twice:
            heapq.heappush(self._outbox, (due_s, next(self._order), answer))

    def _is_mute_about(self, opcode: int, result: int) -> bool:
        """A machine that answers with status events says only what they cannot (KingSmith MC21)."""
        if opcode == OpCode.REQUEST_CONTROL and result != ResultCode.CONTROL_NOT_PERMITTED:
            first, self._was_asked = not self._was_asked, True
            return not first
        return result == ResultCode.SUCCESS
