"""Little-endian fields as Bluetooth records lay them out: one description, read and written.

FTMS, Heart Rate and Running Speed records are all a row of small integers, each with a resolution
and perhaps one value that means "not available" (FTMS v1.0 section 1.7: little-endian throughout).
This module turns such a row into named values and back. It refuses to know which characteristic
a row belongs to, which fields a flag promises, and what any value means.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

Kind = Literal["u8", "u16", "s16", "u24", "u32"]
Fields = dict[str, Any]
"""Named values; ``warning`` is among them when the payload was too short or too long."""

_CODES: Final[Mapping[Kind, str]] = {"u8": "B", "u16": "H", "s16": "h", "u24": "3s", "u32": "I"}

LAYOUTS_KEPT: Final = 256
"""How many layouts are cached. Few are in use at a time; the bound is for peers that send noise."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, its `struct` code, and the way from raw to value and back.

    ``value_of`` gives ``None`` for "not available"; ``raw_of(None)`` gives the raw value that says
    so, or 0 where the format has none.
    """

    name: str
    code: str
    value_of: Callable[[Any], Any]
    raw_of: Callable[[Any], Any]

    @property
    def octets(self) -> int:
        """How many octets the field takes."""
        return struct.calcsize("<" + self.code)


def count(name: str, kind: Kind, unavailable: int | None = None) -> Field:
    """A whole number with resolution 1."""
    if kind == "u24":
        return Field(name, _CODES[kind], _from_u24, _to_u24)
    return Field(
        name,
        _CODES[kind],
        (lambda raw: raw)
        if unavailable is None
        else (lambda raw: None if raw == unavailable else raw),
        lambda value: _raw(value, 1, unavailable),
    )


def scaled(name: str, kind: Kind, per_unit: int, unavailable: int | None = None) -> Field:
    """A number with ``per_unit`` raw steps in one unit: 100 for a resolution of 0.01.

    Dividing two integers is correctly rounded, so 230 hundredths are exactly the float 2.3.
    """
    return Field(
        name,
        _CODES[kind],
        (lambda raw: raw / per_unit)
        if unavailable is None
        else (lambda raw: None if raw == unavailable else raw / per_unit),
        lambda value: _raw(value, per_unit, unavailable),
    )


def named(name: str, names: Mapping[int, str]) -> Field:
    """One octet that stands for a name; a reserved value is as good as none."""
    raws = {label: raw for raw, label in names.items()}
    return Field(name, "B", names.get, lambda value: _raw_of_name(raws, value))


@dataclass(frozen=True, slots=True)
class Layout:
    """A row of fields, cut to what fits into so many octets and ready to be read many times."""

    unpack_from: Callable[[bytes, int], tuple[Any, ...]]
    plan: tuple[tuple[str, Callable[[Any], Any]], ...]
    warning: Literal["truncated", "trailing"] | None

    def read(self, payload: bytes, offset: int = 0) -> Fields:
        """The available values of ``payload`` from ``offset`` on, and ``warning`` if any."""
        values: Fields = {}
        for (name, value_of), raw in zip(self.plan, self.unpack_from(payload, offset), strict=True):
            value = value_of(raw)
            if value is not None:
                values[name] = value
        if self.warning is not None:
            values["warning"] = self.warning
        return values


@lru_cache(maxsize=LAYOUTS_KEPT)
def layout(fields: tuple[Field, ...], room: int) -> Layout:
    """The whole fields that fit into ``room`` octets, in order; the first that does not ends it.

    A later, smaller field is never moved up: its offset would be a guess.
    """
    fitting: list[Field] = []
    left = room
    for field in fields:
        if field.octets > left:
            break
        fitting.append(field)
        left -= field.octets
    cut = len(fitting) < len(fields)
    return Layout(
        struct.Struct("<" + "".join(field.code for field in fitting)).unpack_from,
        tuple((field.name, field.value_of) for field in fitting),
        "truncated" if cut else "trailing" if left else None,
    )


def read(fields: tuple[Field, ...], payload: bytes, offset: int = 0) -> Fields:
    """The values of ``fields`` that ``payload`` holds from ``offset`` on; see `Layout.read`."""
    return layout(fields, max(0, len(payload) - offset)).read(payload, min(offset, len(payload)))


def write(fields: tuple[Field, ...], values: Mapping[str, Any]) -> bytes:
    """The octets of ``fields``; an absent value is written as "not available", or as 0.

    Raises `ValueError` for a value that does not fit its field or would read as "not available".
    """
    octets = bytearray()
    for field in fields:
        value = values.get(field.name)
        try:
            octets += struct.pack("<" + field.code, field.raw_of(value))
        except (struct.error, OverflowError) as error:
            raise ValueError(f"{field.name}: {value!r} does not fit the field") from error
    return bytes(octets)


def text(payload: bytes) -> str:
    """UTF-8 as machines send it: NULs around it stripped, broken octets shown as U+FFFD."""
    return payload.decode("utf-8", errors="replace").strip("\0")


def _raw(value: float | None, per_unit: int, unavailable: int | None) -> int:
    if value is None:
        return 0 if unavailable is None else unavailable
    raw = round(value * per_unit)
    if raw == unavailable:
        raise ValueError(f"{value!r} is the value that means not available")
    return raw


def _raw_of_name(raws: Mapping[str, int], label: str | None) -> int:
    if label is None or label not in raws:
        raise ValueError(f"{label!r} is not one of {', '.join(raws)}")
    return raws[label]


def _from_u24(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _to_u24(value: float | None) -> bytes:
    return round(value or 0).to_bytes(3, "little")
