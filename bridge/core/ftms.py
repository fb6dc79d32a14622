"""Bytes to values and back for what a treadmill tells: data, features, ranges, training status.

Nothing else knows an offset or a flag bit of these characteristics. Sections named here are those
of the Fitness Machine Service v1.0; "GATT XML" is the field list published with it in 2017, "GSS"
the GATT Specification Supplement of 2024. This module refuses to know the control point
(`control_codec`), any machine's habits beyond the shape of its records, and what values are for.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from functools import lru_cache
from typing import Any, Final

from bridge.core import wire
from bridge.core.errors import DecodeError
from bridge.core.messages import InclineRange, Reading, SpeedRange
from bridge.core.wire import Field, Fields, count, scaled

# --- Treadmill Data (0x2ACD, section 4.4) --------------------------------------------------------

_FLAGS_OCTETS: Final = 2
_MORE_DATA: Final = 0x0001
_PACE: Final = 0x0060
_STEPS: Final = 0x2000


def _pace_from_u8(raw: int) -> float | None:
    # 0.1 km/min (GATT XML), published as its inverse; 0 km/min has none.
    return 10 / raw if raw else None


def _pace_to_u8(min_per_km: float | None) -> int:
    if min_per_km is None:
        return 0
    if not min_per_km > 0:
        raise ValueError(f"a pace of {min_per_km!r} min/km is none")
    return max(1, round(10 / min_per_km))


def _pace_from_u16(raw: int) -> float | None:
    # Seconds for 500 m (GSS); no time at all for 500 m is no pace.
    return raw / 30 if raw else None


def _pace_to_u16(min_per_km: float | None) -> int:
    return 0 if min_per_km is None else round(min_per_km * 30)


# By flag bit, in the order of the record. Bit 0 is inverted on the wire; here it means "speed".
_GROUPS: Final[Mapping[int, tuple[Field, ...]]] = {
    0: (scaled("speed_kmh", "u16", 100),),
    1: (scaled("average_speed_kmh", "u16", 100),),
    2: (count("distance_m", "u24"),),
    3: (scaled("incline_pct", "s16", 10, 0x7FFF), scaled("ramp_angle_deg", "s16", 10, 0x7FFF)),
    4: (
        scaled("elevation_gain_m", "u16", 10),
        scaled("negative_elevation_gain_m", "u16", 10),
    ),
    5: (Field("pace_min_per_km", "B", _pace_from_u8, _pace_to_u8),),
    6: (Field("average_pace_min_per_km", "B", _pace_from_u8, _pace_to_u8),),
    7: (
        count("energy_kcal", "u16", 0xFFFF),
        count("energy_per_hour_kcal", "u16", 0xFFFF),
        count("energy_per_minute_kcal", "u8", 0xFF),
    ),
    8: (count("heart_rate_bpm", "u8"),),
    # 0.1 by the GATT XML; the GSS prints 1. Per-model corrections happen elsewhere.
    9: (scaled("met", "u8", 10),),
    10: (count("elapsed_s", "u16"),),
    11: (count("remaining_s", "u16"),),
    12: (count("force_n", "s16", 0x7FFF), count("power_w", "s16", 0x7FFF)),
}
_WIDE_PACE: Final[Mapping[int, tuple[Field, ...]]] = {
    5: (Field("pace_min_per_km", "H", _pace_from_u16, _pace_to_u16),),
    6: (Field("average_pace_min_per_km", "H", _pace_from_u16, _pace_to_u16),),
}
# Bit 13 is reserved. UREVO, CITYSPORTS and FitShow count steps there in 24 bits, KingSmith in 16.
_STEPS_BIT: Final = 13
_WIDE_STEPS: Final = (count("steps", "u24"),)
_NARROW_STEPS: Final = (count("steps", "u16"),)
_NARROW_STEPS_OCTETS: Final = 2


_NOTHING: Final[Mapping[str, object]] = {field.name: None for field in dataclass_fields(Reading)}


@dataclass(frozen=True, slots=True)
class _Record:
    """How notifications with the same flags and length become a `Reading`."""

    unpack_from: Callable[[bytes, int], tuple[Any, ...]]
    present: tuple[tuple[str, Callable[[Any], object]], ...]
    constant: Mapping[str, object]


def decode_treadmill_data(payload: bytes) -> Reading:
    """One Treadmill Data notification as it is: every whole field, and what is wrong with it.

    Raises `DecodeError` when there are not even flags.
    """
    room = len(payload) - _FLAGS_OCTETS
    if room < 0:
        raise DecodeError(f"Treadmill Data of {len(payload)} octets has no flags")
    record = _record(payload[0] | payload[1] << 8, room)
    # A record comes up to ten times a second from each machine, and the keyword constructor of a
    # frozen record is most of what decoding it costs: the dictionary behind it is filled instead.
    reading = object.__new__(Reading)
    values = reading.__dict__
    values.update(record.constant)
    raws = record.unpack_from(payload, _FLAGS_OCTETS)
    # Both come from the same fields; checking that again costs a tenth of the whole.
    for (name, value_of), raw in zip(record.present, raws, strict=False):
        values[name] = value_of(raw)
    return reading


@lru_cache(maxsize=wire.LAYOUTS_KEPT)
def _record(flags: int, room: int) -> _Record:
    layout = wire.layout(_record_fields(flags, room), room)
    known = {"more_data": flags & _MORE_DATA != 0, "warning": layout.warning}
    return _Record(layout.unpack_from, layout.plan, {**_NOTHING, **known})


def _record_fields(flags: int, room: int) -> tuple[Field, ...]:
    """The fields of a record with these flags and ``room`` octets after them.

    The type of the two pace fields is disputed (u8 or u16), so the length decides, and u8 where it
    does not: the one treadmill known to send pace (Star Trac, 32 octets for 0x17FE) fits u8 alone.
    """
    present = flags ^ _MORE_DATA
    rests = (2, 3) if flags & _STEPS else (0,)
    fields = _fields(present, _GROUPS)
    if flags & _PACE and room - _octets(fields) not in rests:
        wide = _fields(present, {**_GROUPS, **_WIDE_PACE})
        if room - _octets(wide) in rests:
            fields = wide
    if flags & _STEPS:
        narrow = room - _octets(fields) == _NARROW_STEPS_OCTETS
        fields += _NARROW_STEPS if narrow else _WIDE_STEPS
    return fields


def _fields(present: int, groups: Mapping[int, tuple[Field, ...]]) -> tuple[Field, ...]:
    return tuple(field for bit, group in groups.items() if present >> bit & 1 for field in group)


def _octets(fields: tuple[Field, ...]) -> int:
    return sum(field.octets for field in fields)


def encode_treadmill_data(reading: Reading) -> bytes:
    """One notification with every field that is set; pace as u8, steps as u24.

    A field that shares its flag with one that is set goes out as "not available", elevation gain
    (which has no such value) as 0. Raises `ValueError` for a value out of its field's range and
    for a record whose ``more_data`` contradicts its speed: the same bit says both.
    """
    if reading.more_data == (reading.speed_kmh is not None):
        raise ValueError("more_data means that speed is absent, and the other way round")
    return _notification(_set_bits(reading), reading)


def split_treadmill_data(reading: Reading, octets: int) -> tuple[bytes, ...]:
    """One whole record as notifications of at most ``octets`` each; speed goes in the last one.

    ``octets`` is ATT_MTU - 3 (section 4.1). Raises `ValueError` when one flag's fields alone are
    longer, and as `encode_treadmill_data` does.
    """
    if reading.speed_kmh is None or reading.more_data:
        raise ValueError("a whole record has a speed and no more data")
    parts: list[tuple[int, ...]] = [()]
    for bit in (*(bit for bit in _set_bits(reading) if bit), 0):
        if len(_notification((bit,), reading)) > octets:
            raise ValueError(f"the fields of flag {bit} do not fit into {octets} octets")
        if len(_notification((*parts[-1], bit), reading)) > octets:
            parts.append(())
        parts[-1] = (*parts[-1], bit)
    return tuple(_notification(part, reading) for part in parts)


_ALL_GROUPS: Final = {**_GROUPS, _STEPS_BIT: _WIDE_STEPS}


def _set_bits(reading: Reading) -> tuple[int, ...]:
    return tuple(
        bit
        for bit, group in _ALL_GROUPS.items()
        if any(getattr(reading, field.name) is not None for field in group)
    )


def _notification(bits: Collection[int], reading: Reading) -> bytes:
    present = sum(1 << bit for bit in bits)
    fields = _fields(present, _ALL_GROUPS)
    values = {field.name: getattr(reading, field.name) for field in fields}
    return (present ^ _MORE_DATA).to_bytes(_FLAGS_OCTETS, "little") + wire.write(fields, values)


# --- records in several notifications (sections 4.1 and 4.19) ------------------------------------

RECORD_LIFETIME_S: Final = 2.0
"""How long a record may stay open: two periods of the slowest machines seen (one record a second).
The fragments of one record follow each other within milliseconds."""

_VALUE_NAMES: Final = tuple(
    field.name for field in dataclass_fields(Reading) if field.name not in {"more_data", "warning"}
)


class RecordJoiner:
    """Joins the notifications of a split record; a whole record passes through at once.

    A fragment that brings only vendor data (bit 13) while no record is open belongs to the record
    before it: FitShow machines send it up to 48 ms late, and merged forward it would be wrong.
    """

    def __init__(self) -> None:
        self._open: Fields = {}
        self._opened_s = 0.0
        self._last: Reading | None = None
        self._emitted_s = 0.0

    @property
    def last(self) -> Reading | None:
        """The last whole record, with the vendor data that came after it."""
        return self._last

    def push(self, reading: Reading, now_s: float) -> Reading | None:
        """Take one notification; the whole record when this one completes it, else ``None``."""
        if self._open and now_s - self._opened_s > RECORD_LIFETIME_S:
            self._open = {}
        if not reading.more_data:
            return self._close(reading, now_s)
        values = _values(reading)
        if not self._open and values.keys() <= {"steps", "warning"}:
            self._attach(values, now_s)
        else:
            self._extend(values, now_s)
        return None

    def drop(self) -> None:
        """Forget everything: the link is gone, and the rest of a record never comes after it."""
        self._open = {}
        self._last = None

    def _close(self, reading: Reading, now_s: float) -> Reading:
        whole = reading
        if self._open:
            values = _values(reading)
            if not _repeats(self._open, values):
                whole = Reading(**{**values, **self._open})
            self._open = {}
        self._last = whole
        self._emitted_s = now_s
        return whole

    def _extend(self, values: Fields, now_s: float) -> None:
        if not self._open or _repeats(self._open, values):
            self._open = {}
            self._opened_s = now_s
        self._open = {**values, **self._open}

    def _attach(self, values: Fields, now_s: float) -> None:
        if self._last is not None and now_s - self._emitted_s <= RECORD_LIFETIME_S:
            self._last = replace(self._last, **values)


def _values(reading: Reading) -> Fields:
    values: Fields = {}
    for name in (*_VALUE_NAMES, "warning"):
        value = getattr(reading, name)
        if value is not None:
            values[name] = value
    return values


def _repeats(record: Fields, values: Fields) -> bool:
    """Whether a field comes again, which it never does inside one record (section 4.19)."""
    return bool((record.keys() & values.keys()) - {"warning"})


# --- Fitness Machine Feature (0x2ACC, section 4.3) -----------------------------------------------

FEATURES: Final = (
    "average_speed",
    "cadence",
    "total_distance",
    "incline",
    "elevation_gain",
    "pace",
    "step_count",
    "resistance_level",
    "stride_count",
    "expended_energy",
    "heart_rate",
    "metabolic_equivalent",
    "elapsed_time",
    "remaining_time",
    "power",
    "force_on_belt_power_output",
    "user_data_retention",
)
TARGETS: Final = (
    "speed",
    "incline",
    "resistance",
    "power",
    "heart_rate",
    "expended_energy",
    "step_number",
    "stride_number",
    "distance",
    "training_time",
    "time_in_2_hr_zones",
    "time_in_3_hr_zones",
    "time_in_5_hr_zones",
    "indoor_bike_simulation",
    "wheel_circumference",
    "spin_down",
    "cadence",
)
_HALF: Final = 4


def read_features(payload: bytes) -> Fields:
    """``features`` and ``targets`` by name, in bit order; octets that are missing count as 0.

    Reserved bits are ignored (profile section 4.4.1). Raises `DecodeError` for an empty payload.
    """
    if not payload:
        raise DecodeError("Fitness Machine Feature is empty")
    values: Fields = {
        "features": _names(FEATURES, payload[:_HALF]),
        "targets": _names(TARGETS, payload[_HALF : 2 * _HALF]),
    }
    if len(payload) != 2 * _HALF:
        values["warning"] = "truncated" if len(payload) < 2 * _HALF else "trailing"
    return values


def encode_features(features: Collection[str], targets: Collection[str]) -> bytes:
    """The characteristic that claims these; raises `ValueError` for a name that is not one."""
    return _bits(FEATURES, features) + _bits(TARGETS, targets)


def _names(names: tuple[str, ...], octets: bytes) -> list[str]:
    bits = int.from_bytes(octets, "little")
    return [name for bit, name in enumerate(names) if bits >> bit & 1]


def _bits(names: tuple[str, ...], chosen: Collection[str]) -> bytes:
    return sum(1 << names.index(name) for name in set(chosen)).to_bytes(_HALF, "little")


# --- supported ranges (0x2AD4 to 0x2AD8, sections 4.11 to 4.15) ----------------------------------

_SPEED_RANGE: Final = (
    scaled("min_speed_kmh", "u16", 100),
    scaled("max_speed_kmh", "u16", 100),
    scaled("step_speed_kmh", "u16", 100),
)
_INCLINE_RANGE: Final = (
    scaled("min_incline_pct", "s16", 10),
    scaled("max_incline_pct", "s16", 10),
    scaled("step_incline_pct", "u16", 10),
)
_RESISTANCE_RANGE: Final = (
    scaled("min_resistance", "s16", 10),
    scaled("max_resistance", "s16", 10),
    scaled("step_resistance", "u16", 10),
)
# The GSS has three octets with a resolution of 10; the GATT XML and machines have six.
_COARSE_RESISTANCE_RANGE: Final = tuple(
    Field(field.name, "B", lambda raw: raw * 10.0, lambda value: round((value or 0) / 10))
    for field in _RESISTANCE_RANGE
)
_COARSE_RESISTANCE_OCTETS: Final = 3
_HEART_RATE_RANGE: Final = (
    count("min_heart_rate_bpm", "u8"),
    count("max_heart_rate_bpm", "u8"),
    count("step_heart_rate_bpm", "u8"),
)
_POWER_RANGE: Final = (
    count("min_power_w", "s16"),
    count("max_power_w", "s16"),
    count("step_power_w", "u16"),
)


def read_speed_range(payload: bytes) -> Fields:
    """0x2AD4, km/h."""
    return wire.read(_SPEED_RANGE, payload)


def read_incline_range(payload: bytes) -> Fields:
    """0x2AD5, percent."""
    return wire.read(_INCLINE_RANGE, payload)


def read_resistance_range(payload: bytes) -> Fields:
    """0x2AD6, no unit; which of two layouts it is shows in the length."""
    coarse = len(payload) == _COARSE_RESISTANCE_OCTETS
    return wire.read(_COARSE_RESISTANCE_RANGE if coarse else _RESISTANCE_RANGE, payload)


def read_heart_rate_range(payload: bytes) -> Fields:
    """0x2AD7, beats a minute."""
    return wire.read(_HEART_RATE_RANGE, payload)


def read_power_range(payload: bytes) -> Fields:
    """0x2AD8, watts."""
    return wire.read(_POWER_RANGE, payload)


def decode_speed_range(payload: bytes) -> SpeedRange:
    """0x2AD4 for use; raises `DecodeError` when it is cut short or its ends are swapped."""
    values = _whole_range(_SPEED_RANGE, payload)
    return SpeedRange(**values)


def decode_incline_range(payload: bytes) -> InclineRange:
    """0x2AD5 for use; raises `DecodeError` when it is cut short or its ends are swapped."""
    values = _whole_range(_INCLINE_RANGE, payload)
    return InclineRange(**values)


def encode_speed_range(speed_range: SpeedRange) -> bytes:
    """0x2AD4; raises `ValueError` for what does not fit."""
    return wire.write(_SPEED_RANGE, {f.name: getattr(speed_range, f.name) for f in _SPEED_RANGE})


def encode_incline_range(incline_range: InclineRange) -> bytes:
    """0x2AD5; raises `ValueError` for what does not fit."""
    return wire.write(
        _INCLINE_RANGE, {f.name: getattr(incline_range, f.name) for f in _INCLINE_RANGE}
    )


def _whole_range(fields: tuple[Field, ...], payload: bytes) -> Fields:
    values = wire.read(fields, payload)
    if values.pop("warning", None) == "truncated":
        raise DecodeError(f"a range of {len(payload)} octets is cut short")
    low, high, _ = values.values()
    if low > high:
        raise DecodeError(f"a range from {low} to {high} is empty")
    return values


# --- Training Status (0x2AD3, section 4.10) ------------------------------------------------------

TRAINING_STATUSES: Final = (
    "other",
    "idle",
    "warming_up",
    "low_intensity_interval",
    "high_intensity_interval",
    "recovery_interval",
    "isometric",
    "heart_rate_control",
    "fitness_test",
    "speed_below_control_region_low",
    "speed_above_control_region_high",
    "cool_down",
    "watt_control",
    "manual_mode_quick_start",
    "pre_workout",
    "post_workout",
)
_STRING: Final = 0x01
_ANY_STRING: Final = 0x03
_STRING_AT: Final = 2


def read_training_status(payload: bytes) -> Fields:
    """``training_status_code``, its name unless reserved, and ``text`` where one follows.

    Machines set the string flag and send none (FitShow, Yesoul); that is no fault. Raises
    `DecodeError` when there is no code.
    """
    if len(payload) < _STRING_AT:
        raise DecodeError(f"Training Status of {len(payload)} octets has no code")
    code = payload[1]
    values: Fields = {"training_status_code": code}
    if code < len(TRAINING_STATUSES):
        values["training_status"] = TRAINING_STATUSES[code]
    rest = payload[_STRING_AT:]
    if payload[0] & _ANY_STRING:
        if label := wire.text(rest):
            values["text"] = label
    elif rest:
        values["warning"] = "trailing"
    return values


def encode_training_status(code: int, label: str = "") -> bytes:
    """Training Status with its optional string; raises `ValueError` unless 0 <= code <= 255."""
    return bytes((_STRING if label else 0, code)) + label.encode()
