"""Bytes to values and back for the control point (0x2AD9) and the machine's status (0x2ADA).

Sections named here are those of the Fitness Machine Service v1.0: 4.16 for the control point, 4.17
for the status. Targets are rounded to the machine's own steps here, downward, in integers. This
module refuses to know whether a target may be asked for (the governor's), and when a procedure may
run (the control point's).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bridge.core import wire
from bridge.core.errors import DecodeError
from bridge.core.messages import (
    ControlResponse,
    InclineRange,
    MachineStatus,
    OpCode,
    ResultCode,
    SpeedRange,
)
from bridge.core.wire import Field, Fields, count, named, scaled

# --- parameters, and who carries them ------------------------------------------------------------

_NONE: Final[tuple[Field, ...]] = ()
_SPEED: Final = (scaled("target_speed_kmh", "u16", 100),)
_INCLINE: Final = (scaled("target_incline_pct", "s16", 10),)
_SHORT_RESISTANCE: Final = (scaled("target_resistance", "u8", 10),)
_LONG_RESISTANCE: Final = (scaled("target_resistance", "s16", 10),)
_LONG_RESISTANCE_OCTETS: Final = 2
_POWER: Final = (count("target_power_w", "s16"),)
_HEART_RATE: Final = (count("target_heart_rate_bpm", "u8"),)
_STOP: Final = (named("stop_or_pause", {1: "stop", 2: "pause"}),)
_ENERGY: Final = (count("target_energy_kcal", "u16"),)
_STEPS: Final = (count("target_steps", "u16"),)
_STRIDES: Final = (count("target_strides", "u16"),)
_DISTANCE: Final = (count("target_distance_m", "u24"),)
_TIME: Final = (count("target_time_s", "u16"),)
_TWO_ZONES: Final = tuple(count(name, "u16") for name in ("fat_burn_s", "fitness_s"))
_THREE_ZONES: Final = tuple(count(name, "u16") for name in ("light_s", "moderate_s", "hard_s"))
_FIVE_ZONES: Final = tuple(
    count(name, "u16") for name in ("very_light_s", "light_s", "moderate_s", "hard_s", "maximum_s")
)
_BIKE: Final = (
    scaled("wind_speed_mps", "s16", 1000),
    scaled("grade_pct", "s16", 100),
    scaled("crr", "u8", 10_000),
    scaled("cw_kg_per_m", "u8", 100),
)
_WHEEL: Final = (scaled("wheel_circumference_mm", "u16", 10),)
_SPIN_DOWN: Final = (named("spin_down", {1: "start", 2: "ignore"}),)
_SPIN_DOWN_STATUS: Final = (
    named("spin_down", {1: "requested", 2: "success", 3: "error", 4: "stop_pedaling"}),
)
_SPIN_DOWN_SPEEDS: Final = (
    scaled("target_speed_low_kmh", "u16", 100),
    scaled("target_speed_high_kmh", "u16", 100),
)
_CADENCE: Final = (scaled("target_cadence_rpm", "u16", 2),)

_Table = Mapping[int, tuple[str, tuple[Field, ...]]]

# Table 4.15. The response (0x80) is read apart.
_REQUESTS: Final[_Table] = {
    0x00: ("request_control", _NONE),
    0x01: ("reset", _NONE),
    0x02: ("set_target_speed", _SPEED),
    0x03: ("set_target_incline", _INCLINE),
    0x04: ("set_target_resistance_level", _SHORT_RESISTANCE),
    0x05: ("set_target_power", _POWER),
    0x06: ("set_target_heart_rate", _HEART_RATE),
    0x07: ("start_or_resume", _NONE),
    0x08: ("stop_or_pause", _STOP),
    0x09: ("set_targeted_expended_energy", _ENERGY),
    0x0A: ("set_targeted_steps", _STEPS),
    0x0B: ("set_targeted_strides", _STRIDES),
    0x0C: ("set_targeted_distance", _DISTANCE),
    0x0D: ("set_targeted_training_time", _TIME),
    0x0E: ("set_targeted_time_2_hr_zones", _TWO_ZONES),
    0x0F: ("set_targeted_time_3_hr_zones", _THREE_ZONES),
    0x10: ("set_targeted_time_5_hr_zones", _FIVE_ZONES),
    0x11: ("set_indoor_bike_simulation", _BIKE),
    0x12: ("set_wheel_circumference", _WHEEL),
    0x13: ("spin_down_control", _SPIN_DOWN),
    0x14: ("set_targeted_cadence", _CADENCE),
}
# Table 4.26; the resistance level is s16 since v1.0.1 and was u8 before.
_STATUSES: Final[_Table] = {
    0x01: ("reset", _NONE),
    0x02: ("stopped_or_paused_by_user", _STOP),
    0x03: ("stopped_by_safety_key", _NONE),
    0x04: ("started_or_resumed_by_user", _NONE),
    0x05: ("target_speed_changed", _SPEED),
    0x06: ("target_incline_changed", _INCLINE),
    0x07: ("target_resistance_changed", _LONG_RESISTANCE),
    0x08: ("target_power_changed", _POWER),
    0x09: ("target_heart_rate_changed", _HEART_RATE),
    0x0A: ("targeted_energy_changed", _ENERGY),
    0x0B: ("targeted_steps_changed", _STEPS),
    0x0C: ("targeted_strides_changed", _STRIDES),
    0x0D: ("targeted_distance_changed", _DISTANCE),
    0x0E: ("targeted_time_changed", _TIME),
    0x0F: ("time_2_hr_zones_changed", _TWO_ZONES),
    0x10: ("time_3_hr_zones_changed", _THREE_ZONES),
    0x11: ("time_5_hr_zones_changed", _FIVE_ZONES),
    0x12: ("bike_sim_changed", _BIKE),
    0x13: ("wheel_circumference_changed", _WHEEL),
    0x14: ("spin_down_status", _SPIN_DOWN_STATUS),
    0x15: ("targeted_cadence_changed", _CADENCE),
    0xFF: ("control_permission_lost", _NONE),
}
_RESULTS: Final[Mapping[int, str]] = {code.value: code.name.lower() for code in ResultCode}
_SPIN_DOWN_OPCODE: Final = 0x13


# --- reading -------------------------------------------------------------------------------------


def read_control_point(payload: bytes) -> Fields:
    """A request or a response by name: ``opcode``, ``op`` and what it carries.

    A reserved code keeps its number and has no name. Raises `DecodeError` for an empty payload.
    """
    if not payload:
        raise DecodeError("the control point value is empty")
    if payload[0] == OpCode.RESPONSE:
        return _read_response(payload)
    return _read_event(_REQUESTS, "op", payload)


def read_status(payload: bytes) -> Fields:
    """A status event by name: ``opcode``, ``status`` and what it carries; as above otherwise."""
    if not payload:
        raise DecodeError("the machine status is empty")
    return _read_event(_STATUSES, "status", payload)


def _read_event(table: _Table, key: str, payload: bytes) -> Fields:
    opcode = payload[0]
    name, fields = table.get(opcode, (None, _NONE))
    values: Fields = {"opcode": opcode} if name is None else {"opcode": opcode, key: name}
    if fields in (_SHORT_RESISTANCE, _LONG_RESISTANCE):
        long = len(payload) > _LONG_RESISTANCE_OCTETS
        fields = _LONG_RESISTANCE if long else _SHORT_RESISTANCE
    return values | wire.read(fields, payload, 1)


_RESPONSE: Final[tuple[Field, ...]] = (count("request_opcode", "u8"), count("result_code", "u8"))
_RESPONSE_OCTETS: Final = 3


def _read_response(payload: bytes) -> Fields:
    fields = _RESPONSE
    if (
        len(payload) > _RESPONSE_OCTETS
        and payload[1] == _SPIN_DOWN_OPCODE
        and payload[2] == ResultCode.SUCCESS
    ):
        fields += _SPIN_DOWN_SPEEDS
    read = wire.read(fields, payload, 1)
    values: Fields = {"opcode": int(OpCode.RESPONSE), "op": "response"} | read
    if read.get("request_opcode") in _REQUESTS:
        values["request_op"] = _REQUESTS[read["request_opcode"]][0]
    if read.get("result_code") in _RESULTS:
        values["result"] = _RESULTS[read["result_code"]]
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest:
    """A request as the machine's side sees it; only the parameters that it acts on.

    ``complete`` is false when the parameter is cut short: Invalid Parameter is the answer then.
    """

    opcode: int
    complete: bool = True
    target_speed_kmh: float | None = None
    target_incline_pct: float | None = None
    stop_or_pause: Literal["stop", "pause"] | None = None


def decode_request(payload: bytes) -> ControlRequest:
    """What a client wrote to the control point; raises `DecodeError` for an empty payload."""
    values = read_control_point(payload)
    return ControlRequest(complete=values.get("warning") != "truncated", **_acted_on(values))


def decode_response(payload: bytes) -> ControlResponse:
    """An indication of the control point; raises `DecodeError` when it is no whole response."""
    if len(payload) < _RESPONSE_OCTETS or payload[0] != OpCode.RESPONSE:
        raise DecodeError(f"{payload.hex()!r} is no control point response")
    return ControlResponse(request_opcode=payload[1], result_code=payload[2])


def decode_status(payload: bytes) -> MachineStatus:
    """A status event; raises `DecodeError` for an empty payload.

    A parameter that is missing, cut short or reserved is ``None``: the event itself still counts.
    """
    return MachineStatus(**_acted_on(read_status(payload)))


def _acted_on(values: Fields) -> Fields:
    names = ("opcode", "target_speed_kmh", "target_incline_pct", "stop_or_pause")
    return {name: values[name] for name in names if name in values}


# --- writing -------------------------------------------------------------------------------------


def encode_request(opcode: int, **parameters: Any) -> bytes:
    """Any request, its parameters named and in the units of `read_control_point`.

    The parameter is rounded to the field's resolution, not to a machine's steps. Raises
    `ValueError` for an unknown opcode, a missing, unknown or unfit parameter.
    """
    return _encode_event(_REQUESTS, opcode, parameters)


def encode_status(opcode: int, **parameters: Any) -> bytes:
    """Any status event, its parameters named as in `read_status`; errors as `encode_request`."""
    return _encode_event(_STATUSES, opcode, parameters)


def _encode_event(table: _Table, opcode: int, parameters: Mapping[str, Any]) -> bytes:
    if opcode not in table:
        raise ValueError(f"opcode 0x{opcode:02x} is reserved")
    name, fields = table[opcode]
    wanted = {field.name for field in fields}
    if parameters.keys() != wanted or None in parameters.values():
        raise ValueError(f"{name} takes {sorted(wanted)}, not {sorted(parameters)}")
    return bytes((opcode,)) + wire.write(fields, parameters)


def encode_response(response: ControlResponse) -> bytes:
    """The indication that answers a request; raises `ValueError` for codes above one octet."""
    return bytes((OpCode.RESPONSE, response.request_opcode, response.result_code))


def encode_request_control() -> bytes:
    """Ask for control (0x00)."""
    return encode_request(OpCode.REQUEST_CONTROL)


def encode_reset() -> bytes:
    """Return targets to defaults and give control back (0x01)."""
    return encode_request(OpCode.RESET)


def encode_start() -> bytes:
    """Start or resume the belt (0x07)."""
    return encode_request(OpCode.START_OR_RESUME)


def encode_stop() -> bytes:
    """Stop the belt (0x08 01)."""
    return encode_request(OpCode.STOP_OR_PAUSE, stop_or_pause="stop")


def encode_pause() -> bytes:
    """Pause the belt (0x08 02)."""
    return encode_request(OpCode.STOP_OR_PAUSE, stop_or_pause="pause")


def encode_set_target_speed(speed_kmh: float, speed_range: SpeedRange) -> bytes:
    """Ask for a speed (0x02), stepped down to what the machine offers; see `step_down_kmh`."""
    return encode_request(
        OpCode.SET_TARGET_SPEED, target_speed_kmh=step_down_kmh(speed_kmh, speed_range)
    )


def encode_set_target_incline(incline_pct: float, incline_range: InclineRange) -> bytes:
    """Ask for an incline (0x03), stepped down to what the machine offers; see `step_down_pct`."""
    return encode_request(
        OpCode.SET_TARGET_INCLINE, target_incline_pct=step_down_pct(incline_pct, incline_range)
    )


# --- the machine's steps -------------------------------------------------------------------------

# A value this close below a step of the field (0.01 km/h, 0.1 %) is that step: sums of decimal
# fractions come out short by some 1e-13 of a step, and 2.3 must not become 2.2.
_DUST: Final = 1e-6


def step_down_kmh(speed_kmh: float, speed_range: SpeedRange) -> float:
    """The highest speed the machine offers that is not above ``speed_kmh``, in km/h.

    Offered are the minimum and every whole step above it, up to the maximum. Below the minimum
    there is nothing to offer: the answer is the minimum itself, *above* what was asked, so whoever
    wants less must stop the belt instead. Raises `ValueError` for a speed that is not finite or
    negative, and for a range whose ends are swapped.
    """
    if not speed_kmh >= 0:
        raise ValueError(f"a belt does not run at {speed_kmh!r} km/h")
    low, high = speed_range.min_speed_kmh, speed_range.max_speed_kmh
    step = speed_range.step_speed_kmh
    if _whole(low * 100) and _whole(step * 100):
        return _step_down(speed_kmh, low, high, step, 100) / 100
    # A machine whose own unit is mph steps between the hundredths of a km/h.
    if not math.isfinite(speed_kmh) or low > high:
        raise ValueError(f"nothing for {speed_kmh!r} lies from {low} to {high}")
    steps = math.floor((min(max(speed_kmh, low), high) - low) / step + _DUST)
    return round(low + steps * step, 7)


def _whole(value: float) -> bool:
    return abs(value - round(value)) < _DUST


def step_down_pct(incline_pct: float, incline_range: InclineRange) -> float:
    """The steepest incline the machine offers that is not above ``incline_pct``, in percent.

    As `step_down_kmh`, but negative inclines are inclines. Flat or uphill never becomes downhill
    by rounding: where the machine's steps miss 0, it is 0.
    """
    low, high = incline_range.min_incline_pct, incline_range.max_incline_pct
    raw = _step_down(incline_pct, low, high, incline_range.step_incline_pct, 10)
    if raw < 0 <= min(incline_pct, high):
        return 0.0
    return raw / 10


def _step_down(asked: float, low: float, high: float, step: float, per_unit: int) -> int:
    if not math.isfinite(asked):
        raise ValueError(f"{asked!r} is no target")
    if low > high:
        raise ValueError(f"nothing lies from {low} to {high}")
    first = round(low * per_unit)
    # A machine that says 0 means that every value of the field will do.
    stride = max(1, round(step * per_unit))
    raw = math.floor(min(max(asked, low), high) * per_unit + _DUST)
    return first + (raw - first) // stride * stride
