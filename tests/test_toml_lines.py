"""`bridge.toml_lines`: the line of every key, and of what is wrong."""

import tomllib
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from bridge.toml_lines import Path, TomlSyntaxError, parse

EVERYTHING = '''\
# a comment with "quotes" and [brackets]
top = 1
"quoted.key" = 'literal # not a comment'
dotted.inner."deep est" = true

[table]
a = "x = 1"  # after a value
b = [
  1,
  # between
  [2, 3],
  "]",
]
c = { d = 1, e = { f = "}" } }

[table.sub . inner]
when = 1979-05-27 07:32:00

[[list]]
text = """
two = "not a key"
more""\\"
"""
[[list.item]]
v = 1
[[list.item]]
v = 2
[list.item.leaf]
w = 3

[[list]]
raw = \'\'\'
[not.a.table]\'\'\'
[[list.item]]
v = 4
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted.key",), 3),
        (("dotted", "inner", "deep est"), 4),
        (("dotted",), 4),
        (("table",), 6),
        (("table", "a"), 7),
        (("table", "b"), 8),
        (("table", "b", 0), 9),
        (("table", "b", 1), 11),
        (("table", "b", 1, 1), 11),
        (("table", "b", 2), 12),
        (("table", "c", "e", "f"), 14),
        (("table", "sub", "inner"), 16),
        (("table", "sub", "inner", "when"), 17),
        (("list",), 19),
        (("list", 0, "text"), 20),
        (("list", 0, "item", 0, "v"), 25),
        (("list", 0, "item", 1, "v"), 27),
        (("list", 0, "item", 1, "leaf", "w"), 29),
        (("list", 1), 31),
        (("list", 1, "raw"), 32),
        (("list", 1, "item", 0, "v"), 35),
    ],
)
def test_line_of_each_kind_of_key(path: Path, line: int) -> None:
    """Tables, arrays of tables, dotted and quoted keys, inline values: each has its own line."""
    assert parse(EVERYTHING.encode()).line(path) == line


def test_missing_key_is_placed_at_what_is_around_it() -> None:
    """What a file does not have is reported where it would belong, at worst on line 1."""
    text = parse(EVERYTHING.encode())
    assert text.line(("list", 1, "absent", 3)) == 31
    assert text.line(("absent",)) == 1


def test_windows_line_ends_and_byte_order_mark() -> None:
    """Notepad's files are read, and their lines counted the same."""
    text = parse(b"\xef\xbb\xbfa = 1\r\n[t]\r\nb = 2\r\n")
    assert text.data == {"a": 1, "t": {"b": 2}}
    assert text.line(("t", "b")) == 3


@pytest.mark.parametrize(
    ("raw", "line", "words"),
    [
        (b"a = 1\nb = 2:00\n", 2, "Expected newline"),
        (b"a = 1\n\n[t\n", 3, "Expected"),
        (b"a = 1\na = 2\n", 2, "Cannot overwrite"),
        (b'a = 1\nb = "x\n', 2, "Illegal character"),
        (b'a = 1\nb = """x\ny\n', 3, "Unterminated"),
        (b"a = 1\nb = '\xff'\n", 2, "UTF-8"),
        (b"a = " + b"[" * 5000, 1, "nested"),
    ],
)
def test_syntax_error_gives_its_line(raw: bytes, line: int, words: str) -> None:
    """A text that is no TOML says on which line it stops being some."""
    with pytest.raises(TomlSyntaxError, match=words) as caught:
        parse(raw)
    assert caught.value.line == line
    assert "(at " not in str(caught.value)


_KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
_VALUES = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.text(st.characters(codec="ascii"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=12,
)


def _paths(value: Any, path: Path = ()) -> set[Path]:
    found = {path} if path else set()
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        found |= _paths(inner, (*path, key))
    return found


@given(st.dictionaries(_KEYS, _VALUES, max_size=5))
def test_every_value_of_a_file_has_a_line(data: dict[str, Any]) -> None:
    """Whatever another writer (tomlkit) puts into a file, exactly its paths are found in it."""
    raw = tomlkit.dumps(data)
    text = parse(raw.encode())
    assert text.data == tomllib.loads(raw)
    assert set(text.lines) == _paths(text.data)
    assert all(1 <= line <= raw.count("\n") + 1 for line in text.lines.values())
