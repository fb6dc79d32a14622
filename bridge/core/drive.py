"""The four speeds of one session, and how a goal becomes one cleared target after the other.

*requested* is what program or person want now, *cleared* what the governor has handed out,
*acknowledged* and *measured* are the belt's beliefs. One of speed and incline moves at a time:
going up the incline first, going down the speed first (S14). Refuses to know where a goal comes
from.
"""

import math
from dataclasses import dataclass, field
from typing import assert_never

from bridge.core.belt import Belt
from bridge.core.control_point import ControlPoint, Kind, Settled, Verdict
from bridge.core.governor import View, clear_incline, clear_speed
from bridge.core.messages import ClearedIncline, ClearedSpeed, Refused
from bridge.core.watch import Watch

STEADY_KMH = 0.05
"""How near the measured speed must be to count as having reached the cleared one: half of the step
of nearly every machine. One with a coarser step gets half of its own."""

UNKNOWN_SETTLES_S = 2.0
"""S17: how long the measurement must agree with one of the two candidates to settle a doubt."""

_DUST = 1e-9


@dataclass(slots=True)
class Drive:
    """What was requested and cleared, and since when. Speeds in km/h, inclines in percent."""

    control_point: ControlPoint
    watch: Watch = field(default_factory=Watch)
    requested_speed_kmh: float | None = None
    requested_incline_pct: float | None = None
    cleared_speed_kmh: float = 0.0
    cleared_incline_pct: float = 0.0
    written_at_s: float = -math.inf
    due_at_s: float = -math.inf
    steady_since_s: float | None = None
    doubt_kmh: float | None = None
    doubt_since_s: float | None = None

    def adopt(self, belt: Belt, now_s: float) -> None:
        """Begin from what the machine runs now; nothing is written."""
        self.cleared_speed_kmh = round(belt.measured_speed_kmh or 0.0, 2)
        self.cleared_incline_pct = round(belt.measured_incline_pct or 0.0, 1)
        belt.acknowledged_speed_kmh = self.cleared_speed_kmh
        belt.acknowledged_incline_pct = self.cleared_incline_pct
        belt.unknown_outcome = False
        self.steady_since_s = now_s
        self.doubt_kmh = self.doubt_since_s = None
        self.due_at_s = now_s
        self.watch.adopt(self.cleared_speed_kmh, now_s)

    def at_rest(self) -> None:
        """The belt stands: nothing is requested and nothing cleared."""
        self.requested_speed_kmh = self.requested_incline_pct = None
        self.cleared_speed_kmh = 0.0
        self.steady_since_s = None

    def change_due(self, now_s: float) -> None:
        """A new goal begins to count: its ramp grows from here."""
        self.due_at_s = now_s

    @property
    def changed_at_s(self) -> float:
        """Where the ramp grows from."""
        return max(self.written_at_s, self.due_at_s)

    def towards(
        self, speed_kmh: float, incline_pct: float, view: View, now_s: float
    ) -> ClearedSpeed | ClearedIncline | Refused | None:
        """Hand out the next target on the way to a goal; ``None`` when it is reached.

        The goal is on the machine's grid (`reachable_kmh`, `reachable_pct`), or what runs already.
        """
        self.requested_speed_kmh, self.requested_incline_pct = speed_kmh, incline_pct
        if self.control_point.busy:
            return None  # what is cleared now is meant for now, not for when an answer has come
        answer: ClearedSpeed | ClearedIncline | Refused
        if speed_kmh < self.cleared_speed_kmh - _DUST:
            answer = clear_speed(speed_kmh, view)
        elif abs(incline_pct - self.cleared_incline_pct) > _DUST and view.incline_range is not None:
            answer = clear_incline(incline_pct, view)
        elif speed_kmh > self.cleared_speed_kmh + _DUST:
            answer = clear_speed(speed_kmh, view)
        else:
            return None
        self._hand_out(answer, view, now_s)
        return answer

    def _hand_out(
        self, answer: ClearedSpeed | ClearedIncline | Refused, view: View, now_s: float
    ) -> None:
        match answer:
            case ClearedSpeed(speed_kmh=speed_kmh):
                self.watch.cleared(speed_kmh, view.measured_speed_kmh, now_s)
                self.cleared_speed_kmh = speed_kmh
                self.control_point.want_speed(answer)
            case ClearedIncline(incline_pct=incline_pct):
                self.cleared_incline_pct = incline_pct
                self.control_point.want_incline(answer)
            case Refused():
                return
            case _:
                assert_never(answer)
        self.written_at_s = now_s
        self.steady_since_s = None

    def measured(self, belt: Belt, now_s: float) -> bool:
        """A measurement came. True when it shows for the first time that the target is reached."""
        measured_kmh = belt.measured_speed_kmh
        if measured_kmh is None:
            return False
        self._settle_doubt(belt, measured_kmh, now_s)
        near_kmh = max(STEADY_KMH, belt.speed_range.step_speed_kmh / 2)
        if abs(measured_kmh - self.cleared_speed_kmh) > near_kmh + _DUST:
            self.steady_since_s = None
            return False
        if self.steady_since_s is not None:
            return False
        self.steady_since_s = now_s
        return True

    def _settle_doubt(self, belt: Belt, measured_kmh: float, now_s: float) -> None:
        """S17: the measurement decides which of two targets the machine really has."""
        if not belt.unknown_outcome:
            return
        candidates = (self.cleared_speed_kmh, belt.acknowledged_speed_kmh)
        near = next(
            (
                kmh
                for kmh in candidates
                if kmh is not None and abs(kmh - measured_kmh) <= STEADY_KMH
            ),
            None,
        )
        if near is None or near != self.doubt_kmh:
            self.doubt_kmh, self.doubt_since_s = near, now_s
            return
        assert self.doubt_since_s is not None  # set together with doubt_kmh
        if now_s - self.doubt_since_s >= UNKNOWN_SETTLES_S - _DUST:
            belt.unknown_outcome = False
            belt.acknowledged_speed_kmh = self.cleared_speed_kmh = near
            if belt.measured_incline_pct is not None:
                self.cleared_incline_pct = belt.measured_incline_pct
                belt.acknowledged_incline_pct = belt.measured_incline_pct
            self.doubt_kmh = self.doubt_since_s = None

    def settled(self, settled: Settled, belt: Belt) -> None:
        """A procedure is over: acknowledge its target, take it back, or note the doubt."""
        kind, value = settled.procedure.kind, settled.procedure.value
        match settled.verdict:
            case Verdict.TAKEN:
                belt.control_held = belt.control_held or kind is Kind.CONTROL
            case Verdict.DONE:
                if kind is Kind.SPEED:
                    belt.acknowledged_speed_kmh = value
                elif kind is Kind.INCLINE:
                    belt.acknowledged_incline_pct = value
                elif kind is Kind.CONTROL:
                    belt.control_held = True
            case Verdict.REFUSED | Verdict.NO_CONTROL:
                self._take_back(kind, belt)
                if settled.verdict is Verdict.NO_CONTROL:
                    belt.control_held = False
            case Verdict.UNKNOWN:
                if kind in {Kind.SPEED, Kind.INCLINE, Kind.START}:
                    belt.unknown_outcome = True
            case _:
                assert_never(settled.verdict)

    def _take_back(self, kind: Kind, belt: Belt) -> None:
        """The machine said no: what it had before still stands, unless a newer target waits."""
        speed_kmh, incline_pct = belt.acknowledged_speed_kmh, belt.acknowledged_incline_pct
        waiting = self.control_point
        if kind is Kind.SPEED and speed_kmh is not None and waiting.speed is None:
            self.cleared_speed_kmh = self.watch.cleared_kmh = speed_kmh
        elif kind is Kind.INCLINE and incline_pct is not None and waiting.incline is None:
            self.cleared_incline_pct = incline_pct
