"""Rows of little-endian fields: cut, kept in place, and written back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import wire
from bridge.core.wire import count, named, scaled

ROW = (
    scaled("speed_kmh", "u16", 100),
    scaled("incline_pct", "s16", 10, 0x7FFF),
    count("distance_m", "u24"),
    count("energy_kcal", "u16", 0xFFFF),
    count("heart_rate_bpm", "u8"),
    named("stop_or_pause", {1: "stop", 2: "pause"}),
)
WHOLE = bytes.fromhex("e600 ecff 010203 1100 48 02")
VALUES = {
    "speed_kmh": 2.3,
    "incline_pct": -2.0,
    "distance_m": 0x030201,
    "energy_kcal": 17,
    "heart_rate_bpm": 72,
    "stop_or_pause": "pause",
}


def test_every_kind_of_field_is_read() -> None:
    """Scaled, signed, 24-bit, whole and named fields have exact values."""
    assert wire.read(ROW, WHOLE) == VALUES


def test_reading_starts_at_the_offset() -> None:
    """Octets before the offset are not looked at."""
    assert wire.read(ROW, b"\xff\xff" + WHOLE, 2) == VALUES


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_a_cut_row_keeps_the_whole_fields_before_the_cut(cut: int) -> None:
    """A later field never moves up into room that an earlier one did not fill."""
    ends = {2: 1, 4: 2, 7: 3, 9: 4, 10: 5}
    whole = max((fields for end, fields in ends.items() if end <= cut), default=0)
    expected = dict(list(VALUES.items())[:whole]) | {"warning": "truncated"}
    assert wire.read(ROW, WHOLE[:cut]) == expected


def test_octets_left_over_are_told() -> None:
    """A row longer than its fields gives all of them and a warning."""
    assert wire.read(ROW, WHOLE + b"\0") == VALUES | {"warning": "trailing"}


def test_an_offset_beyond_the_payload_is_truncation() -> None:
    """Nothing to read is not an error here: the caller decides what is hopeless."""
    assert wire.read(ROW, b"\0", 3) == {"warning": "truncated"}
    assert wire.read((), b"", 1) == {}


def test_not_available_and_reserved_values_are_left_out() -> None:
    """The marked raw values, and a code without a name, give no key."""
    payload = bytes.fromhex("0000 ff7f 000000 ffff 00 03")
    assert wire.read(ROW, payload) == {"speed_kmh": 0.0, "distance_m": 0, "heart_rate_bpm": 0}


def test_absent_values_are_written_as_not_available_or_zero() -> None:
    """What has a mark for "not available" gets it, what has none gets 0."""
    assert wire.write(ROW[:5], {}) == bytes.fromhex("0000 ff7f 000000 ffff 00")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("speed_kmh", -0.01),
        ("speed_kmh", 655.36),
        ("speed_kmh", float("nan")),
        ("speed_kmh", float("inf")),
        ("incline_pct", 3276.7),  # the mark itself
        ("distance_m", -1),
        ("distance_m", 1 << 24),
        ("energy_kcal", 0xFFFF),
        ("stop_or_pause", "halt"),
        ("stop_or_pause", None),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: object) -> None:
    """A value never wraps, saturates or turns into "not available" on the wire."""
    with pytest.raises(ValueError, match=r".+"):
        wire.write(ROW, VALUES | {name: value})


@given(st.binary(min_size=11, max_size=11))
def test_what_was_read_is_written_back(payload: bytes) -> None:
    """Raw to value and back loses no bit, for every raw value that has a name."""
    payload = payload[:-1] + bytes((payload[-1] % 2 + 1,))
    assert wire.write(ROW, wire.read(ROW, payload)) == payload


def test_text_is_shown_as_well_as_it_can_be() -> None:
    """NULs around a string go, inner ones stay, and broken UTF-8 is marked."""
    assert wire.text(b"Laufband \xc3\xbc\0\0") == "Laufband ü"
    assert wire.text(b"\xff\0A") == "\ufffd\0A"


def test_the_layouts_kept_are_bounded() -> None:
    """A peer that sends a new length each time cannot fill the memory."""
    for room in range(2 * wire.LAYOUTS_KEPT):
        wire.layout(ROW, room)
    assert wire.layout.cache_info().currsize == wire.LAYOUTS_KEPT
