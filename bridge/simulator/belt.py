"""The belt and its incline motor: what a treadmill's body does, second by second.

Pure physics over explicit time steps. Between two bends of its course (a target reached, the start
delay over) everything moves linearly, so a step is computed exactly, whatever its length. Refuses
to know Bluetooth, FTMS and who pressed what.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

_SNAP = 1e-9
"""Closer than this to a target is there; far below 0.01 km/h, far above rounding."""
_NEAR = 1e-3
"""Closer than this to a step is on it; below every field's resolution."""


class Motion(StrEnum):
    """What the drive is doing. ``STOPPING`` ends in ``REST`` or, after a pause, in ``PAUSED``."""

    REST = "rest"
    RUNNING = "running"
    STOPPING = "stopping"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeltSpec:
    """One machine's body. Defaults are those of a plain home treadmill.

    Rates are km/h per second and percent per second. ``key_deceleration_kmh_per_s`` is how hard
    the belt stops when the safety key comes out. ``walker_mass_kg`` is what the machine assumes
    for its energy display.
    """

    min_speed_kmh: float = 0.5
    max_speed_kmh: float = 12.0
    step_speed_kmh: float = 0.1
    min_incline_pct: float = 0.0
    max_incline_pct: float = 12.0
    step_incline_pct: float = 0.5
    acceleration_kmh_per_s: float = 0.5
    deceleration_kmh_per_s: float = 0.8
    key_deceleration_kmh_per_s: float = 4.0
    incline_rate_pct_per_s: float = 0.5
    start_delay_s: float = 1.0
    walker_mass_kg: float = 70.0

    def offers_speed(self, speed_kmh: float) -> bool:
        """Whether ``speed_kmh`` is a step of this machine, not between two."""
        return abs(self.speed_on_step(speed_kmh) - speed_kmh) < _NEAR

    def offers_incline(self, incline_pct: float) -> bool:
        """Whether ``incline_pct`` is a step of this machine, not between two."""
        return abs(self.incline_on_step(incline_pct) - incline_pct) < _NEAR

    def speed_on_step(self, speed_kmh: float) -> float:
        """The machine's own step at or below ``speed_kmh``, within its range."""
        return _on_step(speed_kmh, self.min_speed_kmh, self.max_speed_kmh, self.step_speed_kmh)

    def incline_on_step(self, incline_pct: float) -> float:
        """The machine's own step at or below ``incline_pct``, within its range."""
        return _on_step(
            incline_pct, self.min_incline_pct, self.max_incline_pct, self.step_incline_pct
        )


