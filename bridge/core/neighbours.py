"""Bytes to values for the services beside FTMS: heart rate, running speed, device information.

Also the service data by which a fitness machine is known before anyone connects. Layouts: Heart
Rate Service v1.0 (0x2A37), GATT Specification Supplement (0x2A53), Fitness Machine Service v1.0
section 3.1 (service data of 0x1826). This module refuses to know treadmills, straps by name, and
whether a heart rate is believable.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from bridge.core import wire
from bridge.core.errors import DecodeError
from bridge.core.wire import Field, Fields, count, scaled

# --- Heart Rate Measurement (0x2A37) -------------------------------------------------------------

_WIDE_BPM: Final = 0x01
_CONTACT: Final = 0x02
_CONTACT_KNOWN: Final = 0x04
_ENERGY: Final = 0x08
_RR: Final = 0x10
_RR_OCTETS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartRate:
    """One measurement of a strap. ``sensor_contact`` is ``None`` when the strap cannot tell."""

    heart_rate_bpm: int
    sensor_contact: bool | None = None
    energy_kj: int | None = None
    rr_intervals_s: tuple[float, ...] = ()


def read_heart_rate(payload: bytes) -> Fields:
    """``heart_rate_bpm``, ``sensor_contact``, ``energy_kj``, ``rr_intervals_s`` as far as sent.

    RR intervals come in 1/1024 s, oldest first, and are given to 0.1 ms. Raises `DecodeError` for
    an empty payload.
    """
    if not payload:
        raise DecodeError("Heart Rate Measurement is empty")
    flags = payload[0]
    fields: tuple[Field, ...] = (count("heart_rate_bpm", "u16" if flags & _WIDE_BPM else "u8"),)
    if flags & _ENERGY:
        fields += (count("energy_kj", "u16"),)
    values: Fields = {}
    if flags & _CONTACT_KNOWN:
        values["sensor_contact"] = flags & _CONTACT != 0
    values |= wire.read(fields, payload, 1)
    if flags & _RR and values.get("warning") != "truncated":
        values.pop("warning", None)
        values |= _rr_intervals(payload[1 + sum(field.octets for field in fields) :])
    return values


def _rr_intervals(rest: bytes) -> Fields:
    intervals = [
        round(int.from_bytes(rest[at : at + _RR_OCTETS], "little") / 1024, 4)
        for at in range(0, len(rest) - 1, _RR_OCTETS)
    ]
    values: Fields = {"rr_intervals_s": intervals} if intervals else {}
    if not intervals or len(rest) % _RR_OCTETS:
        values["warning"] = "truncated"
    return values


def decode_heart_rate(payload: bytes) -> HeartRate:
    """A measurement for use; raises `DecodeError` when it has no whole heart rate."""
    values = read_heart_rate(payload)
    if "heart_rate_bpm" not in values:
        raise DecodeError(f"{payload.hex()!r} holds no heart rate")
    return HeartRate(
        heart_rate_bpm=values["heart_rate_bpm"],
        sensor_contact=values.get("sensor_contact"),
        energy_kj=values.get("energy_kj"),
        rr_intervals_s=tuple(values.get("rr_intervals_s", ())),
    )


# --- RSC Measurement (0x2A53) --------------------------------------------------------------------

_STRIDE: Final = 0x01
_DISTANCE: Final = 0x02
_RUNNING: Final = 0x04
_KMH_PER_MPS: Final = 3.6


def _speed_from_raw(raw: int) -> float:
    # 1/256 m/s is 0.014 km/h; more than three decimals would be invented.
    return round(raw * _KMH_PER_MPS / 256, 3)


def _speed_to_raw(speed_kmh: float | None) -> int:
    return round((speed_kmh or 0) * 256 / _KMH_PER_MPS)


_RSC: Final[tuple[Field, ...]] = (
    Field("speed_kmh", "H", _speed_from_raw, _speed_to_raw),
    count("cadence_spm", "u8"),
)


def read_running_speed(payload: bytes) -> Fields:
    """``speed_kmh``, ``cadence_spm``, ``stride_length_cm``, ``distance_m``, ``running``.

    Raises `DecodeError` for an empty payload.
    """
    if not payload:
        raise DecodeError("RSC Measurement is empty")
    flags = payload[0]
    fields = _RSC
    if flags & _STRIDE:
        fields += (count("stride_length_cm", "u16"),)
    if flags & _DISTANCE:
        fields += (scaled("distance_m", "u32", 10),)
    return {"running": flags & _RUNNING != 0} | wire.read(fields, payload, 1)


# --- Device Information (0x2A24 to 0x2A29) -------------------------------------------------------


def read_text(payload: bytes) -> Fields:
    """``text`` of a Device Information string; see `decode_text`."""
    return {"text": decode_text(payload)}


def decode_text(payload: bytes) -> str:
    """A Device Information string without the NULs that some machines add.

    Raises `DecodeError` for an empty payload.
    """
    if not payload:
        raise DecodeError("the string is empty")
    return wire.text(payload)


# --- service data of 0x1826 ----------------------------------------------------------------------

MACHINE_TYPES: Final = (
    "treadmill",
    "cross_trainer",
    "step_climber",
    "stair_climber",
    "rower",
    "indoor_bike",
)
_UUID: Final = b"\x26\x18"
_KNOWN_TYPES: Final = (1 << len(MACHINE_TYPES)) - 1
_AVAILABLE: Final = 0x01
_SERVICE_DATA_OCTETS: Final = 3


def read_service_data(payload: bytes) -> Fields:
    """``available`` and ``machine_types`` from an advertisement, with or without the leading UUID.

    Some machines swap the octets of the type (TR1200) and some send one only. All known types
    live in the low octet, so where that one names nothing the other is taken. Raises `DecodeError`
    for an empty payload.
    """
    # As flags these two octets would be all reserved bits: nobody sends them.
    body = payload.removeprefix(_UUID)
    if not body:
        raise DecodeError("the service data is empty")
    values: Fields = {"available": body[0] & _AVAILABLE != 0}
    if len(body) == 1:
        return values | {"warning": "truncated"}
    known = [octet & _KNOWN_TYPES for octet in body[1:_SERVICE_DATA_OCTETS]]
    bits = next(filter(None, known), 0)
    values["machine_types"] = [name for bit, name in enumerate(MACHINE_TYPES) if bits >> bit & 1]
    if len(body) > _SERVICE_DATA_OCTETS:
        values["warning"] = "trailing"
    return values


def encode_service_data(machine_types: Collection[str], *, available: bool = True) -> bytes:
    """Service data without its UUID, as advertisers take it; `ValueError` for an unknown type."""
    bits = sum(1 << MACHINE_TYPES.index(name) for name in set(machine_types))
    return bytes((available, bits, 0))
