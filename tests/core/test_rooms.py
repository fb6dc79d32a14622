"""What the core refuses to know, and who alone may make a cleared value: read from the sources."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridge

SOURCES = Path(bridge.__file__).parent
CORE = sorted((SOURCES / "core").glob("*.py"))
ALL = sorted(SOURCES.rglob("*.py"))

FORBIDDEN = frozenset(
    {
        *("asyncio", "threading", "concurrent", "multiprocessing", "signal", "socket", "select"),
        *("time", "datetime", "random", "secrets", "uuid"),
        *("os", "io", "pathlib", "shutil", "tempfile", "sqlite3", "subprocess", "sys"),
        *("logging", "warnings", "pydantic", "bleak", "bumble", "aiomqtt", "aiosqlite"),
    }
)
CLEARED = frozenset({"ClearedSpeed", "ClearedIncline", "ClearedStart"})


def imports(source: str) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


def calls(source: str) -> Iterator[str]:
    """The last name of everything that a module calls: ``f`` for ``f()`` and for ``m.f()``."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
                yield name


def test_the_searches_find_what_they_look_for() -> None:
    """A search that finds nothing anywhere would prove nothing."""
    assert list(imports("import os.path as p\ndef f():\n    from time import sleep")) == [
        "os.path",
        "time",
    ]
    assert list(calls("x = messages.ClearedSpeed(speed_kmh=1); ClearedStart()")) == [
        "ClearedSpeed",
        "ClearedStart",
    ]


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_no_module_of_the_core_knows_the_world(path: Path) -> None:
    """No clock, loop, log, file, dice or door: the core is values in, values out."""
    roots = {name.split(".")[0] for name in imports(path.read_text())}
    assert not roots & FORBIDDEN


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_imports_nothing_of_the_project_but_itself(path: Path) -> None:
    """Edges know the core, never the reverse; nothing is imported relatively or from elsewhere."""
    for name in imports(path.read_text()):
        assert not name.startswith(".")
        assert name.split(".")[:2] == ["bridge", "core"] or not name.startswith("bridge")


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_neither_reads_nor_prints(path: Path) -> None:
    """Built-ins that reach outside need no import, so they are looked for by name."""
    assert not set(calls(path.read_text())) & {"open", "print", "input", "exec", "eval"}


def test_only_the_governor_makes_cleared_values() -> None:
    """S3: one module in the whole project builds them, so one module is the way to the machine."""
    makers = {
        name: {path.relative_to(SOURCES).as_posix() for path in ALL if name in calls_in(path)}
        for name in CLEARED
    }
    assert makers == {name: {"core/governor.py"} for name in CLEARED}


def test_no_cleared_value_is_copied_with_changes() -> None:
    """S3: ``replace`` would make one without the governor; the core uses it on its own records."""
    users = {path.stem for path in ALL if "replace" in imported_names(path, "dataclasses")}
    assert not users & {
        "control_point",
        "drive",
        "deck",
        "pilot",
        "stopping",
        "holding",
        "steering",
    }


def calls_in(path: Path) -> set[str]:
    """What a file calls."""
    return set(calls(path.read_text()))


def imported_names(path: Path, module: str) -> set[str]:
    """What a file imports from a module, by name."""
    return {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == module
        for alias in node.names
    }
