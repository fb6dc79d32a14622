"""Control point and machine status, every opcode both ways, and the machine's steps."""

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pycycling import ftms_parsers as pycycling  # type: ignore[import-untyped]

from bridge.core import control_codec as codec
from bridge.core.control_codec import ControlRequest, step_down_kmh, step_down_pct
from bridge.core.errors import DecodeError
from bridge.core.messages import ControlResponse, InclineRange, MachineStatus, SpeedRange

TENTHS = SpeedRange(min_speed_kmh=0.5, max_speed_kmh=20.0, step_speed_kmh=0.1)
MILES = SpeedRange(min_speed_kmh=0.96, max_speed_kmh=6.43, step_speed_kmh=0.32)
HALVES = InclineRange(min_incline_pct=0.0, max_incline_pct=15.0, step_incline_pct=0.5)
DOWNHILL = InclineRange(min_incline_pct=-5.0, max_incline_pct=15.0, step_incline_pct=0.5)

# Opcode, name, and one whole frame with what it says, for each row of the specification's table.
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("00", "request_control", {}),
    ("01", "reset", {}),
    ("02 e600", "set_target_speed", {"target_speed_kmh": 2.3}),
    ("03 e2ff", "set_target_incline", {"target_incline_pct": -3.0}),
    ("04 19", "set_target_resistance_level", {"target_resistance": 2.5}),
    ("05 ecff", "set_target_power", {"target_power_w": -20}),
    ("06 78", "set_target_heart_rate", {"target_heart_rate_bpm": 120}),
    ("07", "start_or_resume", {}),
    ("08 01", "stop_or_pause", {"stop_or_pause": "stop"}),
    ("08 02", "stop_or_pause", {"stop_or_pause": "pause"}),
    ("09 2c01", "set_targeted_expended_energy", {"target_energy_kcal": 300}),
    ("0a e803", "set_targeted_steps", {"target_steps": 1000}),
    ("0b f401", "set_targeted_strides", {"target_strides": 500}),
    ("0c 701101", "set_targeted_distance", {"target_distance_m": 70_000}),
    ("0d 0807", "set_targeted_training_time", {"target_time_s": 1800}),
    ("0e 3c00 7800", "set_targeted_time_2_hr_zones", {"fat_burn_s": 60, "fitness_s": 120}),
    (
        "0f 0100 0200 0300",
        "set_targeted_time_3_hr_zones",
        {"light_s": 1, "moderate_s": 2, "hard_s": 3},
    ),
    (
        "10 0100 0200 0300 0400 0500",
        "set_targeted_time_5_hr_zones",
        {"very_light_s": 1, "light_s": 2, "moderate_s": 3, "hard_s": 4, "maximum_s": 5},
    ),
    (
        "11 18fc 9cff 28 33",
        "set_indoor_bike_simulation",
        {"wind_speed_mps": -1.0, "grade_pct": -1.0, "crr": 0.004, "cw_kg_per_m": 0.51},
    ),
    ("12 3452", "set_wheel_circumference", {"wheel_circumference_mm": 2104.4}),
    ("13 01", "spin_down_control", {"spin_down": "start"}),
    ("13 02", "spin_down_control", {"spin_down": "ignore"}),
    ("14 b500", "set_targeted_cadence", {"target_cadence_rpm": 90.5}),
]
STATUSES: list[tuple[str, str, dict[str, Any]]] = [
    ("01", "reset", {}),
    ("02 01", "stopped_or_paused_by_user", {"stop_or_pause": "stop"}),
    ("02 02", "stopped_or_paused_by_user", {"stop_or_pause": "pause"}),
    ("03", "stopped_by_safety_key", {}),
    ("04", "started_or_resumed_by_user", {}),
    ("05 6900", "target_speed_changed", {"target_speed_kmh": 1.05}),
    ("06 f6ff", "target_incline_changed", {"target_incline_pct": -1.0}),
    ("07 2c01", "target_resistance_changed", {"target_resistance": 30.0}),
    ("08 6400", "target_power_changed", {"target_power_w": 100}),
    ("09 78", "target_heart_rate_changed", {"target_heart_rate_bpm": 120}),
    ("0a 0100", "targeted_energy_changed", {"target_energy_kcal": 1}),
    ("0b 0200", "targeted_steps_changed", {"target_steps": 2}),
    ("0c 0300", "targeted_strides_changed", {"target_strides": 3}),
    ("0d 040000", "targeted_distance_changed", {"target_distance_m": 4}),
    ("0e 0500", "targeted_time_changed", {"target_time_s": 5}),
    ("0f 0600 0700", "time_2_hr_zones_changed", {"fat_burn_s": 6, "fitness_s": 7}),
    (
        "10 0100 0200 0300",
        "time_3_hr_zones_changed",
        {"light_s": 1, "moderate_s": 2, "hard_s": 3},
    ),
    (
        "11 0100 0200 0300 0400 0500",
        "time_5_hr_zones_changed",
        {"very_light_s": 1, "light_s": 2, "moderate_s": 3, "hard_s": 4, "maximum_s": 5},
    ),
    (
        "12 0000 ffff 28 33",
        "bike_sim_changed",
        {"wind_speed_mps": 0.0, "grade_pct": -0.01, "crr": 0.004, "cw_kg_per_m": 0.51},
    ),
    ("13 3452", "wheel_circumference_changed", {"wheel_circumference_mm": 2104.4}),
    ("14 01", "spin_down_status", {"spin_down": "requested"}),
    ("14 02", "spin_down_status", {"spin_down": "success"}),
    ("14 03", "spin_down_status", {"spin_down": "error"}),
    ("14 04", "spin_down_status", {"spin_down": "stop_pedaling"}),
    ("15 b500", "targeted_cadence_changed", {"target_cadence_rpm": 90.5}),
    ("ff", "control_permission_lost", {}),
]


