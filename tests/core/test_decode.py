"""What ``retrowalk decode`` prints: real frames where they lie beside the checkout, and noise."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.decode import CHARACTERISTICS, SERVICE_DATA, decode
from bridge.core.errors import DecodeError

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"
FILES = (
    "treadmill.jsonl",
    "sequences/blebridge-run.jsonl",
    "sequences/blebridge-walk.jsonl",
    "sequences/hometro-control.jsonl",
)
TOLERANCE = 1e-6


def alike(got: object, expected: object) -> bool:
    """Equal, numbers within the contract's tolerance and never a truth value for a number."""
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and got.keys() == expected.keys()
            and all(alike(got[key], value) for key, value in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(got, list) and len(got) == len(expected) and all(map(alike, got, expected))
        )
    if isinstance(expected, bool) or not isinstance(expected, int | float):
        return type(got) is type(expected) and got == expected
    return (
        isinstance(got, int | float)
        and not isinstance(got, bool)
        and math.isclose(got, expected, rel_tol=0, abs_tol=TOLERANCE)
    )


def frames(name: str) -> Iterator[dict[str, Any]]:
    """The frames of one file; its header and anything without an answer is passed over."""
    for line in (VECTORS / name).read_text().splitlines():
        entry = json.loads(line)
        if "decoded" in entry:
            yield entry


@pytest.mark.parametrize("name", FILES)
def test_real_frames_decode_as_published(name: str) -> None:
    """Frames that real machines sent, with answers that other people worked out."""
    if not (VECTORS / name).is_file():
        pytest.skip(f"not run: {name} does not lie beside the checkout ({VECTORS})")
    seen = list(frames(name))
    assert seen
    wrong = [
        (entry["hex"], got, entry["decoded"])
        for entry in seen
        for got in [decode(entry["characteristic"], bytes.fromhex(entry["hex"]))]
        if not alike(got, entry["decoded"])
    ]
    assert wrong == []


@pytest.mark.parametrize("name", FILES[:1])
def test_real_frames_cut_short_keep_what_is_whole(name: str) -> None:
    """Each octet taken from the end takes values away; none changes (but where length tells)."""
    if not (VECTORS / name).is_file():
        pytest.skip(f"not run: {name} does not lie beside the checkout ({VECTORS})")
    told_by_length = {"steps", "warning", "text", "rr_intervals_s", "features", "targets"}
    for entry in frames(name):
        payload = bytes.fromhex(entry["hex"])
        whole = decode(entry["characteristic"], payload)
        for length in range(1, len(payload)):
            try:
                cut = decode(entry["characteristic"], payload[:length])
            except DecodeError:
                continue
            assert {
                k: v for k, v in cut.items() if k not in told_by_length
            }.items() <= whole.items()


# One frame made from the specification for each characteristic, the values as the contract names
# them.
OWN: dict[str, tuple[str, dict[str, object]]] = {
    "2acc": ("0100000002000000", {"features": ["average_speed"], "targets": ["incline"]}),
    "2acd": (
        "8404e600050000ffffffffff3c00",
        {"more_data": False, "speed_kmh": 2.3, "distance_m": 5, "elapsed_s": 60},
    ),
    "2ad3": ("0001", {"training_status_code": 1, "training_status": "idle"}),
    "2ad4": (
        "320062020a00",
        {"min_speed_kmh": 0.5, "max_speed_kmh": 6.1, "step_speed_kmh": 0.1},
    ),
    "2ad5": (
        "ceff96000500",
        {"min_incline_pct": -5.0, "max_incline_pct": 15.0, "step_incline_pct": 0.5},
    ),
    "2ad6": (
        "0000ff000100",
        {"min_resistance": 0.0, "max_resistance": 25.5, "step_resistance": 0.1},
    ),
    "2ad7": (
        "32c801",
        {"min_heart_rate_bpm": 50, "max_heart_rate_bpm": 200, "step_heart_rate_bpm": 1},
    ),
    "2ad8": ("000090010500", {"min_power_w": 0, "max_power_w": 400, "step_power_w": 5}),
    "2ad9": ("02e600", {"opcode": 2, "op": "set_target_speed", "target_speed_kmh": 2.3}),
    "2ada": ("03", {"opcode": 3, "status": "stopped_by_safety_key"}),
    "2a37": ("0648", {"heart_rate_bpm": 72, "sensor_contact": True}),
    "2a53": ("000001b4", {"speed_kmh": 3.6, "cadence_spm": 180, "running": False}),
    "2a24": ("414200", {"text": "AB"}),
    "2a25": ("4142", {"text": "AB"}),
    "2a26": ("4142", {"text": "AB"}),
    "2a27": ("4142", {"text": "AB"}),
    "2a28": ("4142", {"text": "AB"}),
    "2a29": ("4142", {"text": "AB"}),
    SERVICE_DATA: ("010100", {"available": True, "machine_types": ["treadmill"]}),
}


