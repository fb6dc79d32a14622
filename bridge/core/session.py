"""The phases of a session, as a table, and what a session adds up to.

**The machine.** One session at a time walks through `Phase`. Every change of phase in the project
is one row of `TRANSITIONS`; a trigger without a row in the present phase does nothing, which is
the safe answer: a second *arm* does not arm twice, an *adopt* of a belt nobody armed adopts
nothing. Three ideas shape the rows:

1. Only ``ADOPT`` leads into motion, and only from ``ARMED`` or ``PAUSED``: phases in which a
   person has just asked for it (S1, S2).
2. Every phase in which the belt may move has a row for ``STOP`` and for ``MACHINE_STOPPED`` (S7,
   S9, S18), and ``STOPPING`` has no row back into motion.
3. ``HOLDING`` is left upward only by ``RELEASE``, which is a person's confirmation (S8, S11).

Totals are integrated from the measured speed, so that a machine that counts distance badly or not
at all still leaves a true record. Refuses to know how any trigger comes about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.core.messages import Direction, Phase

LONGEST_STEP_S = 3.0
"""A gap in the data longer than this is not integrated: nobody knows what the belt did."""


class Trigger(StrEnum):
    """What can move a session from one phase to another."""

    ARM = "arm"
    DISARM = "disarm"
    ADOPT = "adopt"
    TURN = "turn"
    TURNED = "turned"
    HOLD = "hold"
    RELEASE = "release"
    RELEASE_INTO_TURN = "release into turn"
    PAUSED = "paused"
    STOP = "stop"
    AT_REST = "at rest"
    MACHINE_STOPPED = "machine stopped"


TRANSITIONS: Mapping[tuple[Phase, Trigger], Phase] = {
    (Phase.IDLE, Trigger.ARM): Phase.ARMED,
    (Phase.ENDED, Trigger.ARM): Phase.ARMED,
    (Phase.ARMED, Trigger.DISARM): Phase.IDLE,
    (Phase.ARMED, Trigger.ADOPT): Phase.MOVING,
    (Phase.MOVING, Trigger.TURN): Phase.TURNING,
    (Phase.TURNING, Trigger.TURNED): Phase.MOVING,
    (Phase.MOVING, Trigger.HOLD): Phase.HOLDING,
    (Phase.TURNING, Trigger.HOLD): Phase.HOLDING,
    (Phase.PAUSED, Trigger.HOLD): Phase.HOLDING,
    (Phase.HOLDING, Trigger.RELEASE): Phase.MOVING,
    (Phase.HOLDING, Trigger.RELEASE_INTO_TURN): Phase.TURNING,
    (Phase.MOVING, Trigger.PAUSED): Phase.PAUSED,
    (Phase.TURNING, Trigger.PAUSED): Phase.PAUSED,
    (Phase.HOLDING, Trigger.PAUSED): Phase.PAUSED,
    (Phase.STOPPING, Trigger.PAUSED): Phase.PAUSED,
    (Phase.PAUSED, Trigger.ADOPT): Phase.MOVING,
    (Phase.MOVING, Trigger.STOP): Phase.STOPPING,
    (Phase.TURNING, Trigger.STOP): Phase.STOPPING,
    (Phase.HOLDING, Trigger.STOP): Phase.STOPPING,
    (Phase.PAUSED, Trigger.STOP): Phase.STOPPING,
    (Phase.STOPPING, Trigger.AT_REST): Phase.ENDED,
    (Phase.MOVING, Trigger.MACHINE_STOPPED): Phase.ENDED,
    (Phase.TURNING, Trigger.MACHINE_STOPPED): Phase.ENDED,
    (Phase.HOLDING, Trigger.MACHINE_STOPPED): Phase.ENDED,
    (Phase.PAUSED, Trigger.MACHINE_STOPPED): Phase.ENDED,
    (Phase.STOPPING, Trigger.MACHINE_STOPPED): Phase.ENDED,
    (Phase.ARMED, Trigger.MACHINE_STOPPED): Phase.IDLE,
}

IN_SESSION = frozenset({Phase.MOVING, Phase.TURNING, Phase.HOLDING, Phase.PAUSED, Phase.STOPPING})
"""The phases of a session that has begun and has not ended."""

DRIVING = frozenset({Phase.MOVING, Phase.TURNING})
"""The phases in which the program's clock runs and targets may be handed out."""


@dataclass(slots=True)
class Totals:
    """What a session adds up to; all from the measured speed."""

    elapsed_s: float = 0.0
    distance_m: float = 0.0
    backward_time_s: float = 0.0
    backward_distance_m: float = 0.0
    top_backward_kmh: float = 0.0

    def add(self, speed_kmh: float, seconds: float, direction: Direction) -> None:
        """The belt ran at this measured speed for this long."""
        distance_m = speed_kmh / 3.6 * seconds
        self.elapsed_s += seconds
        self.distance_m += distance_m
        if direction is Direction.BACKWARD:
            self.backward_time_s += seconds
            self.backward_distance_m += distance_m
            self.top_backward_kmh = max(self.top_backward_kmh, speed_kmh)

    def summary(self) -> dict[str, object]:
        """The totals, rounded as people read them."""
        return {
            "elapsed_s": round(self.elapsed_s, 1),
            "distance_m": round(self.distance_m, 1),
            "backward_time_s": round(self.backward_time_s, 1),
            "backward_distance_m": round(self.backward_distance_m, 1),
            "top_backward_kmh": round(self.top_backward_kmh, 2),
        }


@dataclass(slots=True)
class Session:
    """The session of one treadmill: its phase, its id while there is one, its totals."""

    phase: Phase = Phase.IDLE
    id: str | None = None
    totals: Totals = field(default_factory=Totals)
    counted_at_s: float | None = None

    def move(self, trigger: Trigger) -> bool:
        """Take the row for this trigger; false where there is none, and nothing happens."""
        after = TRANSITIONS.get((self.phase, trigger))
        if after is None:
            return False
        self.phase = after
        return True

    @property
    def running(self) -> bool:
        """A session has begun and has not ended."""
        return self.phase in IN_SESSION

    def count(self, speed_kmh: float, direction: Direction, now_s: float) -> None:
        """A measurement came: add the time since the one before."""
        before_s, self.counted_at_s = self.counted_at_s, now_s
        if before_s is None or speed_kmh <= 0 or now_s - before_s > LONGEST_STEP_S:
            return
        self.totals.add(speed_kmh, now_s - before_s, direction)
