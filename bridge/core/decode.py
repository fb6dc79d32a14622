"""One payload as people see it: named values for every characteristic this project understands.

This is what ``retrowalk decode`` prints: one frame as it is, without joining split records and
without any machine's corrections. The bridge itself uses the typed results of `ftms`,
`control_codec` and `neighbours`. This module refuses to know a single field.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from bridge.core import control_codec, ftms, neighbours
from bridge.core.errors import DecodeError
from bridge.core.wire import Fields


def _read_treadmill_data(payload: bytes) -> Fields:
    reading = ftms.decode_treadmill_data(payload)
    values = {name: getattr(reading, name) for name in type(reading).__dataclass_fields__}
    return {name: value for name, value in values.items() if value is not None}


SERVICE_DATA: Final = "1826-service-data"

_READERS: Final[Mapping[str, Callable[[bytes], Fields]]] = {
    "2acc": ftms.read_features,
    "2acd": _read_treadmill_data,
    "2ad3": ftms.read_training_status,
    "2ad4": ftms.read_speed_range,
    "2ad5": ftms.read_incline_range,
    "2ad6": ftms.read_resistance_range,
    "2ad7": ftms.read_heart_rate_range,
    "2ad8": ftms.read_power_range,
    "2ad9": control_codec.read_control_point,
    "2ada": control_codec.read_status,
    "2a37": neighbours.read_heart_rate,
    "2a53": neighbours.read_running_speed,
    **dict.fromkeys(("2a24", "2a25", "2a26", "2a27", "2a28", "2a29"), neighbours.read_text),
    SERVICE_DATA: neighbours.read_service_data,
}
CHARACTERISTICS: Final = tuple(_READERS)
"""The names `decode` takes, in their short form."""

# The Bluetooth base UUID, under which a 16-bit one is short for a long one (Core, Vol 3 Part B).
_LONG_UUID: Final = re.compile(r"0000([0-9a-f]{4})-0000-1000-8000-00805f9b34fb")


def decode(characteristic: str, payload: bytes) -> dict[str, object]:
    """The values of ``payload`` by name; absent and not-available ones are left out.

    ``characteristic`` is a 16-bit UUID in hex, the same as a full UUID, or `SERVICE_DATA`, in any
    case. ``warning`` is ``"truncated"`` when the payload is cut short (every whole field before
    the cut is there) and ``"trailing"`` when octets are left over. Raises `DecodeError`, and
    nothing else, for an unknown characteristic and for a payload without one whole field.
    """
    name = characteristic.strip().lower().removeprefix("0x")
    if long := _LONG_UUID.fullmatch(name):
        name = long[1]
    if name not in _READERS:
        raise DecodeError(f"{characteristic!r} is not a characteristic this program can decode")
    values = _READERS[name](payload)
    if values.keys() <= {"warning"}:
        raise DecodeError(f"{payload.hex() or 'nothing'!r} holds no whole field of {name}")
    return values
