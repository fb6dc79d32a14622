"""The form of a training program file, and the check that finds everything wrong with one.

Reads TOML as a physiotherapist writes it; what a program may ask of a walker is judged by
`core.program_rules`, and its findings are put back on the lines they come from.
"""

import datetime as dt
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, PlainValidator, ValidationError, model_validator

from bridge.core.messages import Direction, Level, Program, Segment
from bridge.core.program_rules import TURN_MAX_KMH, check_segments
from bridge.findings import Finding, Locate, finding, from_pydantic, unknown_name
from bridge.settings import Id, Speed, Table
from bridge.toml_lines import Path, TomlSyntaxError, TomlText, parse

LONGEST_SEGMENT_S = 2 * 3600
_Model = TypeVar("_Model", bound=Table)
_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)")


def _seconds(value: Any) -> float:
    allowed = 'must be minutes and seconds in quotes, such as "2:00", or a number of seconds'
    if isinstance(value, dt.time):
        raise ValueError(f"{allowed}; this is a time of day")  # noqa: TRY004 - pydantic's own kind
    if isinstance(value, str):
        if (clock := _CLOCK.fullmatch(value)) is None:
            raise ValueError(allowed)
        value = int(clock[1]) * 60 + int(clock[2])
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(allowed)
    if not 1 <= value <= LONGEST_SEGMENT_S:
        raise ValueError(f"must be at least 1 second and at most {LONGEST_SEGMENT_S // 3600} hours")
    return float(value)


def _speed(value: Any) -> float | Literal["comfort"]:
    if value == "comfort":
        return "comfort"
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 25:  # noqa: PLR2004 - as `Speed`
        raise ValueError('must be km/h, more than 0 and at most 25, or "comfort"')
    return float(value)


def _speed_is_optional(schema: dict[str, Any]) -> None:
    """A turn may leave its speed out; JSON Schema would need a page to say that of turns alone."""
    schema["required"].remove("speed_kmh")