def octets(text: str) -> bytes:
    """Hex with spaces between the fields."""
    return bytes.fromhex(text)


@pytest.mark.parametrize(("frame", "name", "parameters"), REQUESTS)
def test_every_request_both_ways(frame: str, name: str, parameters: dict[str, Any]) -> None:
    """The table of the specification, row by row."""
    payload = octets(frame)
    expected = {"opcode": payload[0], "op": name} | parameters
    assert codec.read_control_point(payload) == expected
    assert codec.encode_request(payload[0], **parameters) == payload


@pytest.mark.parametrize(("frame", "name", "parameters"), STATUSES)
def test_every_status_both_ways(frame: str, name: str, parameters: dict[str, Any]) -> None:
    """The table of the specification, row by row."""
    payload = octets(frame)
    expected = {"opcode": payload[0], "status": name} | parameters
    assert codec.read_status(payload) == expected
    assert codec.encode_status(payload[0], **parameters) == payload


def test_no_row_is_missing() -> None:
    """Requests 0x00 to 0x14, events 0x01 to 0x15 and 0xFF."""
    assert {octets(frame)[0] for frame, _, _ in REQUESTS} == set(range(0x15))
    assert {octets(frame)[0] for frame, _, _ in STATUSES} == {*range(1, 0x16), 0xFF}


def test_a_reserved_request_keeps_its_number() -> None:
    """It has no name and no known parameter, and cannot be written."""
    for opcode in (*range(0x15, 0x80), *range(0x81, 0x100)):
        assert codec.read_control_point(bytes((opcode,))) == {"opcode": opcode}
        with pytest.raises(ValueError, match="reserved"):
            codec.encode_request(opcode)


def test_a_reserved_status_keeps_its_number() -> None:
    """As above; whatever follows it is only left over."""
    for opcode in (0x00, *range(0x16, 0xFF)):
        values = codec.read_status(bytes((opcode, 7)))
        assert values == {"opcode": opcode, "warning": "trailing"}
        with pytest.raises(ValueError, match="reserved"):
            codec.encode_status(opcode)


