"""Records that many tests of the core start from. Plain values: no data file is read."""

from dataclasses import replace
from typing import Any

from bridge.core.governor import Permit, View
from bridge.core.messages import Direction, InclineRange, Level, SpeedRange

LEVEL = Level(
    id="T",
    rank=1,
    name="for tests",
    backward_max_kmh=4.0,
    forward_max_kmh=5.5,
    lateral_max_kmh=1.5,
    step_kmh=0.3,
    hold_s=20.0,
    ramp_up_backward_kmh_per_s=0.1,
    ramp_up_forward_kmh_per_s=0.2,
    ramp_down_kmh_per_s=0.2,
    warn_up_s=8.0,
    warn_down_s=5.0,
    incline_max_pct=8.0,
    incline_rate_pct_per_s=0.25,
    assumed_proven_backward_kmh=2.2,
    assumed_proven_forward_kmh=5.5,
    assumed_proven_lateral_kmh=1.0,
)

TENTHS = SpeedRange(min_speed_kmh=0.5, max_speed_kmh=20.0, step_speed_kmh=0.1)
HALVES = InclineRange(min_incline_pct=0.0, max_incline_pct=15.0, step_incline_pct=0.5)

# Said at 980 s, so the eight seconds of warning were over at 988 s.
PERMIT = Permit(
    delivered_at_s=980.0,
    lead_s=8.0,
    from_kmh=2.0,
    speed_kmh=4.0,
    from_pct=1.0,
    incline_pct=8.0,
)

# Everything is as a rise needs it: a belt that has run 2.0 km/h at 1 % for long, all heard.
GOOD = View(
    now_s=1000.0,
    level=LEVEL,
    direction=Direction.BACKWARD,
    speed_range=TENTHS,
    incline_range=HALVES,
    person_max_kmh=None,
    units_proven=True,
    armed=True,
    link_up=True,
    control_held=True,
    key_out=False,
    turn_open=False,
    fresh=True,
    measured_speed_kmh=2.0,
    measured_incline_pct=1.0,
    unknown_outcome=False,
    heart_too_high=False,
    cleared_speed_kmh=2.0,
    cleared_incline_pct=1.0,
    written_at_s=999.0,
    changed_at_s=999.0,
    urgent=False,
    steady_since_s=900.0,
    proven_kmh=3.0,
    permit=PERMIT,
)


def view(**changes: Any) -> View:
    """`GOOD` with these fields changed."""
    return replace(GOOD, **changes)


def level(**changes: Any) -> Level:
    """`LEVEL` with these fields changed."""
    return replace(LEVEL, **changes)


def permit(**changes: Any) -> Permit:
    """`PERMIT` with these fields changed."""
    return replace(PERMIT, **changes)


def speeds(low_kmh: float, high_kmh: float, step_kmh: float) -> SpeedRange:
    """A machine's speed range."""
    return SpeedRange(min_speed_kmh=low_kmh, max_speed_kmh=high_kmh, step_speed_kmh=step_kmh)


def inclines(low_pct: float, high_pct: float, step_pct: float) -> InclineRange:
    """A machine's incline range."""
    return InclineRange(
        min_incline_pct=low_pct, max_incline_pct=high_pct, step_incline_pct=step_pct
    )