@pytest.mark.parametrize("characteristic", CHARACTERISTICS)
def test_every_characteristic_has_its_names(characteristic: str) -> None:
    """Exactly these keys and these values, floats included."""
    frame, expected = OWN[characteristic]
    assert decode(characteristic, bytes.fromhex(frame)) == expected


@pytest.mark.parametrize(
    "name",
    [
        "2acd",
        "2ACD",
        "0x2ACD",
        " 2acd ",
        "00002acd-0000-1000-8000-00805f9b34fb",
        "00002ACD-0000-1000-8000-00805F9B34FB",
    ],
)
def test_a_characteristic_has_several_spellings(name: str) -> None:
    """Short or long, in any case."""
    frame, expected = OWN["2acd"]
    assert decode(name, bytes.fromhex(frame)) == expected


def test_service_data_in_capitals() -> None:
    """Any case holds for the one name that is no UUID, too."""
    assert decode("1826-SERVICE-DATA", b"\x01\x01\x00")["available"] is True


@pytest.mark.parametrize(
    "name",
    [
        "",
        "2ad2",
        "1826",
        "xyz",
        "00012acd-0000-1000-8000-00805f9b34fb",
        "00002acd-0000-1000-8000-00805f9b34fb0",
        "00002ad2-0000-1000-8000-00805f9b34fb",
    ],
)
def test_other_characteristics_are_refused(name: str) -> None:
    """Unknown ones, and long UUIDs that only look like short ones."""
    with pytest.raises(DecodeError, match="not a characteristic"):
        decode(name, b"\x00\x00")


@pytest.mark.parametrize("characteristic", CHARACTERISTICS)
def test_empty_input_is_an_error(characteristic: str) -> None:
    """For every characteristic."""
    with pytest.raises(DecodeError):
        decode(characteristic, b"")


@pytest.mark.parametrize(("characteristic", "frame"), [("2ad4", "32"), ("2a37", "00")])
def test_hopeless_input_is_an_error(characteristic: str, frame: str) -> None:
    """Octets without one whole field."""
    with pytest.raises(DecodeError, match="no whole field"):
        decode(characteristic, bytes.fromhex(frame))


def test_a_bytearray_is_taken_too() -> None:
    """Radios hand those over."""
    for characteristic, (frame, expected) in OWN.items():
        payload: Any = bytearray.fromhex(frame)
        assert decode(characteristic, payload) == expected


@given(st.sampled_from(CHARACTERISTICS), st.binary(max_size=48))
def test_noise_gives_json_or_a_decode_error(characteristic: str, payload: bytes) -> None:
    """Any octets: values that strict JSON can carry, none of them absent, or `DecodeError`."""
    try:
        values = decode(characteristic, payload)
    except DecodeError:
        return
    assert values.keys() - {"warning"}
    assert None not in values.values()
    assert values.get("warning") in (None, "truncated", "trailing")
    assert json.loads(json.dumps(values, allow_nan=False)) == values


@given(
    st.sampled_from(sorted(OWN)),
    st.lists(st.tuples(st.integers(0, 63), st.integers(0, 255)), max_size=4),
    st.integers(0, 40),
)
def test_spoilt_frames_give_json_or_a_decode_error(
    characteristic: str, changes: list[tuple[int, int]], length: int
) -> None:
    """Good frames with octets changed, then cut or lengthened."""
    payload = bytearray.fromhex(OWN[characteristic][0])
    for place, octet in changes:
        payload[place % len(payload)] = octet
    spoilt = bytes(payload[:length]).ljust(length, b"\xff")
    try:
        values = decode(characteristic, spoilt)
    except DecodeError:
        return
    assert json.loads(json.dumps(values, allow_nan=False)) == values


@given(st.text(max_size=40))
def test_any_name_is_known_or_refused(name: str) -> None:
    """No spelling raises anything else."""
    try:
        decode(name, b"\x01\x01\x00")
    except DecodeError:
        return
    assert name.strip().lower().removeprefix("0x") in CHARACTERISTICS