class SegmentEntry(Table):
    """``[[segment]]``: one stretch of walking, or a turn."""

    model_config = ConfigDict(json_schema_extra=_speed_is_optional)

    direction: Literal["backward", "forward", "lateral_left", "lateral_right", "turn"]
    speed_kmh: Annotated[
        float | Literal["comfort"],
        PlainValidator(_speed, json_schema_input_type=Speed | Literal["comfort"]),
    ] = Field(description='km/h, or "comfort": the walker\'s own; a turn may leave it out')
    until_known_kmh: Speed | None = Field(
        default=None, description='with "comfort": the speed for those whose own is not known yet'
    )
    incline_pct: Annotated[float, Field(ge=-15, le=40)] = 0.0
    time: Annotated[
        float, PlainValidator(_seconds, json_schema_input_type=Annotated[float, Field(ge=1)] | str)
    ] = Field(description='"minutes:seconds", or seconds; for a turn, the least it takes')
    cues: tuple[str, ...] = Field(default=(), strict=False)

    @model_validator(mode="before")
    @classmethod
    def _turns_have_a_speed(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("direction") == "turn":
            return {"speed_kmh": TURN_MAX_KMH} | data
        return data

    @model_validator(mode="after")
    def _comfort_is_known_or_told(self) -> "SegmentEntry":
        if self.speed_kmh == "comfort" and self.until_known_kmh is None:
            raise ValueError('speed_kmh = "comfort" needs until_known_kmh beside it')
        if self.speed_kmh != "comfort" and self.until_known_kmh is not None:
            raise ValueError('until_known_kmh belongs to speed_kmh = "comfort"')
        return self

    def record(self) -> Segment:
        """The core's record of this stretch."""
        relative = self.until_known_kmh is not None
        speed_kmh = self.until_known_kmh if self.speed_kmh == "comfort" else self.speed_kmh
        assert speed_kmh is not None
        return Segment(
            direction=Direction(self.direction),
            duration_s=self.time,
            speed_kmh=speed_kmh,
            incline_pct=self.incline_pct,
            relative="comfort" if relative else None,
            cues=self.cues,
        )


class _RepeatHead(Table):
    repeat: Annotated[int, Field(ge=1, le=50)]
    part: Annotated[tuple[dict[str, Any], ...], Field(strict=False, min_length=1)]


class RepeatEntry(_RepeatHead):
    """``[[segment]]`` with ``repeat = 3``: its ``[[segment.part]]`` entries, three times over."""

    part: tuple[SegmentEntry, ...]  # type: ignore[assignment]


class _ProgramHead(Table):
    id: Id
    name: Annotated[str, Field(min_length=1)]
    level: str
    summary: str = ""
    evidence: str = ""
    segment: tuple[dict[str, Any], ...] = Field(default=(), strict=False)


class ProgramFile(_ProgramHead):
    """A training program: the whole file. For its JSON Schema; `check_program` does the reading."""

    segment: tuple[SegmentEntry | RepeatEntry, ...]  # type: ignore[assignment]


# --- checking ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedProgram:
    """A program file after its check: the program, or why there is none."""

    program: Program | None
    findings: tuple[Finding, ...]


def check_program(
    file: Traversable, levels: Mapping[str, Level], cues: Collection[str]
) -> CheckedProgram:
    """Read one file and find everything that is wrong with it. Raises nothing for its content.

    ``cues`` are the known cue names. A stretch whose form is wrong is held to the rules once its
    form is right. Raises `OSError` when the file cannot be read.
    """
    try:
        text = parse(file.read_bytes())
    except TomlSyntaxError as error:
        broken = Finding(
            place=str(file), line=error.line, key="", value=None, message=f"not TOML: {error}"
        )
        return CheckedProgram(program=None, findings=(broken,))
    return _Check(text, file, levels, cues).run()


class _Check:
    """The check of one file; ``found`` grows as it goes."""

    def __init__(
        self,
        text: TomlText,
        file: Traversable,
        levels: Mapping[str, Level],
        cues: Collection[str],
    ) -> None:
        self._text = text
        self._file = file
        self._levels = levels
        self._cues = cues
        self._found: list[Finding] = []
        self._locate: Locate = lambda path: (str(file), text.line(path))

    def run(self) -> CheckedProgram:
        head = self._head()
        stretches = list(self._stretches())
        level = self._text.data.get("level")
        segments = [segment for _, segment in stretches]
        known = self._levels.get(level) if isinstance(level, str) else None
        for broken in check_segments(segments, known, self._cues):
            path = () if broken.segment is None else stretches[broken.segment][0]
            self._add((*path, self._key(broken.field, path)), broken.message)
        whole = tuple(segment for segment in segments if segment is not None)
        if head is None or self._found:
            return CheckedProgram(program=None, findings=self._in_order())
        return CheckedProgram(program=_program(head, whole), findings=())

    def _in_order(self) -> tuple[Finding, ...]:
        """By line, and each once: a repeated stretch is wrong in every round."""
        return tuple(sorted(dict.fromkeys(self._found), key=lambda found: found.line or 0))

    def _head(self) -> _ProgramHead | None:
        head = self._validated(_ProgramHead, self._text.data, ())
        level, ident = self._text.data.get("level"), self._text.data.get("id")
        if isinstance(level, str) and level not in self._levels:
            self._add(("level",), unknown_name(level, "level", self._levels))
        if isinstance(ident, str) and f"{ident}.toml" != self._file.name:
            self._add(("id",), f"must be the name of its file, {self._file.name}, without .toml")
        return head

    def _stretches(self) -> Iterator[tuple[Path, Segment | None]]:
        """Every stretch in the order of walking, with the path it stands at.

        What is no stretch, though one should be there, is ``None``: its shape has been told.
        """
        entries = self._text.data.get("segment", [])
        if not isinstance(entries, list):
            yield ("segment",), None
            return
        for number, entry in enumerate(entries):
            path: Path = ("segment", number)
            if isinstance(entry, dict) and ("repeat" in entry or "part" in entry):
                yield from self._rounds(entry, path)
            else:
                yield path, self._segment(entry, path)

    def _rounds(self, entry: dict[str, Any], path: Path) -> Iterator[tuple[Path, Segment | None]]:
        head = self._validated(_RepeatHead, entry, path)
        parts = entry.get("part")
        once = [
            ((*path, "part", number), self._segment(part, (*path, "part", number)))
            for number, part in enumerate(parts if isinstance(parts, list) else ())
        ]
        for _ in range(1 if head is None else head.repeat):
            yield from once or [(path, None)]

    def _segment(self, entry: object, path: Path) -> Segment | None:
        if not isinstance(entry, dict):
            return None  # the head's check has said so
        checked = self._validated(SegmentEntry, entry, path)
        return None if checked is None else checked.record()

    def _validated(self, model: type[_Model], data: object, path: Path) -> _Model | None:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            self._found += from_pydantic(error, model, self._locate, path)
            return None

    def _key(self, field: str, path: Path) -> str:
        """The key in the file that a field of the record comes from."""
        if field == "speed_kmh" and self._value((*path, "speed_kmh")) == "comfort":
            return "until_known_kmh"
        return {"duration_s": "time", "segments": "segment"}.get(field, field)

    def _add(self, path: Path, message: str) -> None:
        self._found.append(finding(path, self._value(path), message, self._locate))

    def _value(self, path: Path) -> object:
        value: Any = self._text.data
        for key in path:
            if isinstance(value, dict):
                value = value.get(str(key))
            elif isinstance(value, list) and isinstance(key, int):
                value = value[key]
        return value


def _program(head: _ProgramHead, segments: tuple[Segment, ...]) -> Program:
    return Program(
        id=head.id,
        name=head.name,
        level=head.level,
        segments=segments,
        summary=head.summary.strip(),
        evidence=head.evidence.strip(),
    )