class Belt:
    """A belt at rest, its key in. Time passes in `advance`; commands act at once on the targets.

    Commands answer whether the machine could do it; one that it could not changes nothing.
    """

    def __init__(self, spec: BeltSpec | None = None) -> None:
        self.spec = spec or BeltSpec()
        self.motion = Motion.REST
        self.speed_kmh = 0.0
        self.incline_pct = 0.0
        self.target_speed_kmh = 0.0
        self.target_incline_pct = 0.0
        self.distance_m = 0.0
        self.climb_m = 0.0
        self.elapsed_s = 0.0
        self.key_in = True
        self.latched = False
        """The key was out: only the console's own Start may start the belt."""
        self.runaway = False
        """The drive ignores its target and runs for the maximum; Stop and the key still work."""
        self.counts_time = True
        """Elapsed time runs while the belt does."""
        self.forgets_at_rest = False
        """The counters go to zero when the present stop is over."""
        self._stops_in = Motion.REST
        self._delay_left_s = 0.0

    @property
    def pausing(self) -> bool:
        """Paused, or on the way there."""
        ending = self.motion is Motion.STOPPING and self._stops_in is Motion.PAUSED
        return ending or self.motion is Motion.PAUSED

    @property
    def oxygen_ml_per_kg_min(self) -> float:
        """What walking takes now, by the ACSM equation of `energy_kcal`."""
        return self.speed_kmh / 3.6 * 60 * (0.1 + 1.8 * self.incline_pct / 100) + 3.5

    @property
    def energy_kcal(self) -> float:
        """What the machine displays: the ACSM walking equation at 5 kcal per litre of oxygen.

        VO2 in mL/kg/min = 0.1 speed + 1.8 speed x grade + 3.5 with speed in m/min, integrated.
        """
        oxygen_ml_per_kg = 0.1 * self.distance_m + 1.8 * self.climb_m + 3.5 * self.elapsed_s / 60
        return oxygen_ml_per_kg * self.spec.walker_mass_kg * 5 / 1000

    # --- commands ---------------------------------------------------------------------------------

    def start(self, target_speed_kmh: float | None = None, *, at_console: bool = False) -> bool:
        """Start or resume from a standstill, toward the minimum speed if none is named."""
        standing = self.motion in (Motion.REST, Motion.PAUSED)
        if not standing or not self.key_in or (self.latched and not at_console):
            return False
        spec = self.spec
        wanted = spec.min_speed_kmh if target_speed_kmh is None else target_speed_kmh
        self.latched = False
        self.motion = Motion.RUNNING
        self.target_speed_kmh = spec.speed_on_step(wanted)
        self._delay_left_s = spec.start_delay_s
        return True

    def stop(self) -> bool:
        """Slow down to rest. A belt already at rest cannot."""
        if self.motion is Motion.REST:
            return False
        self._stop_in(Motion.REST)
        return True

    def pause(self) -> bool:
        """Slow down to a pause, from which `start` resumes."""
        if self.motion is Motion.RUNNING:
            self._stop_in(Motion.PAUSED)
            return True
        return self.motion is Motion.STOPPING and self._stops_in is Motion.PAUSED

    def set_target_speed(self, speed_kmh: float) -> bool:
        """Steer for ``speed_kmh``, on the machine's step at or below; only while running."""
        if self.motion is not Motion.RUNNING:
            return False
        self.target_speed_kmh = self.spec.speed_on_step(speed_kmh)
        return True

    def set_target_incline(self, incline_pct: float) -> bool:
        """Move the incline, at rest too; not without the key."""
        if not self.key_in:
            return False
        self.target_incline_pct = self.spec.incline_on_step(incline_pct)
        return True

    def pull_key(self) -> None:
        """The safety key comes out: the belt stops hard and the incline motor where it is."""
        self.key_in = False
        self.latched = True
        self.target_incline_pct = self.incline_pct
        self._stop_in(Motion.REST)

    def insert_key(self) -> None:
        """The key goes back in. Nothing moves until the console's Start."""
        self.key_in = True

    def reset(self) -> None:
        """Counters to zero, targets to their defaults; a moving belt stops."""
        self._zero_counters()
        self.set_target_incline(0.0)
        self._stop_in(Motion.REST)

    def _zero_counters(self) -> None:
        self.distance_m = 0.0
        self.climb_m = 0.0
        self.elapsed_s = 0.0

    def _stop_in(self, end: Motion) -> None:
        self._stops_in = end
        self.target_speed_kmh = 0.0
        self._delay_left_s = 0.0
        self.motion = Motion.STOPPING
        self._settle()

    # --- time -------------------------------------------------------------------------------------

    def advance(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds pass. Raises `ValueError` unless finite and not negative."""
        if not math.isfinite(dt_s) or dt_s < 0:
            raise ValueError(f"time passes forward, not by {dt_s} s")
        left_s = dt_s
        while left_s > 0:
            step_s = min(left_s, self._until_bend_s())
            self._glide(step_s)
            left_s -= step_s

    def _goal_kmh(self) -> float:
        if self.motion is not Motion.RUNNING or self._delay_left_s > 0:
            return 0.0
        return self.spec.max_speed_kmh if self.runaway else self.target_speed_kmh

    def _rate_kmh_per_s(self) -> float:
        if self._goal_kmh() > self.speed_kmh:
            return self.spec.acceleration_kmh_per_s
        if self.key_in:
            return self.spec.deceleration_kmh_per_s
        return self.spec.key_deceleration_kmh_per_s

    def _until_bend_s(self) -> float:
        """How long everything goes on as it does now."""
        bends = [math.inf]
        if self._delay_left_s > 0:
            bends.append(self._delay_left_s)
        if self.speed_kmh != self._goal_kmh():
            bends.append(abs(self._goal_kmh() - self.speed_kmh) / self._rate_kmh_per_s())
        if self.incline_pct != self.target_incline_pct:
            away_pct = abs(self.target_incline_pct - self.incline_pct)
            bends.append(away_pct / self.spec.incline_rate_pct_per_s)
        return min(bends)

    def _glide(self, dt_s: float) -> None:
        """``dt_s`` seconds without a bend inside."""
        speed_kmh, incline_pct = self.speed_kmh, self.incline_pct
        rate = self._rate_kmh_per_s()
        self.speed_kmh = _toward(speed_kmh, self._goal_kmh(), rate * dt_s)
        self.incline_pct = _toward(
            incline_pct, self.target_incline_pct, self.spec.incline_rate_pct_per_s * dt_s
        )
        mean_kmh = (speed_kmh + self.speed_kmh) / 2
        mean_pct = (incline_pct + self.incline_pct) / 2
        self.distance_m += mean_kmh / 3.6 * dt_s
        # Speed times grade is quadratic between bends, and Simpson's rule is exact for it.
        climb_pct_kmh = speed_kmh * incline_pct + 4 * mean_kmh * mean_pct
        climb_pct_kmh += self.speed_kmh * self.incline_pct
        self.climb_m += climb_pct_kmh / 6 / 100 / 3.6 * dt_s
        if self.motion is Motion.RUNNING and mean_kmh > 0 and self.counts_time:
            self.elapsed_s += dt_s
        self._delay_left_s = _toward(self._delay_left_s, 0.0, dt_s)
        self._settle()

    def _settle(self) -> None:
        if self.motion is Motion.STOPPING and self.speed_kmh == 0:
            self.motion = self._stops_in
            self.runaway = False
            if self.forgets_at_rest:
                self.forgets_at_rest = False
                self._zero_counters()


def _toward(value: float, goal: float, most: float) -> float:
    """``value`` moved toward ``goal`` by at most ``most``, never past it."""
    if abs(goal - value) <= most + _SNAP:
        return goal
    return value + math.copysign(most, goal - value)


def _on_step(value: float, low: float, high: float, step: float) -> float:
    """``low`` plus whole steps, at or below ``value``, from ``low`` to ``high``."""
    steps = math.floor((min(max(value, low), high) - low) / step + 1e-6)
    return round(low + steps * step, 6)