@pytest.mark.parametrize(
    ("frame", "resistance", "warning"),
    [
        ("64", 10.0, None),
        ("2c01", 30.0, None),
        ("9cff", -10.0, None),
        ("", None, "truncated"),
        ("2c01 00", 30.0, "trailing"),
    ],
)
def test_the_length_tells_the_type_of_resistance(
    frame: str, resistance: float | None, warning: str | None
) -> None:
    """u8 in v1.0, s16 in v1.0.1 and on many machines; the same for the request."""
    for values in (
        codec.read_status(b"\x07" + octets(frame)),
        codec.read_control_point(b"\x04" + octets(frame)),
    ):
        assert values.get("target_resistance") == resistance
        assert values.get("warning") == warning


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("04 00 00", {"status": "started_or_resumed_by_user", "warning": "trailing"}),
        (
            "02 02 00",
            {
                "status": "stopped_or_paused_by_user",
                "stop_or_pause": "pause",
                "warning": "trailing",
            },
        ),
        ("02 03", {"status": "stopped_or_paused_by_user"}),
        ("02", {"status": "stopped_or_paused_by_user", "warning": "truncated"}),
        ("05 69", {"status": "target_speed_changed", "warning": "truncated"}),
        (
            "0f 0600 07",
            {"status": "time_2_hr_zones_changed", "fat_burn_s": 6, "warning": "truncated"},
        ),
    ],
)
def test_status_frames_too_short_and_too_long(frame: str, expected: dict[str, object]) -> None:
    """UREVO appends octets; what is cut or reserved is left out, the event stays."""
    payload = octets(frame)
    assert codec.read_status(payload) == {"opcode": payload[0]} | expected


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            "80 02 01",
            {"request_opcode": 2, "request_op": "set_target_speed", "result_code": 1}
            | {"result": "success"},
        ),
        (
            "80 07 05",
            {"request_opcode": 7, "request_op": "start_or_resume", "result_code": 5}
            | {"result": "control_not_permitted"},
        ),
        ("80 7f 00", {"request_opcode": 0x7F, "result_code": 0}),
        ("80 08", {"request_opcode": 8, "request_op": "stop_or_pause", "warning": "truncated"}),
        ("80", {"warning": "truncated"}),
        (
            "80 00 02 00",
            {"request_opcode": 0, "request_op": "request_control", "result_code": 2}
            | {"result": "op_code_not_supported", "warning": "trailing"},
        ),
        (
            "80 13 01 2003 c409",
            {"request_opcode": 0x13, "request_op": "spin_down_control", "result_code": 1}
            | {"result": "success", "target_speed_low_kmh": 8.0, "target_speed_high_kmh": 25.0},
        ),
        (
            "80 13 01",
            {"request_opcode": 0x13, "request_op": "spin_down_control", "result_code": 1}
            | {"result": "success"},
        ),
        (
            "80 13 04 00",
            {"request_opcode": 0x13, "request_op": "spin_down_control", "result_code": 4}
            | {"result": "operation_failed", "warning": "trailing"},
        ),
    ],
)
def test_responses(frame: str, expected: dict[str, object]) -> None:
    """Names beside numbers, reserved codes, and the one response with parameters."""
    values = codec.read_control_point(octets(frame))
    assert values == {"opcode": 0x80, "op": "response"} | expected


@pytest.mark.parametrize("request_opcode", [0x00, 0x02, 0x13, 0xFF])
@pytest.mark.parametrize("result_code", [0x00, 0x01, 0x05, 0xFF])
def test_a_typed_response_both_ways(request_opcode: int, result_code: int) -> None:
    """Any codes, reserved ones too: what they mean is for the procedure to say."""
    response = ControlResponse(request_opcode=request_opcode, result_code=result_code)
    payload = bytes((0x80, request_opcode, result_code))
    assert codec.encode_response(response) == payload
    assert codec.decode_response(payload) == response
    assert codec.decode_response(payload + b"\0") == response


