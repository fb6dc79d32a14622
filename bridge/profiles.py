"""Levels, training programs and languages: from the profile folders into the core's records.

Every mistake in a file is found at once. Refuses to know who uses the records; device profiles are
read where devices are known.
"""

from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path as FilePath
from string import Formatter
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from bridge import data
from bridge.core.errors import ProfileError
from bridge.core.messages import Language, Level, Program
from bridge.findings import Finding, Locate, finding, from_pydantic, report, unknown_name
from bridge.program_file import CheckedProgram, check_program
from bridge.settings import Speed, Table
from bridge.toml_lines import Path, TomlSyntaxError, TomlText, parse

FIRST_LANGUAGE = "en"
"""The shipped file of this language is the norm: every other must have its phrases and cues."""

_Model = TypeVar("_Model", bound=Table)
_Ramp = Annotated[float, Field(gt=0, le=1)]  # km/h per s; 1 is already unpleasant
_Incline = Annotated[float, Field(ge=0, le=40)]
_Wait = Annotated[float, Field(gt=0, le=120)]


class LevelEntry(Table):
    """``[[level]]``, with the names of `core.messages.Level`; its rank is its place in the file."""

    id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    backward_max_kmh: Speed
    forward_max_kmh: Speed
    lateral_max_kmh: Speed | None = None
    step_kmh: Annotated[float, Field(gt=0, le=1)]
    hold_s: _Wait
    ramp_up_backward_kmh_per_s: _Ramp
    ramp_up_forward_kmh_per_s: _Ramp
    ramp_down_kmh_per_s: _Ramp
    warn_up_s: _Wait
    warn_down_s: _Wait
    incline_max_pct: _Incline
    incline_rate_pct_per_s: _Ramp
    assumed_proven_backward_kmh: Speed
    assumed_proven_forward_kmh: Speed
    assumed_proven_lateral_kmh: Speed
    turn_at_rest: bool = False


class LevelsFile(Table):
    """``levels.toml``, weakest first."""

    level: Annotated[tuple[LevelEntry, ...], Field(strict=False, min_length=1)]


def load_levels() -> dict[str, Level]:
    """The levels by id, weakest first. Only the shipped file: a safety cap is not a preference."""
    entries = _load(data.shipped_profiles() / "levels.toml", LevelsFile).level
    return {entry.id: Level(rank=rank, **entry.model_dump()) for rank, entry in enumerate(entries)}


# --- programs ------------------------------------------------------------------------------------


def load_programs(own: FilePath | None = None) -> dict[str, Program]:
    """Every training program by id. Raises `ProfileError` that names everything that is wrong.

    ``own`` is the person's folder, if not the platform's.
    """
    levels, cues = load_levels(), load_cues()
    programs: dict[str, Program] = {}
    findings: list[Finding] = []
    for file in data.profile_files("training", own).values():
        checked = _checked(file, levels, cues)
        findings += checked.findings
        if checked.program is not None:
            programs[checked.program.id] = checked.program
    if findings:
        raise ProfileError(report("a training program is wrong", findings))
    return programs


def load_program(ident: str, own: FilePath | None = None) -> Program:
    """One training program. Raises `ProfileError` when there is none or it is wrong."""
    files = data.profile_files("training", own)
    if ident not in files:
        raise ProfileError(f'program "{ident}": {unknown_name(ident, "program", files)}')
    checked = _checked(files[ident], load_levels(), load_cues())
    if checked.program is None:
        raise ProfileError(report("the training program is wrong", checked.findings))
    return checked.program


def check_program_file(file: FilePath) -> CheckedProgram:
    """Everything wrong with a program file. Raises `ProfileError` when it cannot be read."""
    return _checked(file, load_levels(), load_cues())


def _checked(
    file: Traversable, levels: Mapping[str, Level], cues: frozenset[str]
) -> CheckedProgram:
    try:
        return check_program(file, levels, cues)
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror}") from None


def load_cues() -> frozenset[str]:
    """The names of all cues, from the language that sets the norm."""
    return frozenset(_norm().cues)


# --- languages -----------------------------------------------------------------------------------


