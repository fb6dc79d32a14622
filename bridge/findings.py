"""What is wrong in a file that a person wrote: where, what stands there, what may stand there.

Settings and profiles are checked by pydantic models; this room turns pydantic's errors into lines
that a person can act on. It refuses to know what any key means, and never repeats a secret.
"""

import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from bridge.toml_lines import Path

_LONGEST_VALUE = 60
_URL_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake. ``value`` is what stands there, as TOML; ``None`` when it is better unsaid."""

    place: str
    line: int | None
    key: str
    value: str | None
    message: str

    def __str__(self) -> str:
        at = self.place if self.line is None else f"{self.place}:{self.line}"
        what = self.key if self.value is None else f"{self.key} = {self.value}"
        return f"{at}: {what}: {self.message}" if what else f"{at}: {self.message}"


Locate = Callable[[Path], tuple[str, int | None]]
"""Where a path was written: a file and line, or the name of an environment variable."""


def report(title: str, findings: Iterable[Finding]) -> str:
    """One message for everything found."""
    lines = [str(finding) for finding in findings]
    if len(lines) == 1:
        return f"{title}: {lines[0]}"
    return "\n  ".join([f"{title}, in {len(lines)} places:", *lines])


def finding(path: Path, value: object, message: str, locate: Locate) -> Finding:
    """A finding of our own, in the same words as those that come from pydantic."""
    place, line = locate(path)
    return Finding(place=place, line=line, key=dotted(path), value=shown(value), message=message)


def from_pydantic(
    error: ValidationError, model: type[BaseModel], locate: Locate, under: Path = ()
) -> list[Finding]:
    """One finding for each error of ``model``, whose data stands at the path ``under``."""
    return [_from_detail(detail, model, locate, under) for detail in error.errors()]


def _from_detail(
    detail: ErrorDetails, model: type[BaseModel], locate: Locate, under: Path
) -> Finding:
    loc = detail["loc"]
    path = (*under, *loc)
    if detail["type"] == "missing":
        place, line = locate(path[:-1])
        return Finding(place=place, line=line, key=dotted(path), value=None, message="is missing")
    place, line = locate(path)
    annotation = _annotation_at(model, loc)
    unsaid = detail["type"] == "extra_forbidden" or annotation is _UNKNOWN or _is_secret(annotation)
    return Finding(
        place=place,
        line=line,
        key=dotted(path),
        value=None if unsaid else shown(detail["input"]),
        message=_message(detail, model),
    )


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    if detail["type"] == "extra_forbidden":
        return unknown_key(str(detail["loc"][-1]), known_keys(model, detail["loc"][:-1]))
    if detail["type"] in {"value_error", "assertion_error"}:
        return str(detail["ctx"]["error"])
    return "must be " + _allowed(detail)


def _allowed(detail: ErrorDetails) -> str:
    """What may stand there, for pydantic's error types that these files can cause."""
    limits: Mapping[str, Any] = detail.get("ctx", {})
    if detail["type"] in {"list_type", "tuple_type"} and isinstance(detail["input"], dict):
        return f"a list: write [[{detail['loc'][-1]}]]"
    if detail["type"] in _ALLOWED:
        return _ALLOWED[detail["type"]].format_map(limits)
    return detail["msg"][:1].lower() + detail["msg"][1:]


_ALLOWED = {
    "literal_error": "one of {expected}",
    "float_type": "a number",
    "finite_number": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "list_type": "a list",
    "tuple_type": "a list",
    "model_type": "a table",
    "dict_type": "a table",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "string_too_short": "at least one letter",
    "too_short": "at least one entry",
}


def nearest_key(key: str, known: Iterable[str]) -> str | None:
    """The known key that looks most like ``key``, if any does."""
    return next(iter(get_close_matches(key.lower(), list(known), n=1, cutoff=0.5)), None)


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What to say of a key that does not exist, with the nearest one that does."""
    known = sorted(known)
    if near := nearest_key(key, known):
        return f'is not a known key; did you mean "{near}"?'
    return f"is not a known key; here are known: {', '.join(known)}"


def unknown_name(name: str, what: str, known: Iterable[str]) -> str:
    """What to say of a name that nothing has (a walker, a cue, a program)."""
    known = list(known)
    near = get_close_matches(name, known, n=1)
    ending = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(known) or 'none'}"
    return f"there is no such {what}; {ending}"


def dotted(path: Path) -> str:
    """``treadmill 1.address``: a path as people say it, the first of a list being number 1."""
    text = ""
    for key in path:
        text += f" {key + 1}" if isinstance(key, int) else f".{key}" if text else key
    return text


def shown(value: object) -> str | None:
    """A plain value as TOML writes it, passwords in URLs masked; ``None`` for anything larger."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value}"
    if not isinstance(value, str):
        return None
    text = _URL_PASSWORD.sub(r"\1:***@", value)
    if len(text) > _LONGEST_VALUE:
        text = text[: _LONGEST_VALUE - 3] + "..."
    return '"' + text.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'


# --- what a model says about itself --------------------------------------------------------------

_UNKNOWN = object()


def known_keys(model: type[BaseModel], loc: Path) -> list[str]:
    """The keys that the table at ``loc`` may have."""
    inner = _annotation_at(model, loc)
    return list(inner.model_fields) if _is_model(inner) else []


def _annotation_at(model: type[BaseModel], loc: Path) -> Any:
    """The type that stands at ``loc``, or ``_UNKNOWN``."""
    annotation: Any = model
    for key in loc:
        if _is_model(annotation) and key in annotation.model_fields:
            annotation = _plain(annotation.model_fields[str(key)].annotation)
        elif get_origin(annotation) in {list, tuple} and isinstance(key, int):
            annotation = _plain(get_args(annotation)[0])
        elif get_origin(annotation) in {dict, Mapping}:
            annotation = _plain(get_args(annotation)[1])
        else:
            return _UNKNOWN
    return annotation


def annotation_at(model: type[BaseModel], loc: Path) -> Any:
    """The type that stands at ``loc``, without ``| None``; ``None`` when nothing may be there."""
    found = _annotation_at(model, loc)
    return None if found is _UNKNOWN else found


def _plain(annotation: Any) -> Any:
    """Without ``Annotated`` and without ``| None``."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        rest = [part for part in get_args(annotation) if part is not type(None)]
        return _plain(rest[0]) if len(rest) == 1 else annotation
    return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_secret(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, SecretStr)


def is_text(annotation: Any) -> bool:
    """Whether a value of this type is written in quotes."""
    literal = get_origin(annotation) is Literal
    return literal or (isinstance(annotation, type) and issubclass(annotation, str | SecretStr))
