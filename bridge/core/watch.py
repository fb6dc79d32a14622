"""What the machine does of its own accord: stale data, runaways, the console's own buttons.

Compares measured with cleared, over time. Four findings, and which rule they belong to:

- *stale*: no data for 10 s (S10);
- *runaway*: faster than cleared by more than 0.3 km/h for 2 s and not slowing, or rising after a
  decrease (S12);
- *not following*: far slower than cleared for 20 s (S12);
- *console*: somebody chose another speed at the machine (S8), told by a status event, or seen
  because a belt that had settled on the cleared speed left it without being asked.

Refuses to know what is done about any of it.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.core.belt import Belt

STALE_HOLD_S = 10.0
"""S10: how long without data until the program holds and says so."""

RUNAWAY_KMH = 0.3
RUNAWAY_S = 2.0
"""S12; a 3G Cardio went 0.6, 1.3, 2.4, 4.2, 6.1 km/h while it was told to slow down (QZ #3382)."""

BEHIND_KMH = 0.3
BEHIND_S = 20.0
"""S12: a belt this far below for this long does not follow."""

CONSOLE_S = 2.0
"""S8: how long a settled belt must run another speed before it counts as somebody's choice."""

KMH_PER_MPH = 1.609344
MPH_TOLERANCE_KMH = 0.1  # one step of the console's rounding

OWN_TARGETS_S = 30.0
"""How long a target of ours may still be echoed in a status event (the belt may still ramp)."""

_DUST = 1e-6


class Finding(StrEnum):
    """What was seen."""

    STALE = "stale"
    RUNAWAY = "runaway"
    NOT_FOLLOWING = "not following"
    CONSOLE = "console"


@dataclass(slots=True)
class Watch:
    """Looks at one belt while a session runs."""

    cleared_kmh: float = 0.0
    lowered_from_kmh: float | None = None
    settled: bool = False
    over_since_s: float | None = None
    behind_since_s: float | None = None
    astray_since_s: float | None = None
    own_targets: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=64))

    def adopt(self, speed_kmh: float, now_s: float) -> None:
        """From now on this speed is the cleared one (a belt was adopted, or a hold released)."""
        self.cleared_kmh = speed_kmh
        self.lowered_from_kmh = None
        self.settled = False
        self.over_since_s = self.behind_since_s = self.astray_since_s = None
        self.own_targets.append((now_s, speed_kmh))

    def cleared(self, speed_kmh: float, measured_kmh: float | None, now_s: float) -> None:
        """A new target was handed out."""
        self.lowered_from_kmh = measured_kmh if speed_kmh < self.cleared_kmh else None
        self.cleared_kmh = speed_kmh
        self.settled = False
        # Not `over_since_s`: a belt that ignores every step of a walk-down is over all the while.
        self.behind_since_s = self.astray_since_s = None
        self.own_targets.append((now_s, speed_kmh))

    def told_target(self, target_kmh: float, now_s: float) -> Finding | None:
        """A status event names a target: ours echoed or passed through, or the console's."""
        recent = [self.cleared_kmh]
        if not self.settled:  # on its way, the belt may still be told of what led to it
            recent += [kmh for at_s, kmh in self.own_targets if now_s - at_s <= OWN_TARGETS_S]
        if min(recent) - 0.05 <= target_kmh <= max(recent) + 0.05:
            return None
        return Finding.RUNAWAY if self._not_by_hand(target_kmh) else Finding.CONSOLE

    def _not_by_hand(self, target_kmh: float) -> bool:
        """What nobody's hand did: our own target read as miles, or slower answered by faster."""
        if self.settled:
            return False
        lowered_from_kmh = self.lowered_from_kmh
        if lowered_from_kmh is not None and target_kmh > lowered_from_kmh + RUNAWAY_KMH + _DUST:
            return True
        return abs(target_kmh - self.cleared_kmh * KMH_PER_MPH) <= MPH_TOLERANCE_KMH

    def stale(self, belt: Belt, now_s: float) -> bool:
        """S10: nothing heard for so long that the program must hold."""
        age_s = belt.data_age_s(now_s)
        return age_s is not None and age_s >= max(STALE_HOLD_S, belt.stale_after_s)

    def look(self, belt: Belt, now_s: float) -> Finding | None:
        """Judge the measurement that has just come."""
        measured_kmh = belt.measured_speed_kmh
        if measured_kmh is None:
            return None
        if self._runaway(measured_kmh, belt, now_s):
            return Finding.RUNAWAY
        if self._behind(measured_kmh, now_s):
            return Finding.NOT_FOLLOWING
        if self._astray(measured_kmh, belt, now_s):
            return Finding.CONSOLE
        return None

    def _runaway(self, measured_kmh: float, belt: Belt, now_s: float) -> bool:
        lowered_from_kmh = self.lowered_from_kmh
        if lowered_from_kmh is not None and measured_kmh > lowered_from_kmh + RUNAWAY_KMH + _DUST:
            return True
        over = measured_kmh > self.cleared_kmh + RUNAWAY_KMH + _DUST and not belt.falling
        if not over:
            self.over_since_s = None
            return False
        if self.over_since_s is None:
            self.over_since_s = now_s
        return now_s - self.over_since_s >= RUNAWAY_S - _DUST

    def _behind(self, measured_kmh: float, now_s: float) -> bool:
        if measured_kmh >= self.cleared_kmh - BEHIND_KMH - _DUST:
            self.behind_since_s = None
            return False
        if self.behind_since_s is None:
            self.behind_since_s = now_s
        return now_s - self.behind_since_s >= BEHIND_S - _DUST

    def _astray(self, measured_kmh: float, belt: Belt, now_s: float) -> bool:
        step_kmh = belt.speed_range.step_speed_kmh
        off_kmh = abs(measured_kmh - self.cleared_kmh)
        if off_kmh <= step_kmh / 2 + _DUST:
            self.settled = True
        if not self.settled or off_kmh < step_kmh - _DUST:
            self.astray_since_s = None
            return False
        if self.astray_since_s is None:
            self.astray_since_s = now_s
        return now_s - self.astray_since_s >= CONSOLE_S - _DUST