@pytest.mark.parametrize("frame", ["", "80", "80 02", "02 64 00"])
def test_what_is_no_whole_response_is_refused(frame: str) -> None:
    """Nobody is told that a write succeeded by half a frame."""
    with pytest.raises(DecodeError, match="no control point response"):
        codec.decode_response(octets(frame))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("02 02 00", MachineStatus(opcode=2, stop_or_pause="pause")),
        ("02 09", MachineStatus(opcode=2)),
        ("05 6900", MachineStatus(opcode=5, target_speed_kmh=1.05)),
        ("05", MachineStatus(opcode=5)),
        ("06 1400", MachineStatus(opcode=6, target_incline_pct=2.0)),
        ("0d 040000", MachineStatus(opcode=13)),
        ("ff", MachineStatus(opcode=255)),
    ],
)
def test_typed_status(frame: str, expected: MachineStatus) -> None:
    """Only what a session acts on; a spoilt parameter does not hide the event."""
    assert codec.decode_status(octets(frame)) == expected


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("00", ControlRequest(opcode=0)),
        ("02 6400", ControlRequest(opcode=2, target_speed_kmh=1.0)),
        ("02 64", ControlRequest(opcode=2, complete=False)),
        ("03 f6ff", ControlRequest(opcode=3, target_incline_pct=-1.0)),
        ("08 01 00", ControlRequest(opcode=8, stop_or_pause="stop")),
        ("08 00", ControlRequest(opcode=8)),
        ("99", ControlRequest(opcode=0x99)),
    ],
)
def test_typed_request(frame: str, expected: ControlRequest) -> None:
    """What the machine's side needs to answer Success, Invalid Parameter or Not Supported."""
    assert codec.decode_request(octets(frame)) == expected


@pytest.mark.parametrize(
    "read",
    [codec.read_control_point, codec.read_status, codec.decode_request, codec.decode_status],
)
def test_empty_values_are_refused(read: Any) -> None:
    """No opcode, no meaning."""
    with pytest.raises(DecodeError, match="empty"):
        read(b"")


@given(st.binary(min_size=1, max_size=24))
def test_any_octets_can_be_read(payload: bytes) -> None:
    """Noise has an opcode and perhaps values, and raises nothing."""
    assert codec.read_control_point(payload)["opcode"] == payload[0]
    assert codec.read_status(payload)["opcode"] == payload[0]
    assert codec.decode_request(payload).opcode == payload[0]
    assert codec.decode_status(payload).opcode == payload[0]


def test_the_requests_of_the_bridge() -> None:
    """Octet by octet, as the specification prints them."""
    assert codec.encode_request_control() == octets("00")
    assert codec.encode_reset() == octets("01")
    assert codec.encode_set_target_speed(2.3, TENTHS) == octets("02 e600")
    assert codec.encode_set_target_incline(2.7, HALVES) == octets("03 1900")
    assert codec.encode_start() == octets("07")
    assert codec.encode_stop() == octets("08 01")
    assert codec.encode_pause() == octets("08 02")


@pytest.mark.parametrize(
    ("opcode", "parameters"),
    [
        (0x02, {}),
        (0x02, {"target_speed_kmh": None}),
        (0x02, {"target_incline_pct": 1.0}),
        (0x00, {"target_speed_kmh": 1.0}),
        (0x02, {"target_speed_kmh": 655.36}),
        (0x02, {"target_speed_kmh": math.nan}),
        (0x08, {"stop_or_pause": "halt"}),
    ],
)
def test_a_request_is_complete_or_refused(opcode: int, parameters: dict[str, Any]) -> None:
    """A missing target never becomes a target of 0."""
    with pytest.raises(ValueError, match=r".+"):
        codec.encode_request(opcode, **parameters)


