"""The form of a device profile file, and the way from the profile folder into core records.

A profile is declarative: how to know a machine, and how it departs from FTMS. What a departure
means and does is `core.quirks`' business; which profile a machine has, `core.matching`'s.
"""

import re
from collections.abc import Iterable
from importlib.resources.abc import Traversable
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from bridge import data
from bridge.core.errors import ProfileError
from bridge.core.matching import STANDARD_ID, DeviceProfile, Family, MatchRule, Tier
from bridge.core.messages import Identity, InclineRange, SpeedRange
from bridge.core.quirks import (
    IgnorableOp,
    InclineCodec,
    PreambleWrite,
    Quirks,
    StatusRewrite,
    Unit,
)
from bridge.device_simulation import SimulatorEntry
from bridge.findings import Finding, finding, from_pydantic, report, unknown_name
from bridge.profiles import read_toml, shaped
from bridge.settings import Id, Speed, Table
from bridge.toml_lines import Path, TomlSyntaxError, parse

_BASE_UUID = "0000{}-0000-1000-8000-00805f9b34fb"
_SHORT_UUID = re.compile(r"[0-9a-f]{4}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST_SPACING_MS = 5000


def _uuid(value: str) -> str:
    text = value.lower()
    if _SHORT_UUID.fullmatch(text):
        return _BASE_UUID.format(text)
    if not _UUID.fullmatch(text):
        raise ValueError("must be a UUID of four hexadecimal digits, or a whole one with dashes")
    return text


def _hex(value: str) -> str:
    try:
        octets = bytes.fromhex(value)
    except ValueError:
        octets = b""
    if not octets:
        raise ValueError('must be octets in hexadecimal digits, such as "01 00 0d"')
    return octets.hex()


_Text = Annotated[str, Field(min_length=1)]
_Uuid = Annotated[str, AfterValidator(_uuid)]
_Octets = Annotated[str, AfterValidator(_hex)]
_Octet = Annotated[int, Field(ge=0, le=0xFF)]
_Incline = Annotated[float, Field(ge=-15, le=40)]
_Millis = Annotated[int, Field(ge=0, le=_LONGEST_SPACING_MS)]
_Seconds = Annotated[float, Field(ge=0, le=60)]


class MatchEntry(Table):
    """``[[match]]``: one way to know such a machine. All keys must hold; see `core.matching`."""

    name: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    service_data: _Octets | None = None
    services: tuple[_Uuid, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _means_something(self) -> "MatchEntry":
        self.record()
        return self

    def record(self) -> MatchRule:
        """The core's record of this rule. Raises `ValueError` when it asks for nothing."""
        return MatchRule(
            name=self.name,
            manufacturer=self.manufacturer,
            model=self.model,
            firmware=self.firmware,
            service_data=bytes.fromhex(self.service_data or ""),
            services=frozenset(self.services),
        )


class ExampleEntry(Table):
    """``[example]``: what one such machine calls itself; it must match."""

    name: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""


class SpeedRangeEntry(Table):
    """A Supported Speed Range, km/h."""

    min_speed_kmh: Annotated[float, Field(ge=0, le=25)]
    max_speed_kmh: Speed
    step_speed_kmh: Annotated[float, Field(ge=0.01, le=1)]


class InclineRangeEntry(Table):
    """A Supported Inclination Range, percent."""

    min_incline_pct: _Incline
    max_incline_pct: _Incline
    step_incline_pct: Annotated[float, Field(ge=0.1, le=5)]


class InclineCodecEntry(Table):
    """What number stands in an incline field: offset + percent x per_pct, or a table."""

    per_pct: Annotated[float, Field(gt=0, le=1000)] = 10.0
    offset: Annotated[float, Field(ge=-1000, le=1000)] = 0.0
    table: tuple[tuple[_Incline, int], ...] = Field(
        default=(), strict=False, description="pairs of percent and raw number, both rising"
    )

    @model_validator(mode="before")
    @classmethod
    def _pairs_from_lists(cls, data: Any) -> Any:
        """TOML has no tuples; strict mode takes nothing else inside one."""
        if isinstance(data, dict) and isinstance(data.get("table"), list):
            pairs = [tuple(pair) if isinstance(pair, list) else pair for pair in data["table"]]
            return data | {"table": pairs}
        return data

    @model_validator(mode="after")
    def _can_be_turned_round(self) -> "InclineCodecEntry":
        self.record()
        return self

    def record(self) -> InclineCodec:
        """The core's record. Raises `ValueError` for a table that does not rise."""
        return InclineCodec(per_pct=self.per_pct, offset=self.offset, table=self.table)


class PreambleEntry(Table):
    """``[[quirks.preamble]]``: octets that unlock a machine."""

    characteristic: _Uuid
    hex: _Octets
    at: Literal["connect", "each-write"] = "connect"


class StatusRewriteEntry(Table):
    """``[[quirks.status_rewrites]]``: a status event that means something else."""

    opcode: _Octet
    parameter: Literal["stop", "pause"] | None = None
    at_rest: bool = False
    becomes: _Octet | None = Field(default=None, description="left out: the event means nothing")

    @model_validator(mode="after")
    def _hides_no_stop(self) -> "StatusRewriteEntry":
        StatusRewrite(**dict(self))
        return self


class TrainingCodeEntry(Table):
    """``[[quirks.training_codes]]``: a reserved Training Status code and what it says."""

    code: Annotated[int, Field(ge=0x10, le=0xFF)]
    means: _Text


class QuirksEntry(Table):
    """``[quirks]``: departures from FTMS, by the names of `core.quirks.Quirks`."""

    target_unit: Unit = "kmh"
    reported_unit: Unit = "kmh"
    range_unit: Literal["kmh", "mph"] = "kmh"
    min_speed_kmh: Speed | None = None
    max_speed_kmh: Speed | None = None
    step_speed_kmh: Annotated[float, Field(ge=0.01, le=1)] | None = None
    min_incline_pct: _Incline | None = None
    max_incline_pct: _Incline | None = None
    step_incline_pct: Annotated[float, Field(ge=0.1, le=5)] | None = None
    default_speed_range: SpeedRangeEntry | None = None
    default_incline_range: InclineRangeEntry | None = None
    incline_target: InclineCodecEntry = InclineCodecEntry()
    incline_reported: InclineCodecEntry = InclineCodecEntry()
    incline_echo: bool = False
    ignored_fields: tuple[str, ...] = Field(default=(), strict=False)
    unavailable: dict[str, float] = Field(default={})
    met_factor: Annotated[float, Field(gt=0, le=100)] = 1.0
    speed_at_octet_2: bool = False

    control_requests: Annotated[int, Field(ge=0, le=3)] = 1
    control_request_gap_ms: _Millis = 0
    control_before_target: bool = False
    start_opcode: _Octet = 0x07
    start_toggles: bool = False
    start_before_target: Literal["unneeded", "needed", "forbidden"] = "unneeded"
    start_handshake: bool = False
    after_start_ms: _Millis = 0
    motion_before_target: bool = False
    pause_means: Literal["pause", "stop", "ignored"] = "pause"
    ignored_ops: tuple[IgnorableOp, ...] = Field(default=(), strict=False)
    acknowledgement: Literal["indication", "notification", "status", "measurement"] = "indication"
    meaningless_results: tuple[_Octet, ...] = Field(default=(), strict=False)
    retry_results: tuple[_Octet, ...] = Field(default=(), strict=False)
    keep_alive_s: Annotated[float, Field(ge=0.5, le=60)] | None = None

    silent_at_rest: bool = False
    rest_silence_s: _Seconds = 0.0
    spurious_zeros: bool = False
    speed_while_paused: bool = False
    elapsed_while_walked: bool = False

    status_rewrites: tuple[StatusRewriteEntry, ...] = Field(default=(), strict=False)
    status_settle_ms: _Millis = 0
    training_codes: tuple[TrainingCodeEntry, ...] = Field(default=(), strict=False)

    write_mode: Literal["with-response", "without-response"] = "with-response"
    write_pacing_ms: _Millis = 0
    cccd_spacing_ms: _Millis = 0
    preamble: tuple[PreambleEntry, ...] = Field(default=(), strict=False)
    service: Literal["ftms", "other"] = "ftms"
    other_service: _Uuid | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> "QuirksEntry":
        self.record()
        return self

    def record(self) -> Quirks:
        """The core's record. Raises `ValueError` for departures that contradict each other."""
        speeds, inclines = self.default_speed_range, self.default_incline_range
        plain = dict(self) | {
            "default_speed_range": None if speeds is None else SpeedRange(**dict(speeds)),
            "default_incline_range": None if inclines is None else InclineRange(**dict(inclines)),
            "incline_target": self.incline_target.record(),
            "incline_reported": self.incline_reported.record(),
            "ignored_fields": frozenset(self.ignored_fields),
            "unavailable": tuple(self.unavailable.items()),
            "ignored_ops": frozenset(self.ignored_ops),
            "meaningless_results": frozenset(self.meaningless_results),
            "retry_results": frozenset(self.retry_results),
            "status_rewrites": tuple(StatusRewrite(**dict(one)) for one in self.status_rewrites),
            "training_codes": tuple((one.code, one.means) for one in self.training_codes),
            "preamble": tuple(
                PreambleWrite(
                    characteristic=one.characteristic, payload=bytes.fromhex(one.hex), at=one.at
                )
                for one in self.preamble
            ),
        }
        return Quirks(**plain)


class DeviceFile(Table):
    """A device profile: the whole file."""

    id: Id
    name: _Text
    tier: Tier
    source: _Text
    notes: str = ""
    match: tuple[MatchEntry, ...] = Field(default=(), strict=False)
    example: ExampleEntry = ExampleEntry()
    quirks: QuirksEntry = QuirksEntry()
    simulator: SimulatorEntry = SimulatorEntry()

    def record(self) -> DeviceProfile:
        """The core's record."""
        return DeviceProfile(
            id=self.id,
            name=self.name,
            source=self.source,
            tier=self.tier,
            rules=tuple(entry.record() for entry in self.match),
            quirks=self.quirks.record(),
            example=Identity(**dict(self.example)),
            notes=self.notes.strip(),
        )


class FamilyEntry(Table):
    """``[[family]]``: machines that speak something else than FTMS."""

    id: Id
    name: _Text
    spoken_by: _Text
    source: _Text
    notes: str = ""
    match: Annotated[tuple[MatchEntry, ...], Field(strict=False, min_length=1)]


class FamiliesFile(Table):
    """``other-families.toml``."""

    family: Annotated[tuple[FamilyEntry, ...], Field(strict=False, min_length=1)]


# --- reading -------------------------------------------------------------------------------------


def load_devices(own: FilePath | None = None) -> dict[str, DeviceProfile]:
    """Every device profile by id. Raises `ProfileError` that names everything that is wrong.

    ``own`` is the person's folder, if not the platform's.
    """
    profiles: dict[str, DeviceProfile] = {}
    findings: list[Finding] = []
    for ident, file in data.profile_files("devices", own).items():
        profile, wrong = check_device(file)
        findings += wrong
        if profile is not None:
            profiles[ident] = profile
    if findings:
        raise ProfileError(report("a device profile is wrong", findings))
    return profiles


def load_device(ident: str, own: FilePath | None = None) -> DeviceProfile:
    """One device profile. Raises `ProfileError` when there is none or it is wrong."""
    return load_device_file(ident, own).record()


def load_device_file(ident: str, own: FilePath | None = None) -> DeviceFile:
    """One device profile with all that its file says, the simulator's table too.

    Raises `ProfileError` when there is none or it is wrong.
    """
    files = data.profile_files("devices", own)
    if ident not in files:
        raise ProfileError(f'device "{ident}": {unknown_name(ident, "device profile", files)}')
    contents, wrong = _checked(files[ident])
    if contents is None:
        raise ProfileError(report("the device profile is wrong", wrong))
    return contents


def check_device(file: Traversable) -> tuple[DeviceProfile | None, tuple[Finding, ...]]:
    """What one file says, or everything that is wrong with it.

    Raises `ProfileError` when it cannot be read.
    """
    contents, wrong = _checked(file)
    return (None if contents is None else contents.record()), wrong


def _checked(file: Traversable) -> tuple[DeviceFile | None, tuple[Finding, ...]]:
    try:
        text = parse(file.read_bytes())
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror}") from None
    except TomlSyntaxError as error:
        return None, (_broken(file, error),)

    def locate(path: Path) -> tuple[str, int | None]:
        return str(file), text.line(path)

    try:
        contents = DeviceFile.model_validate(text.data)
        profile = contents.record()
    except ValidationError as error:
        return None, tuple(from_pydantic(error, DeviceFile, locate))
    wrong = tuple(
        finding((*path,), value, message, locate)
        for path, value, message in _against(file, profile)
    )
    return (None if wrong else contents), wrong


def _broken(file: Traversable, error: TomlSyntaxError) -> Finding:
    return Finding(
        place=str(file), line=error.line, key="", value=None, message=f"not TOML: {error}"
    )


def _against(file: Traversable, profile: DeviceProfile) -> Iterable[tuple[Path, object, str]]:
    """What only the whole file shows to be wrong: path, value, message."""
    if f"{profile.id}.toml" != file.name:
        message = f"must be the name of its file, {file.name}, without .toml"
        yield ("id",), profile.id, message
    if profile.id != STANDARD_ID and not profile.rules:
        yield ("match",), None, "is missing: how is such a machine known?"


def load_families() -> tuple[Family, ...]:
    """The families that are not FTMS. Raises `ProfileError` when their file is wrong."""
    file = data.shipped_profiles() / "other-families.toml"
    families = shaped(file, read_toml(file), FamiliesFile).family
    return tuple(
        Family(
            id=entry.id,
            name=entry.name,
            spoken_by=entry.spoken_by,
            source=entry.source,
            rules=tuple(rule.record() for rule in entry.match),
            notes=entry.notes.strip(),
        )
        for entry in families
    )
