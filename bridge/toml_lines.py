"""Which line of a TOML text a key stands on, so that an error message can point at it.

`tomllib` reads the values but forgets the places; this room reads the same text a second time for
the places alone. It refuses to judge TOML: a text `tomllib` does not accept never gets that far.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the file, as pydantic's ``loc`` has them."""

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
# A multi-line string may end in up to five quotes, two of which belong to the text (TOML 1.0).
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}\n#]+")
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_AT_END = " (at end of document)"


class TomlSyntaxError(ValueError):
    """The text is not TOML; ``line`` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class TomlText:
    """The values of a TOML text, and the line of every key, table and list element in it."""

    data: dict[str, Any]
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of ``path``, or of the nearest thing around it that the text does have."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return 1


def parse(raw: bytes) -> TomlText:
    """Values and places of ``raw``. Raises `TomlSyntaxError`, also for what is not UTF-8."""
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")  # some editors put a mark in front
    except UnicodeDecodeError as error:
        raise TomlSyntaxError("is not UTF-8 text", raw.count(b"\n", 0, error.start) + 1) from None
    try:
        data = tomllib.loads(text)
        return TomlText(data, _Places(text).read())
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(str(error), text) from None
    except RecursionError:
        raise TomlSyntaxError("is nested too deeply", 1) from None


def _syntax_error(message: str, text: str) -> TomlSyntaxError:
    """`tomllib` gives the line only inside its message (an attribute comes with Python 3.14)."""
    if found := _AT_LINE.search(message):
        return TomlSyntaxError(message[: found.start()], int(found[1]))
    return TomlSyntaxError(message.removesuffix(_AT_END), text.rstrip("\n").count("\n") + 1)


class _Places:
    """One pass over a text known to be TOML, noting the line of each path on the way."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        self._lines: dict[Path, int] = {}
        self._lengths: dict[Path, int] = {}  # arrays of tables, and how many they have so far

    def read(self) -> dict[Path, int]:
        """The line of every path."""
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> Path:
        """``[a.b]`` or ``[[a.b]]``; inside an array of tables a name means its last element."""
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        *parents, last = self._keys()
        table: Path = ()
        for key in parents:
            table = self._latest((*table, key))
            self._note(table)
        table = (*table, last)
        if array:
            self._note(table)
            self._lengths[table] = self._lengths.get(table, 0) + 1
        table = self._latest(table)
        self._note(table)
        self._at += 2 if array else 1
        return table

    def _latest(self, path: Path) -> Path:
        return (*path, self._lengths[path] - 1) if path in self._lengths else path

    def _pair(self, table: Path) -> None:
        """``a.b = value``, in a table or an inline table."""
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _keys(self) -> list[str]:
        keys: list[str] = []
        while True:
            self._skip(_SPACE)
            raw = self._skip(_KEY_PART)
            keys.append(raw if raw[0] not in "\"'" else next(iter(tomllib.loads(f"{raw}=0"))))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return keys
            self._at += 1

    def _value(self, path: Path) -> None:
        first = self._text[self._at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        elif first in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        position = 0
        while self._next_inside("]"):
            self._note((*path, position))
            self._value((*path, position))
            position += 1

    def _inline_table(self, path: Path) -> None:
        while self._next_inside("}"):
            self._pair(path)

    def _next_inside(self, end: str) -> bool:
        """Step over the bracket or comma; whether another element follows before ``end``."""
        self._skip(_BLANK)
        if self._text[self._at] in "[{,":
            self._at += 1
            self._skip(_BLANK)
        if self._text[self._at] == end:
            self._at += 1
            return False
        return True

    def _note(self, path: Path) -> None:
        self._lines.setdefault(path, bisect_right(self._newlines, self._at) + 1)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found, f"not the TOML that tomllib accepted, at character {self._at}"
        self._at = found.end()
        return found[0]
