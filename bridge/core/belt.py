"""What we believe about the machine, and how old the belief is.

Fed by decoded readings, status events and the control point's outcomes; asked by everyone else.
Believes only what the machine said: a target that was asked is not a speed that runs. Refuses to
know programs, people and rules.
"""

from dataclasses import dataclass, field
from typing import Literal

from bridge.core.messages import Machine, MachineStatus, Reading, SpeedRange, StatusCode

AT_REST_KMH = 0.05
"""At or below this a belt counts as standing: finer than any machine's step, above rounding."""

STALE_AFTER_S = 3.0
"""S10: without a measurement for this long nothing rises (or three periods of a slower machine)."""

STALE_PERIODS = 3.0
LONGEST_PERIOD_S = 5.0
"""A gap longer than this is an outage, not a period; it does not stretch the stale limit."""

STEADY_SPREAD_KMH = 0.1
"""How far apart measurements of a belt that keeps its speed may lie: one step of most machines."""

_DUST = 1e-9

UNKNOWN_RANGE = SpeedRange(min_speed_kmh=1.0, max_speed_kmh=6.0, step_speed_kmh=0.1)
"""For a machine that does not tell its range: what every walking pad in the captures can do."""


@dataclass(slots=True)
class Belt:
    """The belief about one machine. ``None`` is unknown, never zero."""

    link_up: bool = False
    machine: Machine = field(default_factory=Machine)
    measured_speed_kmh: float | None = None
    measured_incline_pct: float | None = None
    measured_at_s: float | None = None
    period_s: float = 1.0
    key: Literal["in", "out", "unknown"] = "unknown"
    control_held: bool = False
    acknowledged_speed_kmh: float | None = None
    acknowledged_incline_pct: float | None = None
    unknown_outcome: bool = False
    heart_rate_bpm: int | None = None
    falling: bool = False
    steady_kmh: float | None = None
    steady_since_s: float = 0.0

    def connect(self, machine: Machine) -> None:
        """Begin anew with what this machine says of itself; old beliefs do not cross a link."""
        self.forget()
        self.link_up = True
        self.machine = machine

    def forget(self) -> None:
        """Drop every belief that needs a link to be true. The safety key stays out if it was."""
        self.link_up = False
        self.measured_speed_kmh = None
        self.measured_incline_pct = None
        self.measured_at_s = None
        self.period_s = 1.0
        self.control_held = False
        self.acknowledged_speed_kmh = None
        self.acknowledged_incline_pct = None
        self.unknown_outcome = False
        self.heart_rate_bpm = None
        self.falling = False
        self.steady_kmh = None

    def read(self, reading: Reading, now_s: float) -> None:
        """Take in one whole Treadmill Data record. A record without speed proves only life."""
        if self.measured_at_s is not None:
            gap_s = now_s - self.measured_at_s
            if gap_s < LONGEST_PERIOD_S:
                self.period_s += (gap_s - self.period_s) / 4
        self.measured_at_s = now_s
        if reading.speed_kmh is not None:
            before = self.measured_speed_kmh
            self.falling = before is not None and reading.speed_kmh < before
            self.measured_speed_kmh = reading.speed_kmh
            self._note_steady(reading.speed_kmh, now_s)
        if reading.incline_pct is not None:
            self.measured_incline_pct = reading.incline_pct
        if reading.heart_rate_bpm:
            self.heart_rate_bpm = reading.heart_rate_bpm

    def _note_steady(self, speed_kmh: float, now_s: float) -> None:
        around_kmh = self.steady_kmh
        if (
            around_kmh is None
            or abs(speed_kmh - around_kmh) > STEADY_SPREAD_KMH + _DUST
            or (speed_kmh > AT_REST_KMH) != (around_kmh > AT_REST_KMH)
        ):
            self.steady_kmh, self.steady_since_s = speed_kmh, now_s

    def status(self, status: MachineStatus) -> None:
        """Take in one Fitness Machine Status event, as far as it changes a belief."""
        match status.opcode:
            case StatusCode.STOPPED_BY_SAFETY_KEY:
                self.key = "out"
            case StatusCode.STARTED_OR_RESUMED_BY_USER:
                self.key = "in"
            case StatusCode.CONTROL_PERMISSION_LOST | StatusCode.RESET:
                self.control_held = False
            case _:
                pass

    @property
    def speed_range(self) -> SpeedRange:
        """What the machine says it can do, or `UNKNOWN_RANGE`."""
        return self.machine.speed_range or UNKNOWN_RANGE

    @property
    def at_rest(self) -> bool:
        """The last measurement says that the belt stands."""
        speed_kmh = self.measured_speed_kmh
        return speed_kmh is not None and speed_kmh <= AT_REST_KMH

    @property
    def moving(self) -> bool:
        """The last measurement says that the belt moves."""
        speed_kmh = self.measured_speed_kmh
        return speed_kmh is not None and speed_kmh > AT_REST_KMH

    def steady(self, seconds: float) -> bool:
        """The measurements of at least this long say that the belt keeps its speed."""
        if self.steady_kmh is None or self.measured_at_s is None:
            return False
        return self.measured_at_s - self.steady_since_s >= seconds - _DUST

    def data_age_s(self, now_s: float) -> float | None:
        """Seconds since the last record, or ``None`` when there was none on this link."""
        return None if self.measured_at_s is None else now_s - self.measured_at_s

    @property
    def stale_after_s(self) -> float:
        """S10: 3 s or three of this machine's own periods, whichever is longer."""
        return max(STALE_AFTER_S, STALE_PERIODS * self.period_s)

    def fresh(self, now_s: float) -> bool:
        """A measurement young enough to act on."""
        age_s = self.data_age_s(now_s)
        return self.link_up and age_s is not None and age_s <= self.stale_after_s
