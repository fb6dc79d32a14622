"""How one machine departs from the plain FTMS treadmill, as data: standing habits and timed acts.

`Habits` is consulted at few places of `ftms_server`, `records` and `gatt`; device profiles and
faults both end up in it. Refuses to know how any of it is carried out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal

from bridge.core.errors import ConfigError
from bridge.core.messages import OpCode, ResultCode
from bridge.core.quirks import InclineCodec, PreambleWrite
from bridge.simulator.belt import BeltSpec

TRUNCATED_OCTETS = 20
"""What fits a notification at the smallest ATT_MTU of 23; Matrix consoles cut there."""

_PLAIN_INCLINE = InclineCodec()
_RANGES = frozenset({0x2AD4, 0x2AD5})
_LONGEST_S = 86_400.0
_FASTEST_KMH = 25.0
_HIGHEST_CODE = 0xFF
_HIGHEST_ELAPSED_S = 0xFFFF
_NUMBER = re.compile(r"\d{1,6}(\.\d{1,3})?", re.ASCII)
_CODE = re.compile(r"0x[0-9a-fA-F]{1,2}|\d{1,3}", re.ASCII)


PLAIN_RECORD = ("speed_kmh", "distance_m", "incline_pct", "energy_kcal", "elapsed_s")
"""What a plain home treadmill tells: 18 octets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCodes:
    """What 0x2AD3 says, by what the belt does; ``stopped`` once it has run."""

    idle: int = 0x01
    running: int = 0x0D
    stopping: int = 0x0D
    stopped: int = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """Standing departures from a plain FTMS treadmill. The defaults are the plain treadmill.

    Records: the fields in ``record_fields``, every ``data_period_s``, each ``data_delay_s`` after
    it was true; ``fixed_fields`` hold those numbers, whatever is true. ``reports_in_mph``;
    ``incline_reported`` codes the incline, which may be ``absent`` or ``rubbish`` instead
    (``incline_told``); ``met_factor`` divides the metabolic equivalent. ``splits_records`` takes
    two notifications for each; ``truncates_records`` promises a long one in the flags and cuts it
    at `TRUNCATED_OCTETS`; ``record_padding`` octets trail; ``steps_apart`` sends the step counter
    in a fragment after the whole record; ``narrow_steps`` has it in 16 bits; ``hides_speed`` sets
    More Data although speed is there; elapsed time starts over at ``elapsed_wraps_at_s``, and
    stands still without a walker where ``elapsed_while_walked``. ``zeroes_records``: nothing but
    zeros, ever. ``silent_at_rest``; ``rest_silence_s`` of silence from the beginning of a stop;
    ``spurious_zeros`` now and then; ``speed_while_paused`` is that of before.

    Control point: the answer comes ``response_delay_s`` after the Write Response, as
    ``acknowledges`` says: for ``status`` only failures and the first request for control are
    answered, for ``none`` nothing is; ``answers_twice``. ``forced_result`` answers every request
    with that code and carries none out; ``false_results`` are said in turn, whatever came of a
    request with that opcode. Control takes ``control_requests``, ``control_request_gap_s`` apart
    (0: nobody needs to ask), and one more for each target where ``control_before_target``.
    ``start_opcode`` starts; on a moving belt it does what ``start_while_running`` says.
    ``needs_client_start``: targets fail until a client's Start; ``client_start_lasts_s``, and the
    belt stops again. ``console_asks``, when set, is the event (opcode, stop or pause) that the
    console's Start tells instead of moving the belt. A target within ``deaf_after_start_s`` of a
    start, or before motion where ``needs_motion``, gets ``early_result``, or the link drops when
    that is none. ``keep_alive_s`` after the last target it falls to the minimum.
    ``pause_means`` as in `core.quirks`; ``ignored_ops`` get ``ignored_result`` and nothing
    happens. ``targets_in_mph`` reads the speed parameter as mph; ``incline_target`` decodes the
    incline's; ``refuses_off_step`` instead of rounding down. Without ``follows_rises`` or
    ``follows_incline`` such targets are acknowledged and not acted upon.

    Status: ``tells_own_changes``, what the client itself did (FTMS only asks that others be told);
    ``tells_targets_in_mph``; ``streams_speed`` tells the speed that is as the target that changed;
    ``replays_last_status`` to who subscribes; ``status_padding`` octets trail.
    ``training_codes``; ``promises_training_text`` and has none.

    Console: ``press_start_after_s`` after a client has taken control somebody presses Start.

    Link: writes closer than ``write_spacing_s`` and subscriptions closer than ``cccd_spacing_s``
    are taken and dropped; ``preambles`` unlock the machine. ``control_writes`` and
    ``control_tells`` are what the control point claims to take and to give.

    Shape: ``lacks`` characteristics (and both ranges without ``has_ranges``), seen at connect;
    ``values`` are told instead of the true ones; ``told_body`` is what the ranges tell, if not the
    truth, and ``ranges_in_mph``. ``other_service`` is there too, and ``advertises_other_service``.
    Texts of Device Information may be ``nul_terminated``. Before the connection:
    ``advertises_service_data``, and ``service_data`` instead of the right ones.
    """

    record_fields: tuple[str, ...] = PLAIN_RECORD
    data_period_s: float = 1.0
    data_delay_s: float = 0.0
    fixed_fields: tuple[tuple[str, float], ...] = ()
    reports_in_mph: bool = False
    incline_reported: InclineCodec = _PLAIN_INCLINE
    incline_told: Literal["true", "absent", "rubbish"] = "true"
    met_factor: float = 1.0
    splits_records: bool = False
    truncates_records: bool = False
    record_padding: int = 0
    steps_apart: bool = False
    narrow_steps: bool = False
    hides_speed: bool = False
    elapsed_wraps_at_s: int | None = None
    elapsed_while_walked: bool = False
    zeroes_records: bool = False
    silent_at_rest: bool = False
    rest_silence_s: float = 0.0
    spurious_zeros: bool = False
    speed_while_paused: bool = False

    response_delay_s: float = 0.0
    acknowledges: Literal["indication", "notification", "status", "none"] = "indication"
    answers_twice: bool = False
    forced_result: int | None = None
    false_results: tuple[tuple[int, tuple[int, ...]], ...] = ()
    control_requests: int = 1
    control_request_gap_s: float = 0.0
    control_before_target: bool = False
    start_opcode: int = int(OpCode.START_OR_RESUME)
    start_while_running: Literal["fails", "pauses", "restarts", "succeeds"] = "fails"
    needs_client_start: bool = False
    client_start_lasts_s: float | None = None
    console_asks: tuple[int, Literal["stop", "pause"] | None] | None = None
    deaf_after_start_s: float = 0.0
    needs_motion: bool = False
    early_result: int | None = int(ResultCode.OPERATION_FAILED)
    keep_alive_s: float | None = None
    pause_means: Literal["pause", "stop", "ignored"] = "pause"
    ignored_ops: frozenset[str] = frozenset()
    ignored_result: int = int(ResultCode.SUCCESS)
    targets_in_mph: bool = False
    incline_target: InclineCodec = _PLAIN_INCLINE
    refuses_off_step: bool = False
    follows_rises: bool = True
    follows_incline: bool = True

    tells_own_changes: bool = True
    tells_targets_in_mph: bool = False
    streams_speed: bool = False
    replays_last_status: bool = False
    status_padding: int = 0
    training_codes: TrainingCodes = TrainingCodes()
    promises_training_text: bool = False

    press_start_after_s: float | None = None

    write_spacing_s: float = 0.0
    cccd_spacing_s: float = 0.0
    preambles: tuple[PreambleWrite, ...] = ()
    control_writes: Literal["with-response", "without-response", "both"] = "with-response"
    control_tells: Literal["indicate", "notify", "both"] = "indicate"

    lacks: frozenset[int] = frozenset()
    has_ranges: bool = True
    values: tuple[tuple[int, bytes], ...] = ()
    told_body: BeltSpec | None = None
    ranges_in_mph: bool = False
    other_service: str | None = None
    advertises_other_service: bool = False
    nul_terminated: bool = False
    advertises_service_data: bool = True
    service_data: bytes | None = None

    def has(self, uuid16: int) -> bool:
        """Whether the machine has this characteristic."""
        return uuid16 not in self.lacks and (self.has_ranges or uuid16 not in _RANGES)

    @property
    def needs_unlocking(self) -> tuple[PreambleWrite, ...]:
        """What must be written once on a link before the machine says anything."""
        return tuple(each for each in self.preambles if each.at == "connect")


