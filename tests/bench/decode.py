"""What it costs to decode one Treadmill Data record: this, pyftms where it is, one bare unpack."""

import struct
import timeit
from collections.abc import Callable
from importlib.util import find_spec

from bridge.core.ftms import decode_treadmill_data

RECORD = bytes.fromhex("8c056400010000000000000000ffffff000400")
"""Speed, distance, incline, energy, heart rate and time: 19 octets, as FitShow consoles send."""

_BARE = struct.Struct("<HHHBhhHHBBH")
CALLS, ROUNDS = 20_000, 7


def _microseconds(call: Callable[[], object]) -> float:
    """The best of several rounds: what the code costs when the machine does nothing else."""
    return min(timeit.repeat(call, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def measure() -> dict[str, float]:
    """Microseconds a record. pyftms is measured as its own notification handler calls it."""
    figures = {
        "this_us": _microseconds(lambda: decode_treadmill_data(RECORD)),
        "bare_unpack_us": _microseconds(lambda: _BARE.unpack(RECORD)),
    }
    if find_spec("pyftms") is not None:
        from pyftms.models import TreadmillData
        from pyftms.serializer import get_serializer

        serializer = get_serializer(TreadmillData)
        data = bytearray(RECORD)
        figures["pyftms_us"] = _microseconds(lambda: serializer.deserialize(data)._asdict())
        figures["of_pyftms"] = figures["this_us"] / figures["pyftms_us"]
    return {name: round(value, 4) for name, value in figures.items()}
