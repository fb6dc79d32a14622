"""The treadmill as a thing in a room: belt, console, safety key, and what happens to it in time.

Everything a hand can do to it, and the agenda of acts still to come. What it has to tell the
outside (status events) goes to `Machine.tell`, which `ftms_server` turns into octets. Pure: time
comes in as ``now_s`` with every call and never goes back. Refuses to know Bluetooth.
"""

import heapq
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bridge.core.messages import MachineStatus, StatusCode
from bridge.simulator.belt import Belt, BeltSpec, Motion
from bridge.simulator.habits import Act, Fault, HabitChange, Habits, TimedAct


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One line of the machine's journal: a control-point write, a hand at the console, a fault.

    ``payload``, ``att_error`` and ``result`` belong to writes: an ATT error, else a result code;
    with neither the machine dropped it.
    """

    at_s: float
    kind: Literal["write", "console", "fault", "link"]
    what: str
    payload: bytes = b""
    att_error: int | None = None
    result: int | None = None


class Machine:
    """A treadmill that is switched on at ``now_s``: at rest, key in.

    ``journal`` holds everything that was done to it, for whoever shows it.
    """

    def __init__(
        self,
        *,
        spec: BeltSpec | None = None,
        habits: Habits | None = None,
        faults: Iterable[Fault] = (),
        now_s: float = 0.0,
    ) -> None:
        self.belt = Belt(spec)
        self.habits = habits or Habits()
        self.journal: list[Incident] = []
        self.started_s = -math.inf
        """When the belt was last told to move."""
        self.walked = True
        """Somebody is on the belt."""
        self._as_made = self.habits
        self._now_s = now_s
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, TimedAct]] = []
        for fault in faults:
            self.set_fault(fault, now_s)

    # --- time and faults --------------------------------------------------------------------------

    def advance(self, now_s: float) -> None:
        """Let time pass up to ``now_s``, every act on the agenda at its own moment."""
        while self._agenda and self._agenda[0][0] <= now_s:
            at_s, _, timed = heapq.heappop(self._agenda)
            self._pass_time(at_s)
            self.perform(timed)
        self._pass_time(now_s)

    def _pass_time(self, now_s: float) -> None:
        self.belt.counts_time = self.walked or not self.habits.elapsed_while_walked
        self.belt.advance(max(now_s - self._now_s, 0.0))
        self._now_s = max(now_s, self._now_s)

    def set_fault(self, fault: Fault, now_s: float) -> None:
        """Change a habit at once, or put an act on the agenda, counted from now."""
        self.advance(now_s)
        if isinstance(fault, HabitChange):
            self.habits = fault.applied(self.habits)
        else:
            self.plan(fault)

    def clear_faults(self, now_s: float) -> None:
        """Back to the habits the machine was made with; acts still to come are forgotten."""
        self.advance(now_s)
        self.habits = self._as_made
        self._agenda.clear()
        self.belt.runaway = False

    def plan(self, timed: TimedAct) -> None:
        """Put ``timed`` on the agenda."""
        heapq.heappush(self._agenda, (self._now_s + timed.after_s, next(self._order), timed))

    def perform(self, timed: TimedAct) -> None:
        """Carry out an act whose moment has come."""
        now_s = self._now_s
        match timed.act:
            case Act.PRESS_START:
                self.press_start(now_s)
            case Act.KEY_OUT:
                self.pull_key(now_s)
            case Act.CONSOLE_SPEED:
                self.console_speed(timed.value, now_s)
            case Act.CONSOLE_STOP:
                self.press_stop(now_s)
            case Act.RUNAWAY:
                self.note("fault", "runaway")
                self.belt.runaway = True
            case Act.REBOOT:
                self.note("fault", "reboot")
                self._boot()
            case Act.SILENCE | Act.DROP_LINK | Act.CONTROL_LOST:
                self.note("fault", timed.act.value)
            case Act.TARGET_FADES:
                pass

    def _boot(self) -> None:
        key_in = self.belt.key_in
        self.belt = Belt(self.belt.spec)
        if not key_in:
            self.belt.pull_key()

    # --- a hand at the console --------------------------------------------------------------------

    def press_start(self, now_s: float) -> None:
        """Start, or resume; nothing without the key. Some consoles only ask a client to."""
        self._hand("start", now_s)
        asks = self.habits.console_asks
        if asks is not None:
            if self.belt.key_in and self.belt.motion in (Motion.REST, Motion.PAUSED):
                self.belt.latched = False
                self.tell(MachineStatus(opcode=asks[0], stop_or_pause=asks[1]))
        elif self._start_belt():
            self.tell(MachineStatus(opcode=StatusCode.STARTED_OR_RESUMED_BY_USER))

    def press_stop(self, now_s: float) -> None:
        """Stop."""
        self._hand("stop", now_s)
        if self.belt.stop():
            self.tell(stopped_by_user("stop"))

    def press_pause(self, now_s: float) -> None:
        """Pause."""
        self._hand("pause", now_s)
        if self.belt.pause():
            self.tell(stopped_by_user("pause"))

    def console_speed(self, speed_kmh: float, now_s: float) -> None:
        """The speed key for ``speed_kmh``; a belt that stands still is started with it."""
        self._hand(f"speed {speed_kmh:g}", now_s)
        if self._start_belt(speed_kmh):
            self.tell(MachineStatus(opcode=StatusCode.STARTED_OR_RESUMED_BY_USER))
        elif not self.belt.set_target_speed(speed_kmh):
            return
        self.tell(self.speed_event())

    def console_incline(self, incline_pct: float, now_s: float) -> None:
        """The incline key for ``incline_pct``."""
        self._hand(f"incline {incline_pct:g}", now_s)
        if self.belt.set_target_incline(incline_pct):
            self.tell(self.incline_event())

    def pull_key(self, now_s: float) -> None:
        """The safety key comes out."""
        self._hand("key-out", now_s)
        if self.belt.key_in:
            self.belt.pull_key()
            self.tell(MachineStatus(opcode=StatusCode.STOPPED_BY_SAFETY_KEY))

    def insert_key(self, now_s: float) -> None:
        """The safety key goes back in. Nothing moves, and FTMS has no event for it."""
        self._hand("key-in", now_s)
        self.belt.insert_key()

    def step_off(self, now_s: float) -> None:
        """Nobody is on the belt any more."""
        self._hand("step-off", now_s)
        self.walked = False

    def step_on(self, now_s: float) -> None:
        """Somebody is on the belt again."""
        self._hand("step-on", now_s)
        self.walked = True

    def _start_belt(self, speed_kmh: float | None = None) -> bool:
        """Start as the console does."""
        if not self.belt.start(speed_kmh, at_console=True):
            return False
        self.started_s = self._now_s
        return True

    def _hand(self, what: str, now_s: float) -> None:
        self.advance(now_s)
        self.note("console", what)

    # --- what is told -----------------------------------------------------------------------------

    def tell(self, event: MachineStatus) -> None:
        """A status event for whoever is connected; here, nobody can be."""

    def note(self, kind: Literal["console", "fault", "link"], what: str) -> None:
        """A line in the journal."""
        self.journal.append(Incident(at_s=self._now_s, kind=kind, what=what))

    def speed_event(self) -> MachineStatus:
        """The event that tells the present target speed."""
        return MachineStatus(
            opcode=StatusCode.TARGET_SPEED_CHANGED, target_speed_kmh=self.belt.target_speed_kmh
        )

    def incline_event(self) -> MachineStatus:
        """The event that tells the present target incline."""
        return MachineStatus(
            opcode=StatusCode.TARGET_INCLINE_CHANGED,
            target_incline_pct=self.belt.target_incline_pct,
        )

    def snapshot(self, now_s: float) -> dict[str, object]:
        """How the machine stands, in plain values."""
        self.advance(now_s)
        belt = self.belt
        return {
            "motion": belt.motion.value,
            "speed_kmh": round(belt.speed_kmh, 2),
            "target_speed_kmh": belt.target_speed_kmh,
            "incline_pct": round(belt.incline_pct, 1),
            "target_incline_pct": belt.target_incline_pct,
            "distance_m": round(belt.distance_m, 1),
            "elapsed_s": round(belt.elapsed_s, 1),
            "key_in": belt.key_in,
        }


def stopped_by_user(which: Literal["stop", "pause"]) -> MachineStatus:
    """The event of a stop or a pause."""
    return MachineStatus(opcode=StatusCode.STOPPED_OR_PAUSED_BY_USER, stop_or_pause=which)