class Act(Enum):
    """Something that happens to a machine once."""

    PRESS_START = "press-start"
    KEY_OUT = "key-out"
    CONSOLE_SPEED = "console-speed"
    CONSOLE_STOP = "console-stop"
    RUNAWAY = "runaway"
    SILENCE = "silent"
    DROP_LINK = "drop-link"
    REBOOT = "reboot"
    CONTROL_LOST = "control-lost"
    TARGET_FADES = "target-fades"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedAct:
    """``act``, ``after_s`` seconds after it was set. ``value`` is km/h, seconds, or a number."""

    act: Act
    after_s: float
    value: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitChange:
    """Fields of `Habits` that a fault sets."""

    fields: Mapping[str, Any] = field(default_factory=dict)

    def applied(self, habits: Habits) -> Habits:
        """``habits`` with this change."""
        return replace(habits, **self.fields)


Fault = TimedAct | HabitChange


def _seconds(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) and float(text) <= _LONGEST_S else None


def _code(text: str) -> int | None:
    if not _CODE.fullmatch(text):
        return None
    code = int(text, 16 if text.startswith("0x") else 10)
    return code if code <= _HIGHEST_CODE else None


def _wrap(text: str) -> int | None:
    whole = text.isascii() and text.isdigit()
    return int(text) if whole and 1 <= int(text) <= _HIGHEST_ELAPSED_S else None


