"""A simulated treadmill's values as the octets of its characteristics.

Composes the codec of the core with `Belt` and `Habits`; holds no state. The body lives in km/h and
percent: here are the units and codes in which this machine talks of it. Refuses to know layouts
(the codec's) and when anything is sent (`telemetry`'s and `ftms_server`'s).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bridge.core import control_codec, ftms
from bridge.core.messages import (
    ControlResponse,
    InclineRange,
    MachineStatus,
    Reading,
    SpeedRange,
)
from bridge.core.quirks import KMH_PER_MPH, InclineCodec
from bridge.simulator.belt import Belt, BeltSpec, Motion
from bridge.simulator.habits import TRUNCATED_OCTETS, Habits

SMALLEST_MTU = 23
_NOTIFICATION_HEADER_OCTETS = 3
_SPLIT_OCTETS = 12
"""Short enough that the plain record, 18 octets, takes two notifications."""

_ELAPSED_WRAPS_AT_S = 0x10000
_DUST = 1e-6
_MORE_DATA = 0x01
_TRAINING_TEXT = 0x01
_STRIDE_M = 0.6
_SLOWEST_PACE_MIN_PER_KM = 600.0
"""A standing belt has no pace, and its field no word for that."""

_REST_OXYGEN_ML_PER_KG_MIN = 3.5
"""One metabolic equivalent."""


def _average_kmh(belt: Belt) -> float:
    return belt.distance_m / belt.elapsed_s * 3.6 if belt.elapsed_s else 0.0


def _pace(speed_kmh: float) -> float:
    return min(60 / speed_kmh, _SLOWEST_PACE_MIN_PER_KM) if speed_kmh else _SLOWEST_PACE_MIN_PER_KM


def _kcal_per_h(belt: Belt) -> float:
    return belt.oxygen_ml_per_kg_min * belt.spec.walker_mass_kg * 5 / 1000 * 60


_TOLD: Mapping[str, Callable[[Belt], float]] = {
    "speed_kmh": lambda belt: belt.speed_kmh,
    "average_speed_kmh": _average_kmh,
    "distance_m": lambda belt: int(belt.distance_m),
    "incline_pct": lambda belt: belt.incline_pct,
    "ramp_angle_deg": lambda belt: math.degrees(math.atan(belt.incline_pct / 100)),
    "elevation_gain_m": lambda belt: max(belt.climb_m, 0.0),
    "negative_elevation_gain_m": lambda belt: max(-belt.climb_m, 0.0),
    "pace_min_per_km": lambda belt: _pace(belt.speed_kmh),
    "average_pace_min_per_km": lambda belt: _pace(_average_kmh(belt)),
    "energy_kcal": lambda belt: int(belt.energy_kcal),
    "energy_per_hour_kcal": lambda belt: int(_kcal_per_h(belt)),
    "energy_per_minute_kcal": lambda belt: int(_kcal_per_h(belt) / 60),
    "heart_rate_bpm": lambda _: 0,
    "met": lambda belt: belt.oxygen_ml_per_kg_min / _REST_OXYGEN_ML_PER_KG_MIN,
    "elapsed_s": lambda belt: int(belt.elapsed_s),
    "remaining_s": lambda _: 0,
    "force_n": lambda _: 0,
    "power_w": lambda _: 0,
    "steps": lambda belt: int(belt.distance_m / _STRIDE_M),
}
_LONG_RECORD = ("average_speed_kmh", "elevation_gain_m")
_FEATURES: Mapping[str, str] = {
    "average_speed_kmh": "average_speed",
    "distance_m": "total_distance",
    "incline_pct": "incline",
    "elevation_gain_m": "elevation_gain",
    "pace_min_per_km": "pace",
    "steps": "step_count",
    "energy_kcal": "expended_energy",
    "met": "metabolic_equivalent",
    "elapsed_s": "elapsed_time",
    "remaining_s": "remaining_time",
    "power_w": "force_on_belt_power_output",
}


def reading(belt: Belt, habits: Habits) -> Reading:
    """What the belt does now, in this machine's own fields, units and codes."""
    values: dict[str, Any] = {name: _TOLD[name](belt) for name in habits.record_fields}
    if habits.reports_in_mph:
        for name in values.keys() & {"speed_kmh", "average_speed_kmh"}:
            values[name] /= KMH_PER_MPH
    if "elapsed_s" in values:
        values["elapsed_s"] %= habits.elapsed_wraps_at_s or _ELAPSED_WRAPS_AT_S
    if "met" in values:
        values["met"] /= habits.met_factor
    if "incline_pct" in values:
        _tell_incline(values, belt, habits)
    if habits.zeroes_records:
        values = dict.fromkeys(values, 0.0)
    return Reading(**{**values, **dict(habits.fixed_fields)})