# Another implementation of the same table; it wants raw values. It writes cadence in one octet,
# which is wrong, so that row is left out.
THEIRS: dict[str, Any] = {
    "02 e600": 230,
    "03 e2ff": -30,
    "04 19": 25,
    "05 ecff": -20,
    "06 78": 120,
    "08 01": 1,
    "08 02": 2,
    "09 2c01": 300,
    "0a e803": 1000,
    "0b f401": 500,
    "0c 701101": 70_000,
    "0d 0807": 1800,
    "0e 3c00 7800": [60, 120],
    "0f 0100 0200 0300": [1, 2, 3],
    "10 0100 0200 0300 0400 0500": [1, 2, 3, 4, 5],
    "11 18fc 9cff 28 33": [-1000, -100, 40, 51],
    "12 3452": 21044,
    "13 01": 1,
    "13 02": 2,
}


@pytest.mark.parametrize("frame", [frame for frame, _, _ in REQUESTS if frame != "14 b500"])
def test_pycycling_writes_the_same_requests(frame: str) -> None:
    """Our known answers agree with an implementation that shares nothing with ours."""
    opcode = pycycling.FTMSControlPointOpCode(octets(frame)[0])
    assert pycycling.form_ftms_control_command(opcode, THEIRS.get(frame, 0)) == octets(frame)


@given(st.integers(0, 0xFFFF))
def test_pycycling_reads_the_speed_we_ask_for(raw: int) -> None:
    """Every raw speed, written here and read there as a status event."""
    status = pycycling.parse_fitness_machine_status(
        codec.encode_status(5, target_speed_kmh=raw / 100)
    )
    assert status.value == raw / 100


# --- the machine's steps -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        (0.5, 0.5),
        (2.3, 2.3),
        (2.2999999999999994, 2.3),  # 1.0 and thirteen times 0.1, summed
        (2.2999999, 2.2),
        (2.39, 2.3),
        (20.0, 20.0),
        (20.04, 20.0),
        (1e300, 20.0),
        (0.0, 0.5),
        (0.49, 0.5),
    ],
)
def test_speed_steps_down(asked: float, offered: float) -> None:
    """At, above and below steps and ends; float dust loses nothing."""
    assert step_down_kmh(asked, TENTHS) == offered


@pytest.mark.parametrize(
    ("asked", "offered"), [(0.96, 0.96), (1.27, 0.96), (1.28, 1.28), (2.0, 1.92), (6.43, 6.4)]
)
def test_steps_count_from_the_minimum(asked: float, offered: float) -> None:
    """A range of 0.96 to 6.43 by 0.32 offers 6.40 last: the maximum itself is not on the grid."""
    assert step_down_kmh(asked, MILES) == offered


def test_a_step_of_zero_offers_every_hundredth() -> None:
    """Some machines fill the field with 0."""
    free = SpeedRange(min_speed_kmh=0.0, max_speed_kmh=5.0, step_speed_kmh=0.0)
    assert step_down_kmh(2.34, free) == 2.34


@given(st.integers(50, 2000))
@example(230)
def test_no_decimal_speed_loses_a_step(raw: int) -> None:
    """Every hundredth that is on the grid is its own step, whatever its binary fraction."""
    assert step_down_kmh(raw / 100, TENTHS) == raw // 10 / 10
    assert codec.encode_set_target_speed(raw / 100, TENTHS)[1:] == (raw // 10 * 10).to_bytes(
        2, "little"
    )


RANGES = st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)).map(
    lambda raw: SpeedRange(
        min_speed_kmh=min(raw[:2]) / 100,
        max_speed_kmh=max(raw[:2]) / 100,
        step_speed_kmh=raw[2] / 100,
    )
)


@given(st.floats(0, allow_infinity=False), RANGES)
def test_a_stepped_speed_is_offered_and_not_above_what_was_asked(
    asked: float, offered: SpeedRange
) -> None:
    """For every float and every range: inside both ends, on the grid, the nearest below."""
    got = step_down_kmh(asked, offered)
    low, high = offered.min_speed_kmh, offered.max_speed_kmh
    assert low <= got <= high
    assert got <= max(asked + 1e-8, low)
    steps = Fraction(round((got - low) * 100), max(1, round(offered.step_speed_kmh * 100)))
    assert steps.denominator == 1
    assert codec.read_control_point(codec.encode_set_target_speed(asked, offered)) == {
        "opcode": 2,
        "op": "set_target_speed",
        "target_speed_kmh": got,
    }
    next_step = got + max(0.01, offered.step_speed_kmh)
    assert next_step > min(asked, high) or math.isclose(next_step, min(asked, high))
    assert step_down_kmh(got, offered) == got