def _switch(**fields: bool | str) -> Callable[[str], Fault | None]:
    return lambda text: None if text else HabitChange(fields=fields)


def _setting(name: str, read: Callable[[str], float | None]) -> Callable[[str], Fault | None]:
    def make(text: str) -> Fault | None:
        value = read(text)
        return None if value is None else HabitChange(fields={name: value})

    return make


def _timed(act: Act) -> Callable[[str], Fault | None]:
    def make(text: str) -> Fault | None:
        after_s = _seconds(text)
        return None if after_s is None else TimedAct(act=act, after_s=after_s)

    return make


def _silence(text: str) -> Fault | None:
    length_s = _seconds(text)
    return None if length_s is None else TimedAct(act=Act.SILENCE, after_s=0.0, value=length_s)


def _console_speed(text: str) -> Fault | None:
    speed, _, after = text.partition("@")
    after_s = _seconds(after)
    if not _NUMBER.fullmatch(speed) or not 0 < float(speed) <= _FASTEST_KMH or after_s is None:
        return None
    return TimedAct(act=Act.CONSOLE_SPEED, after_s=after_s, value=float(speed))


_FAULTS: dict[str, tuple[str, Callable[[str], Fault | None]]] = {
    "start-toggle": ("", _switch(start_while_running="pauses")),
    "targets-mph": ("", _switch(targets_in_mph=True)),
    "late-data": ("S", _setting("data_delay_s", _seconds)),
    "silent": ("S", _silence),
    "drop-link": ("AT_S", _timed(Act.DROP_LINK)),
    "no-indication": ("", _switch(acknowledges="none")),
    "result": ("CODE", _setting("forced_result", _code)),
    "split-records": ("", _switch(splits_records=True)),
    "truncated": ("", _switch(truncates_records=True)),
    "no-service-data": ("", _switch(advertises_service_data=False)),
    "no-ranges": ("", _switch(has_ranges=False)),
    "key-out": ("AT_S", _timed(Act.KEY_OUT)),
    "console-speed": ("KMH@S", _console_speed),
    "console-stop": ("AT_S", _timed(Act.CONSOLE_STOP)),
    "runaway": ("AT_S", _timed(Act.RUNAWAY)),
    "lazy-belt": ("", _switch(follows_rises=False)),
    "ignores-incline": ("", _switch(follows_incline=False)),
    "wraps-elapsed": ("WHOLE_S", _setting("elapsed_wraps_at_s", _wrap)),
    "reboot": ("AT_S", _timed(Act.REBOOT)),
    "control-lost": ("AT_S", _timed(Act.CONTROL_LOST)),
}

_PARAMETERS = {
    "S": "seconds, 0 to 86400",
    "WHOLE_S": "whole seconds, 1 to 65535",
    "AT_S": "seconds from now, 0 to 86400",
    "CODE": f"a result code, 0 to 255 or 0x00 to 0xff ({ResultCode.SUCCESS.value}: says success)",
    "KMH@S": "km/h above 0 to 25, @, seconds from now",
}

FAULT_FORMS = tuple(name + (f":{form}" if form else "") for name, (form, _) in _FAULTS.items())
"""Every fault as it is written: ``start-toggle``, ``late-data:S``, ..."""


def parse_fault(text: str) -> Fault:
    """Read one fault as the command line and stdin take it (`FAULT_FORMS`).

    Times count from the moment the fault is set: for ``--fault`` from the machine's power-on, for
    a line on stdin from that line. ``silent:S`` keeps treadmill data back for ``S`` seconds, from
    the first record that would have gone to a client; control and status go on. ``result:CODE``
    is decimal, or hexadecimal with ``0x``. Raises `ConfigError` that names what is allowed.
    """
    name, colon, parameter = text.strip().partition(":")
    if name not in _FAULTS:
        raise ConfigError(f"fault {text!r} is not known; allowed: {', '.join(FAULT_FORMS)}")
    form, make = _FAULTS[name]
    fault = None if bool(colon) != bool(form) else make(parameter)
    if fault is None:
        allowed = f"{name}:{form} ({_PARAMETERS[form]})" if form else f"{name} and no more"
        raise ConfigError(f"fault {text!r} is wrong; allowed: {allowed}")
    return fault
