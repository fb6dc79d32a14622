"""Heart rate, running speed, device information and service data, by their specifications."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import neighbours, wire
from bridge.core.errors import DecodeError
from bridge.core.neighbours import HeartRate


def octets(text: str) -> bytes:
    """Hex with spaces between the fields."""
    return bytes.fromhex(text)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("00 48", {"heart_rate_bpm": 72}),
        ("01 2c01", {"heart_rate_bpm": 300}),
        ("02 48", {"heart_rate_bpm": 72}),  # contact detected by a strap that cannot tell
        ("04 48", {"heart_rate_bpm": 72, "sensor_contact": False}),
        ("06 48", {"heart_rate_bpm": 72, "sensor_contact": True}),
        ("08 48 ffff", {"heart_rate_bpm": 72, "energy_kj": 65_535}),
        ("10 48 0004 0002", {"heart_rate_bpm": 72, "rr_intervals_s": [1.0, 0.5]}),
        (
            "1f 4800 0a00 0104",
            {"heart_rate_bpm": 72, "sensor_contact": True, "energy_kj": 10}
            | {"rr_intervals_s": [1.001]},
        ),
        ("00 48 00", {"heart_rate_bpm": 72, "warning": "trailing"}),
        ("10 48", {"heart_rate_bpm": 72, "warning": "truncated"}),
        ("10 48 00", {"heart_rate_bpm": 72, "warning": "truncated"}),
        (
            "10 48 0004 00",
            {"heart_rate_bpm": 72, "rr_intervals_s": [1.0], "warning": "truncated"},
        ),
        ("18 48 0a", {"heart_rate_bpm": 72, "warning": "truncated"}),
        ("04", {"sensor_contact": False, "warning": "truncated"}),
        ("e0 48", {"heart_rate_bpm": 72}),  # reserved bits
    ],
)
def test_heart_rate(frame: str, expected: dict[str, object]) -> None:
    """Each flag, their order, and frames that are too short or too long."""
    assert neighbours.read_heart_rate(octets(frame)) == expected


def test_a_typed_heart_rate() -> None:
    """Everything at once, and the least there can be."""
    assert neighbours.decode_heart_rate(octets("1f 4800 0a00 0004")) == HeartRate(
        heart_rate_bpm=72, sensor_contact=True, energy_kj=10, rr_intervals_s=(1.0,)
    )
    assert neighbours.decode_heart_rate(octets("00 48")) == HeartRate(heart_rate_bpm=72)


@pytest.mark.parametrize("frame", ["04", "01 48"])
def test_a_measurement_without_a_rate_is_refused(frame: str) -> None:
    """Contact alone, or half of the number, is no heart rate."""
    with pytest.raises(DecodeError, match="no heart rate"):
        neighbours.decode_heart_rate(octets(frame))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("00 0001 b4", {"running": False, "speed_kmh": 3.6, "cadence_spm": 180}),
        ("04 0001 b4", {"running": True, "speed_kmh": 3.6, "cadence_spm": 180}),
        (
            "03 8000 50 4600 8a020000",
            {"running": False, "speed_kmh": 1.8, "cadence_spm": 80}
            | {"stride_length_cm": 70, "distance_m": 65.0},
        ),
        (
            "02 0001 b4 ffffffff",
            {"running": False, "speed_kmh": 3.6, "cadence_spm": 180}
            | {"distance_m": 429_496_729.5},
        ),
        ("00 0001", {"running": False, "speed_kmh": 3.6, "warning": "truncated"}),
        (
            "00 0001 b4 00",
            {"running": False, "speed_kmh": 3.6, "cadence_spm": 180, "warning": "trailing"},
        ),
    ],
)
def test_running_speed(frame: str, expected: dict[str, object]) -> None:
    """1/256 m/s in km/h, steps a minute, and the two optional fields."""
    assert neighbours.read_running_speed(octets(frame)) == expected


@given(st.integers(0, 0xFFFF))
def test_running_speed_is_written_as_it_was_read(raw: int) -> None:
    """Three decimals are enough to find the raw value again."""
    payload = raw.to_bytes(2, "little") + b"\0"
    assert wire.write(neighbours._RSC, wire.read(neighbours._RSC, payload)) == payload


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(b"W2PRO\0", "W2PRO"), (b"Acme", "Acme"), (b"\0\0", ""), (b"\xffA", "\ufffdA")],
)
def test_device_information(payload: bytes, expected: str) -> None:
    """Strings with and without the NULs that do not belong there."""
    assert neighbours.read_text(payload) == {"text": expected}
    assert neighbours.decode_text(payload) == expected


@pytest.mark.parametrize(
    ("frame", "available", "types", "warning"),
    [
        ("01 0100", True, ["treadmill"], None),
        ("01 0001", True, ["treadmill"], None),  # octets swapped (TR1200)
        ("01 01", True, ["treadmill"], None),  # one octet only
        ("00 2000", False, ["indoor_bike"], None),
        ("fe 3f00", False, list(neighbours.MACHINE_TYPES), None),
        ("01 0000", True, [], None),
        ("01 c0ff", True, list(neighbours.MACHINE_TYPES), None),
        ("01 c1ff", True, ["treadmill"], None),  # reserved bits beside a known one
        ("01 0100 00", True, ["treadmill"], "trailing"),
        ("2618 01 0100", True, ["treadmill"], None),
    ],
)
def test_service_data(frame: str, available: bool, types: list[str], warning: str | None) -> None:
    """As specified, and as machines send it."""
    values = neighbours.read_service_data(octets(frame))
    assert values.pop("warning", None) == warning
    assert values == {"available": available, "machine_types": types}


def test_service_data_without_a_type() -> None:
    """Flags alone say whether the machine is free."""
    assert neighbours.read_service_data(b"\x01") == {"available": True, "warning": "truncated"}


@given(st.sets(st.sampled_from(neighbours.MACHINE_TYPES)), st.booleans())
def test_service_data_survives_the_way_to_octets_and_back(types: set[str], available: bool) -> None:
    """Every combination of types."""
    payload = neighbours.encode_service_data(types, available=available)
    values = neighbours.read_service_data(payload)
    assert (values["available"], set(values["machine_types"])) == (available, types)


READERS = (
    neighbours.read_heart_rate,
    neighbours.read_running_speed,
    neighbours.read_text,
    neighbours.read_service_data,
)


@pytest.mark.parametrize("read", READERS)
def test_empty_values_are_refused(read: object) -> None:
    """Nothing came, so nothing is known."""
    assert callable(read)
    with pytest.raises(DecodeError, match="empty"):
        read(b"")


@given(st.binary(max_size=24))
def test_noise_gives_values_or_a_decode_error(payload: bytes) -> None:
    """For any octets, and nothing but octets of the UUID is refused once one is there."""
    for read in READERS:
        try:
            assert read(payload)
        except DecodeError:
            assert payload in (b"", b"\x26\x18")
