"""How one machine departs from FTMS: a frozen record, and the few corrections that follow from it.

A device profile fills the record in; the defaults are a machine that keeps to the specification.
What is read is put right before anybody believes it, and what is written is put wrong the way the
machine wants it, as the last thing before the bytes. This is the only room where mph exist. It
refuses to know which machine it is dealing with, and when anything is sent.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Any, Final, Literal

from bridge.core.messages import (
    InclineRange,
    Machine,
    MachineStatus,
    OpCode,
    Reading,
    SpeedRange,
    StatusCode,
)

KMH_PER_MPH: Final = 1.609344
"""Exact by the definition of the international mile."""

Unit = Literal["kmh", "mph", "console"]
"""``console``: as the console is set, and FTMS does not tell; see `with_console_unit`."""

IgnorableOp = Literal["start", "stop", "pause", "speed", "incline"]

READING_FIELDS: Final = tuple(
    field.name for field in dataclass_fields(Reading) if field.name not in {"more_data", "warning"}
)
"""The fields of a record that a profile can name."""

# A value this close below a step counts as that step: quotients of decimal fractions come out
# short by some 1e-13 of a step.
_DUST: Final = 1e-6
# The same for a target in mph that comes as km/h rounded to four decimals; 0.00008 km/h at most.
_GRID_DUST: Final = 0.005
_CENTI: Final = 100  # field steps in 1 km/h (or mph)
_DECI: Final = 10  # field steps in 1 %


@dataclass(frozen=True, slots=True, kw_only=True)
class InclineCodec:
    """What number stands in an incline field: raw = ``offset`` + percent x ``per_pct``.

    With a ``table`` of (percent, raw), both rising, those pairs are all there is.
    """

    per_pct: float = 10.0
    offset: float = 0.0
    table: tuple[tuple[float, int], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a codec that cannot be turned round."""
        if not self.per_pct > 0:
            raise ValueError("per_pct must be more than 0")
        rising = zip(self.table, self.table[1:], strict=False)
        if not all(low[0] < high[0] and low[1] < high[1] for low, high in rising):
            raise ValueError("table must rise, in percent and in raw numbers")

    def raw(self, incline_pct: float) -> int:
        """The number for the steepest incline that is not above ``incline_pct``.

        Below the first pair of a table it is the first. Raises `ValueError` unless finite.
        """
        if not math.isfinite(incline_pct):
            raise ValueError(f"{incline_pct!r} is no incline")
        if not self.table:
            return math.floor(self.offset + incline_pct * self.per_pct + _DUST)
        codes = [raw for pct, raw in self.table if pct <= incline_pct + _DUST]
        return codes[-1] if codes else self.table[0][1]

    def pct(self, raw: float) -> float:
        """The percent for a number; of a table, that of the nearest number."""
        if not self.table:
            return (raw - self.offset) / self.per_pct
        return min(self.table, key=lambda pair: abs(pair[1] - raw))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreambleWrite:
    """Octets that unlock a machine: once at connect, or before each control-point write.

    ``characteristic`` is a 128-bit UUID in small letters. The octets pass as they are.
    """

    characteristic: str
    payload: bytes
    at: Literal["connect", "each-write"] = "connect"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRewrite:
    """A status event that means something else here; ``becomes`` ``None`` ignores it.

    ``parameter`` narrows 0x02 to stop or pause, ``at_rest`` to a belt that stands. The safety key
    is never rewritten, and a stop only on a belt that stands (S9).
    """

    opcode: int
    parameter: Literal["stop", "pause"] | None = None
    at_rest: bool = False
    becomes: int | None = None

    def __post_init__(self) -> None:
        """Refuse to hide what ends a session."""
        if self.opcode == StatusCode.STOPPED_BY_SAFETY_KEY:
            raise ValueError("the safety key (0x03) means what it says on every machine")
        if self.opcode == StatusCode.STOPPED_OR_PAUSED_BY_USER and not self.at_rest:
            raise ValueError("a stop (0x02) can mean something else only with at_rest = true")

    def applies(self, status: MachineStatus, *, at_rest: bool) -> bool:
        """Whether this is about ``status``."""
        return (
            status.opcode == self.opcode
            and (self.parameter is None or status.stop_or_pause == self.parameter)
            and (at_rest or not self.at_rest)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """One machine's departures. Every field's default is the plain FTMS machine.

    Numbers: ``target_unit`` of Set Target Speed and of status 0x05; ``reported_unit`` of speeds in
    Treadmill Data; ``range_unit`` of 0x2AD4. ``min_``, ``max_`` and ``step_`` values replace what
    the ranges say; the ``default_`` ranges stand in for one that is missing. ``incline_target`` and
    ``incline_reported``: the two incline fields. ``incline_echo``: the reported incline is absent
    or means nothing, the last accepted target stands for it. ``ignored_fields`` of a record mean
    nothing; ``unavailable`` are values that mean "not available" there. ``met_factor`` scales the
    metabolic equivalent. ``speed_at_octet_2``: speed follows the flags whatever bit 0 says.

    Control: ``control_requests`` of 0x00 at connect (0: never, taken for granted),
    ``control_request_gap_ms`` between two; ``control_before_target``: one more before each target.
    ``start_opcode`` other than 0x07. ``start_toggles``: Start on a moving belt pauses it.
    ``start_before_target``: whether a Start before each target is ``needed`` (which S1 refuses:
    such a machine obeys only once it has been started by a client) or ``forbidden`` (does harm).
    ``start_handshake``: the console's START only asks; the belt moves when the client sends 0x00
    and 0x07. ``after_start_ms``: no target so soon after a start; ``motion_before_target``: and
    none before a record shows motion. ``pause_means``: what 08 02 does; where it is ``ignored``
    only 08 01 stops. ``ignored_ops`` are acknowledged, or not, and change nothing.
    ``acknowledgement``: where the answer to a write is seen. ``meaningless_results``: request
    opcodes whose result says nothing. ``retry_results``: codes after which the preamble and the
    request go out once more. ``keep_alive_s``: a target fades unless it is sent again so often.

    Telemetry: ``silent_at_rest``: no record once the belt stands, nor a last one that says so;
    ``rest_silence_s``: how long it may be silent while the belt comes to rest.
    ``spurious_zeros``: single records of speed 0 while the belt runs. ``speed_while_paused``: the
    reported speed stays up while paused. ``elapsed_while_walked``: elapsed time stands still while
    nobody walks; the belt may run.

    Status: ``status_rewrites``; ``status_settle_ms``: events so soon after subscribing are old.
    ``training_codes``: reserved codes of 0x2AD3 and what they say.

    Link: ``write_mode``; ``write_pacing_ms`` between control-point writes; ``cccd_spacing_ms``
    between subscriptions; ``preamble``. ``service``: where the machine also has ``other_service``
    (a UUID), that one is its true protocol and FTMS a facade (``other``), or FTMS works (``ftms``).
    """

    target_unit: Unit = "kmh"
    reported_unit: Unit = "kmh"
    range_unit: Literal["kmh", "mph"] = "kmh"
    min_speed_kmh: float | None = None
    max_speed_kmh: float | None = None
    step_speed_kmh: float | None = None
    min_incline_pct: float | None = None
    max_incline_pct: float | None = None
    step_incline_pct: float | None = None
    default_speed_range: SpeedRange | None = None
    default_incline_range: InclineRange | None = None
    incline_target: InclineCodec = InclineCodec()
    incline_reported: InclineCodec = InclineCodec()
    incline_echo: bool = False
    ignored_fields: frozenset[str] = frozenset()
    unavailable: tuple[tuple[str, float], ...] = ()
    met_factor: float = 1.0
    speed_at_octet_2: bool = False

    control_requests: int = 1
    control_request_gap_ms: int = 0
    control_before_target: bool = False
    start_opcode: int = int(OpCode.START_OR_RESUME)
    start_toggles: bool = False
    start_before_target: Literal["unneeded", "needed", "forbidden"] = "unneeded"
    start_handshake: bool = False
    after_start_ms: int = 0
    motion_before_target: bool = False
    pause_means: Literal["pause", "stop", "ignored"] = "pause"
    ignored_ops: frozenset[IgnorableOp] = frozenset()
    acknowledgement: Literal["indication", "notification", "status", "measurement"] = "indication"
    meaningless_results: frozenset[int] = frozenset()
    retry_results: frozenset[int] = frozenset()
    keep_alive_s: float | None = None

    silent_at_rest: bool = False
    rest_silence_s: float = 0.0
    spurious_zeros: bool = False
    speed_while_paused: bool = False
    elapsed_while_walked: bool = False

    status_rewrites: tuple[StatusRewrite, ...] = ()
    status_settle_ms: int = 0
    training_codes: tuple[tuple[int, str], ...] = ()

    write_mode: Literal["with-response", "without-response"] = "with-response"
    write_pacing_ms: int = 0
    cccd_spacing_ms: int = 0
    preamble: tuple[PreambleWrite, ...] = ()
    service: Literal["ftms", "other"] = "ftms"
    other_service: str | None = None

    def __post_init__(self) -> None:
        """Refuse what would move a belt by itself, and what contradicts itself."""
        if self.start_opcode == OpCode.REQUEST_CONTROL and (
            self.control_requests or self.control_before_target
        ):
            raise ValueError(
                "where 0x00 starts the belt, control_requests must be 0 and "
                "control_before_target false"
            )
        if self.start_handshake and self.start_opcode != OpCode.START_OR_RESUME:
            raise ValueError("start_handshake answers with 0x07; start_opcode must not differ")
        named = self.ignored_fields | {name for name, _ in self.unavailable}
        if unknown := named - set(READING_FIELDS):
            raise ValueError(f"{', '.join(sorted(unknown))} is no field of Treadmill Data")
        if self.service == "other" and self.other_service is None:
            raise ValueError('service = "other" needs other_service')


STANDARD: Final = Quirks()


def with_console_unit(quirks: Quirks, unit: Literal["kmh", "mph"]) -> Quirks:
    """``quirks`` once a person has read the console's unit; others than ``console`` stay."""
    return replace(
        quirks,
        target_unit=unit if quirks.target_unit == "console" else quirks.target_unit,
        reported_unit=unit if quirks.reported_unit == "console" else quirks.reported_unit,
    )


def depends_on_console_unit(quirks: Quirks) -> bool:
    """Whether speeds can be wrong until a person has read the console's unit (S21)."""
    return "console" in {quirks.target_unit, quirks.reported_unit}


def speaks_ftms(quirks: Quirks, service_uuids: Collection[str]) -> bool:
    """Whether FTMS is this machine's true protocol, given the services that it has."""
    return quirks.service == "ftms" or quirks.other_service not in {
        uuid.lower() for uuid in service_uuids
    }


# --- what the machine says -----------------------------------------------------------------------

_MORE_DATA: Final = 0x01
_ROOM_FOR_SPEED: Final = 4


def correct_frame(payload: bytes, quirks: Quirks) -> bytes:
    """A Treadmill Data payload before it is decoded; only ``speed_at_octet_2`` changes it."""
    if quirks.speed_at_octet_2 and len(payload) >= _ROOM_FOR_SPEED:
        return bytes((payload[0] & ~_MORE_DATA,)) + payload[1:]
    return payload


def correct_reading(
    reading: Reading, quirks: Quirks, last_incline_pct: float | None = None
) -> Reading:
    """A record (or a fragment of one) in km/h and percent, without what means nothing.

    ``last_incline_pct`` is the last incline target that the machine accepted on this link; with
    ``incline_echo`` it takes the place of what is reported. Never raises.
    """
    if quirks is STANDARD:
        return reading
    changes: dict[str, Any] = dict.fromkeys(quirks.ignored_fields)
    for name, value in quirks.unavailable:
        if getattr(reading, name) == value:
            changes[name] = None
    if quirks.reported_unit != "kmh":
        for name in ("speed_kmh", "average_speed_kmh"):
            if (mph := getattr(reading, name)) is not None:
                changes.setdefault(name, round(mph * KMH_PER_MPH, 2))
    if quirks.met_factor != 1 and reading.met is not None:
        changes.setdefault("met", reading.met * quirks.met_factor)
    if quirks.incline_echo:
        changes["incline_pct"] = last_incline_pct
    elif reading.incline_pct is not None and quirks.incline_reported != InclineCodec():
        raw = reading.incline_pct * _DECI
        changes.setdefault("incline_pct", round(quirks.incline_reported.pct(raw), 2))
    return replace(reading, **changes) if changes else reading


def correct_status(status: MachineStatus, quirks: Quirks, *, at_rest: bool) -> MachineStatus | None:
    """A status event as it is meant, in km/h and percent; ``None`` when it means nothing.

    ``at_rest`` is whether the last measurement says that the belt stands.
    """
    for rewrite in quirks.status_rewrites:
        if rewrite.applies(status, at_rest=at_rest):
            return None if rewrite.becomes is None else MachineStatus(opcode=rewrite.becomes)
    if status.target_speed_kmh is not None and quirks.target_unit != "kmh":
        speed_kmh = round(target_speed_from_machine(status.target_speed_kmh, quirks), 2)
        return replace(status, target_speed_kmh=speed_kmh)
    if status.target_incline_pct is not None and quirks.incline_target != InclineCodec():
        incline_pct = round(target_incline_from_machine(status.target_incline_pct, quirks), 2)
        return replace(status, target_incline_pct=incline_pct)
    return status


def machine_limits(machine: Machine, quirks: Quirks) -> Machine:
    """``machine`` with the ranges it really has, in km/h and percent. Never raises.

    Targets in mph are asked in tenths of a mile per hour: a console that counts miles has no finer
    ones, and a target between two of them would look like somebody's hand at the console.

    An override that would leave an empty range is left out. Without an incline that works there
    is no incline range, and what cannot be stopped cannot be controlled.
    """
    speed_range = machine.speed_range
    if speed_range is not None and quirks.range_unit == "mph":
        speed_range = _range_in_kmh(speed_range)
    speed_range = _overridden(
        speed_range or quirks.default_speed_range,
        min_speed_kmh=quirks.min_speed_kmh,
        max_speed_kmh=quirks.max_speed_kmh,
        step_speed_kmh=quirks.step_speed_kmh,
    )
    if speed_range is not None and quirks.target_unit != "kmh":
        speed_range = _on_tenths_of_a_mile(speed_range)
    incline_range = _overridden(
        machine.incline_range or quirks.default_incline_range,
        min_incline_pct=quirks.min_incline_pct,
        max_incline_pct=quirks.max_incline_pct,
        step_incline_pct=quirks.step_incline_pct,
    )
    return replace(
        machine,
        speed_range=speed_range,
        incline_range=None if "incline" in quirks.ignored_ops else incline_range,
        targets=machine.targets - quirks.ignored_ops,
        controllable=machine.controllable and "stop" not in quirks.ignored_ops,
    )


def _range_in_kmh(in_mph: SpeedRange) -> SpeedRange:
    """Exactly: a step rounded to hundredths of a km/h would drift off the machine's own grid."""
    return SpeedRange(
        min_speed_kmh=in_mph.min_speed_kmh * KMH_PER_MPH,
        max_speed_kmh=in_mph.max_speed_kmh * KMH_PER_MPH,
        step_speed_kmh=in_mph.step_speed_kmh * KMH_PER_MPH,
    )


def _on_tenths_of_a_mile(told: SpeedRange) -> SpeedRange:
    """A console that counts miles steps by 0.1 mph, whatever its range says in km/h."""
    tenth_kmh = KMH_PER_MPH / _DECI
    if told.step_speed_kmh >= tenth_kmh - _DUST:
        return told
    # The range is told in hundredths of a km/h: 0.3 mph may stand there as 0.48 or as 0.49.
    low = math.ceil((told.min_speed_kmh - 1 / _CENTI) / tenth_kmh) * tenth_kmh
    return replace(told, min_speed_kmh=low, step_speed_kmh=tenth_kmh)


def _overridden(told: Any, **overrides: float | None) -> Any:
    """A range with some of its values replaced, unless its ends would be swapped."""
    if told is None:
        return None
    known = {name: value for name, value in overrides.items() if value is not None}
    replaced = replace(told, **known)
    low, high, _ = (getattr(replaced, field.name) for field in dataclass_fields(replaced))
    return replaced if low <= high else told


# --- what the machine is asked -------------------------------------------------------------------


def target_speed_to_machine(speed_kmh: float, quirks: Quirks) -> float:
    """What Set Target Speed must say for ``speed_kmh``, in hundredths of the machine's own unit.

    Rounded down: the belt runs at what was asked or less, never more (by 0.0001 km/h or more).
    While the console's unit is not known it counts as mph, the slower reading. Raises `ValueError`
    unless finite and not negative.
    """
    if not (math.isfinite(speed_kmh) and speed_kmh >= 0):
        raise ValueError(f"a belt does not run at {speed_kmh!r} km/h")
    return math.floor(speed_kmh / _kmh_per_unit(quirks) * _CENTI + _GRID_DUST) / _CENTI


def target_speed_from_machine(said: float, quirks: Quirks) -> float:
    """The speed in km/h that a target of ``said`` means; the inverse of the above, unrounded."""
    return said * _kmh_per_unit(quirks)


def target_incline_to_machine(incline_pct: float, quirks: Quirks) -> float:
    """What Set Target Inclination must say, as FTMS reads it (raw / 10), rounded down.

    Raises `ValueError` unless finite.
    """
    return quirks.incline_target.raw(incline_pct) / _DECI


def target_incline_from_machine(said: float, quirks: Quirks) -> float:
    """The incline in percent that a target of ``said`` means; the inverse of the above."""
    return quirks.incline_target.pct(said * _DECI)


def _kmh_per_unit(quirks: Quirks) -> float:
    return 1.0 if quirks.target_unit == "kmh" else KMH_PER_MPH