def _tell_incline(values: dict[str, Any], belt: Belt, habits: Habits) -> None:
    if habits.incline_told == "absent":
        del values["incline_pct"]
    elif habits.incline_told == "rubbish":
        values["incline_pct"] = (int(belt.distance_m) * 7 + 300) % 400 / 10
    elif habits.incline_reported != InclineCodec():
        values["incline_pct"] = habits.incline_reported.raw(belt.incline_pct) / 10


def frames(told: Reading, belt: Belt, habits: Habits, mtu: int) -> tuple[bytes, ...]:
    """``told`` as the notifications this machine would send at this ATT_MTU."""
    if habits.truncates_records:
        return (ftms.encode_treadmill_data(long_reading(told, belt))[:TRUNCATED_OCTETS],)
    room = mtu - _NOTIFICATION_HEADER_OCTETS
    octets = min(room, _SPLIT_OCTETS) if habits.splits_records else room
    whole = ftms.split_treadmill_data(told, octets)
    if len(whole) > 1:
        return whole
    [frame] = whole
    if habits.narrow_steps and told.steps is not None:
        frame = frame[:-1]
    if habits.hides_speed:
        frame = bytes((frame[0] | _MORE_DATA,)) + frame[1:]
    return (frame + bytes(habits.record_padding),)


def long_reading(told: Reading, belt: Belt) -> Reading:
    """The same as a gym console tells it: too long for the smallest ATT_MTU."""
    absent = [name for name in _LONG_RECORD if getattr(told, name) is None]
    more: dict[str, Any] = {name: _TOLD[name](belt) for name in absent}
    return replace(told, **more)


def steps_fragment() -> bytes:
    """Vendor data alone, with More Data set: always zero where it was seen (FitShow)."""
    return ftms.encode_treadmill_data(Reading(more_data=True, steps=0))


def feature(habits: Habits, *, heart_rate: bool) -> bytes:
    """0x2ACC: what is told, and what is taken."""
    names = [_FEATURES[name] for name in habits.record_fields if name in _FEATURES]
    targets = ("speed", "incline") if habits.has(0x2AD9) else ()
    return ftms.encode_features(names + ["heart_rate"] * heart_rate, targets)


def speed_range(spec: BeltSpec, habits: Habits) -> bytes:
    """0x2AD4; ends between two hundredths are told as the next ones inside."""
    hundredths = 100 / (KMH_PER_MPH if habits.ranges_in_mph else 1.0)
    return ftms.encode_speed_range(
        SpeedRange(
            min_speed_kmh=math.ceil(spec.min_speed_kmh * hundredths - _DUST) / 100,
            max_speed_kmh=math.floor(spec.max_speed_kmh * hundredths + _DUST) / 100,
            step_speed_kmh=spec.step_speed_kmh * hundredths / 100,
        )
    )


def incline_range(spec: BeltSpec) -> bytes:
    """0x2AD5."""
    return ftms.encode_incline_range(
        InclineRange(
            min_incline_pct=spec.min_incline_pct,
            max_incline_pct=spec.max_incline_pct,
            step_incline_pct=spec.step_incline_pct,
        )
    )


def training_status(belt: Belt, habits: Habits) -> bytes:
    """0x2AD3, by what the belt does."""
    codes = habits.training_codes
    if belt.motion is Motion.STOPPING:
        code = codes.stopping
    elif belt.motion is not Motion.REST:
        code = codes.running
    else:
        code = codes.stopped if belt.distance_m else codes.idle
    flags, *rest = ftms.encode_training_status(code)
    return bytes((flags | _TRAINING_TEXT * habits.promises_training_text, *rest))


def response(opcode: int, result: int) -> bytes:
    """0x2AD9: the answer to a request."""
    return control_codec.encode_response(ControlResponse(request_opcode=opcode, result_code=result))


def status(event: MachineStatus, habits: Habits) -> bytes:
    """0x2ADA, its parameter in this machine's unit or code."""
    parameters: dict[str, object] = {}
    if event.stop_or_pause is not None:
        parameters["stop_or_pause"] = event.stop_or_pause
    if event.target_speed_kmh is not None:
        unit_kmh = KMH_PER_MPH if habits.tells_targets_in_mph else 1.0
        parameters["target_speed_kmh"] = event.target_speed_kmh / unit_kmh
    if event.target_incline_pct is not None:
        told_pct = event.target_incline_pct
        if habits.incline_target != InclineCodec():
            told_pct = habits.incline_target.raw(told_pct) / 10
        parameters["target_incline_pct"] = told_pct
    return control_codec.encode_status(event.opcode, **parameters) + bytes(habits.status_padding)


def heart_rate(heart_rate_bpm: int) -> bytes:
    """0x2A37 with one octet of beats a minute and nothing else (HRS v1.0)."""
    return bytes((0, heart_rate_bpm))