@pytest.mark.parametrize("asked", [-0.01, -1.0, -math.inf, math.inf, math.nan])
def test_impossible_speeds_are_refused(asked: float) -> None:
    """Before any arithmetic."""
    with pytest.raises(ValueError, match=r".+"):
        codec.encode_set_target_speed(asked, TENTHS)


@pytest.mark.parametrize("asked", [-math.inf, math.inf, math.nan])
def test_impossible_inclines_are_refused(asked: float) -> None:
    """Before any arithmetic; a negative incline is one."""
    with pytest.raises(ValueError, match="no target"):
        codec.encode_set_target_incline(asked, DOWNHILL)


def test_a_range_with_its_ends_swapped_is_refused() -> None:
    """Nothing lies in it."""
    with pytest.raises(ValueError, match="nothing lies"):
        step_down_kmh(1.0, SpeedRange(min_speed_kmh=2, max_speed_kmh=1, step_speed_kmh=0.1))


@pytest.mark.parametrize(
    ("asked", "offered"),
    [(-7.0, -5.0), (-0.7, -1.0), (-0.5, -0.5), (0.0, 0.0), (0.4, 0.0), (3.0, 3.0), (99.0, 15.0)],
)
def test_incline_steps_down(asked: float, offered: float) -> None:
    """Downward is downhill, from the machine's own minimum."""
    assert step_down_pct(asked, DOWNHILL) == offered


def test_flat_never_becomes_downhill_by_rounding() -> None:
    """Steps of 3 from -5 miss 0: it is sent all the same, unless downhill was asked."""
    threes = InclineRange(min_incline_pct=-5.0, max_incline_pct=15.0, step_incline_pct=3.0)
    assert step_down_pct(0.0, threes) == 0.0
    assert step_down_pct(0.9, threes) == 0.0
    assert step_down_pct(-0.1, threes) == -2.0
    only_downhill = InclineRange(min_incline_pct=-5.0, max_incline_pct=-1.0, step_incline_pct=1.0)
    assert step_down_pct(2.0, only_downhill) == -1.0


@given(st.floats(-40, 40), st.integers(-100, 0), st.integers(0, 200), st.integers(0, 50))
def test_a_stepped_incline_is_inside_and_not_above_what_was_asked(
    asked: float, low: int, high: int, step: int
) -> None:
    """Two-sided, for every float."""
    limits = InclineRange(
        min_incline_pct=low / 10, max_incline_pct=high / 10, step_incline_pct=step / 10
    )
    got = step_down_pct(asked, limits)
    assert limits.min_incline_pct <= got <= limits.max_incline_pct
    assert got <= max(asked + 1e-7, limits.min_incline_pct)
    assert asked < 0 or got >= 0


TENTHS_OF_A_MILE = SpeedRange(
    min_speed_kmh=0.4828032, max_speed_kmh=6.437376, step_speed_kmh=0.1609344
)


@pytest.mark.parametrize(
    ("asked_kmh", "offered_kmh"), [(2.0, 1.9312128), (1.9312128, 1.9312128), (0.1, 0.4828032)]
)
def test_a_grid_of_miles_keeps_its_own_steps(asked_kmh: float, offered_kmh: float) -> None:
    """Tenths of a mile per hour: never above what was asked, and stable when asked again."""
    assert step_down_kmh(asked_kmh, TENTHS_OF_A_MILE) == offered_kmh


@pytest.mark.parametrize("asked_kmh", [math.inf, math.nan])
def test_a_grid_of_miles_refuses_what_is_no_speed(asked_kmh: float) -> None:
    """As the plain grid does."""
    with pytest.raises(ValueError, match=r"nothing for|does not run"):
        step_down_kmh(asked_kmh, TENTHS_OF_A_MILE)
