"""What can be typed at a running simulation: hands at the console, and faults.

    start  stop  pause  speed KMH  incline PCT  key-out  key-in  step-off  step-on  status  clear
    any fault, as after --fault
    @2 start          the second machine only; without it, all of them

Refuses to know where lines come from.
"""

import math
from collections.abc import Callable

from bridge.core.errors import ConfigError
from bridge.simulator.ftms_server import FtmsServer
from bridge.simulator.habits import FAULT_FORMS, parse_fault

_HANDS: dict[str, Callable[[FtmsServer, float], None]] = {
    "start": FtmsServer.press_start,
    "stop": FtmsServer.press_stop,
    "pause": FtmsServer.press_pause,
    "key-out": FtmsServer.pull_key,
    "key-in": FtmsServer.insert_key,
    "step-off": FtmsServer.step_off,
    "step-on": FtmsServer.step_on,
    "clear": FtmsServer.clear_faults,
}
_DIALS: dict[str, Callable[[FtmsServer, float, float], None]] = {
    "speed": FtmsServer.console_speed,
    "incline": FtmsServer.console_incline,
}
STATUS = "status"

_FORMS = (*_HANDS, "speed KMH", "incline PCT", STATUS, *FAULT_FORMS)


def obey(order: str, machine: FtmsServer, now_s: float) -> dict[str, object] | None:
    """Carry out one order on one machine; ``status`` answers how it stands.

    Raises `ConfigError` that names what is allowed; the machine is as before then.
    """
    word, _, value = order.partition(" ")
    if word == STATUS and not value:
        return machine.snapshot(now_s)
    if word in _HANDS and not value:
        _HANDS[word](machine, now_s)
    elif word in _DIALS:
        _DIALS[word](machine, _number(order, value), now_s)
    elif ":" in order or order in FAULT_FORMS:
        machine.set_fault(parse_fault(order), now_s)
    else:
        raise ConfigError(f"order {order!r} is not known; allowed: {', '.join(_FORMS)}")
    return None


def addressed(line: str, machines: int) -> tuple[str, list[int]]:
    """The order in ``line`` and the indexes of the machines it is for."""
    if not line.startswith("@"):
        return line, list(range(machines))
    number, _, order = line[1:].partition(" ")
    if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= machines:
        raise ConfigError(f"machine {number!r} is not there; allowed: @1 to @{machines}")
    return order.strip(), [int(number) - 1]


def _number(order: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"order {order!r} needs a number, such as 1.5")
    return value
