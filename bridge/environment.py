"""Settings from the environment: ``RETROWALK_MQTT__PASSWORD`` is the key ``mqtt.password``.

Two underscores lead one level deeper, a number into a list (``RETROWALK_TREADMILL__0__ADDRESS``).
A variable that names no key is a mistake, not noise: a misspelt password must not go unnoticed.
"""

import copy
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from bridge.findings import Finding, annotation_at, is_text, known_keys, nearest_key, unknown_key
from bridge.toml_lines import Path

PREFIX = "RETROWALK_"
NOT_SETTINGS = frozenset({"RETROWALK_CONFIG"})
"""Variables of this program that are not keys of the settings."""


@dataclass(slots=True)
class Overlay:
    """The settings' data with the environment laid over it, and which variable gave which key."""

    data: dict[str, Any]
    variables: dict[Path, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def variable(self, path: Path) -> str | None:
        """The variable that gave ``path``, or something around it."""
        while path:
            if path in self.variables:
                return self.variables[path]
            path = path[:-1]
        return None


def overlay(data: Mapping[str, Any], environ: Mapping[str, str], model: type[BaseModel]) -> Overlay:
    """``data`` with every ``RETROWALK_`` variable put in its place. ``data`` is not touched."""
    above = Overlay(copy.deepcopy(dict(data)))
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            _lay(above, name, environ[name], model)
    return above


def _lay(above: Overlay, name: str, raw: str, model: type[BaseModel]) -> None:
    path = _path(name)
    annotation = annotation_at(model, path)
    if annotation is None:
        _unknown(above, name, path, model)
        return
    value = raw if is_text(annotation) else _toml_value(raw)
    if not _put(above.data, path, value):
        message = "has no place: lists are counted from 0, without gaps"
        above.findings.append(_finding(name, message))
        return
    above.variables[path] = name
    _displace_twin(above.data, path)


def _path(name: str) -> Path:
    parts = name.removeprefix(PREFIX).lower().split("__")
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _toml_value(raw: str) -> object:
    """A number, switch, list or table as TOML writes it; anything else stays text."""
    try:
        values = tomllib.loads(f"value = {raw}")
    except tomllib.TOMLDecodeError:
        return raw
    return values["value"] if len(values) == 1 else raw


def _put(data: dict[str, Any], path: Path, value: object) -> bool:
    """Set ``path`` to ``value``; ``False`` when something that is no table or list is there."""
    place: Any = data
    for key, following in zip(path, (*path[1:], None), strict=True):
        empty: Any = [] if isinstance(following, int) else {}
        new = value if following is None else empty
        if isinstance(place, dict) and isinstance(key, str):
            if following is None or key not in place:
                place[key] = new
        elif isinstance(place, list) and isinstance(key, int) and key <= len(place):
            if key == len(place):
                place.append(new)
            elif following is None:
                place[key] = new
        else:
            return False
        place = place[key]
    return True


def _displace_twin(data: dict[str, Any], path: Path) -> None:
    """A secret from the environment replaces the file's, in whichever of the two forms that is."""
    *parents, last = path
    place: Any = data
    for key in parents:
        place = place[key]
    if isinstance(place, dict) and isinstance(last, str):
        twin = last.removesuffix("_file") if last.endswith("_file") else f"{last}_file"
        place.pop(twin, None)


def _unknown(above: Overlay, name: str, path: Path, model: type[BaseModel]) -> None:
    """Name the variable that was meant, from the longest beginning that does mean something."""
    length = next(n for n in range(len(path)) if annotation_at(model, path[: n + 1]) is None)
    known = known_keys(model, path[:length])
    near = nearest_key(str(path[length]), known)
    if near is None:
        above.findings.append(_finding(name, unknown_key(str(path[length]), known)))
        return
    meant = PREFIX + "__".join(str(key) for key in (*path[:length], near)).upper()
    above.findings.append(_finding(name, f"is not a setting; did you mean {meant}?"))


def _finding(name: str, message: str) -> Finding:
    return Finding(place=name, line=None, key="", value=None, message=message)