def _template(value: str) -> str:
    try:
        placeholders(value)
    except ValueError as error:
        raise ValueError(f"is not a template: {error}") from None
    return value


def placeholders(template: str) -> frozenset[str]:
    """The names in braces. Raises `ValueError` for a template that cannot be filled."""
    names = frozenset(name for _, name, _, _ in Formatter().parse(template) if name is not None)
    if not all(name.isidentifier() for name in names):
        raise ValueError("each brace must hold one plain name")
    return names


Phrases = dict[str, Annotated[str, Field(min_length=1), AfterValidator(_template)]]


class LanguageFile(Table):
    """The words of one language. Every table but ``cues`` is a family of phrases."""

    id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    number: Phrases
    direction: Phrases
    announce: Phrases
    prompt: Phrases
    cues: dict[str, Annotated[str, Field(min_length=1)]]


_FAMILIES = ("number", "direction", "announce", "prompt")


def load_language(ident: str, own: FilePath | None = None) -> Language:
    """The words of one language; its phrases are named ``announce.rise`` and the like.

    Raises `ProfileError` when there is no such language, when a phrase or cue of the norm is
    missing, or when a phrase asks for a value that the norm does not have.
    """
    files = data.profile_files("languages", own)
    if ident not in files:
        raise ProfileError(f'language "{ident}": {unknown_name(ident, "language", files)}')
    file = files[ident]
    text = read_toml(file)
    words = shaped(file, text, LanguageFile)

    def locate(path: Path) -> tuple[str, int | None]:
        return str(file), text.line(path)

    findings = list(_against_norm(words, _norm(), locate))
    if words.id != ident:
        findings.append(
            finding(("id",), words.id, f"must be the name of its file, {ident}", locate)
        )
    if findings:
        raise ProfileError(report("the language is wrong", findings))
    phrases = {
        f"{family}.{key}": phrase
        for family in _FAMILIES
        for key, phrase in getattr(words, family).items()
    }
    return Language(id=words.id, phrases=phrases, cues=words.cues)


def _norm() -> LanguageFile:
    return _load(data.shipped_profiles() / "languages" / f"{FIRST_LANGUAGE}.toml", LanguageFile)


def _against_norm(words: LanguageFile, norm: LanguageFile, locate: Locate) -> list[Finding]:
    findings = [
        finding((family, key), value, message, locate)
        for family in (*_FAMILIES, "cues")
        for key, value, message in _family_against_norm(
            getattr(words, family), getattr(norm, family), templates=family != "cues"
        )
    ]
    return sorted(findings, key=lambda found: (found.line or 0, found.key))


def _family_against_norm(
    ours: Mapping[str, str], theirs: Mapping[str, str], *, templates: bool
) -> Iterator[tuple[str, str | None, str]]:
    for key in theirs.keys() - ours.keys():
        yield key, None, "is missing"
    for key in ours.keys() - theirs.keys():
        yield key, None, unknown_name(key, "phrase", theirs)
    for key in ours.keys() & theirs.keys() if templates else ():
        extra = placeholders(ours[key]) - placeholders(theirs[key])
        if extra:
            yield key, ours[key], f"this phrase is not given the value {', '.join(sorted(extra))}"


# --- reading -------------------------------------------------------------------------------------


def read_toml(file: Traversable) -> TomlText:
    """A profile's values and lines. Raises `ProfileError` when it cannot be read or is not TOML."""
    try:
        return parse(file.read_bytes())
    except OSError as error:
        raise ProfileError(f"{file}: cannot be read: {error.strerror}") from None
    except TomlSyntaxError as error:
        raise ProfileError(f"{file}:{error.line}: not TOML: {error}") from None


def shaped(file: Traversable, text: TomlText, model: type[_Model]) -> _Model:
    """What a profile says, checked. Raises `ProfileError` that names everything that is wrong."""
    try:
        return model.model_validate(text.data)
    except ValidationError as error:
        findings = from_pydantic(error, model, lambda path: (str(file), text.line(path)))
        raise ProfileError(report("a profile is wrong", findings)) from None


def _load(file: Traversable, model: type[_Model]) -> _Model:
    return shaped(file, read_toml(file), model)
