"""`bridge.cli.app` and `exit_codes`: the whole command, its help and how it ends."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import __version__
from bridge.cli import app as app_module
from bridge.cli.app import COMMANDS, main
from bridge.cli.exit_codes import UsageError, exit_code, leading_error
from bridge.core.errors import (
    BridgeError,
    ConfigError,
    DecodeError,
    LinkError,
    ProfileError,
    StoreError,
)

NAMES = [name for name, _, _ in COMMANDS]
# What a run of `--help` may take from cold, with room for a busy computer; it takes 0.27 s here.
START_LIMIT_S = 2.0


def ended_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """The exit code when a command raises ``error``."""

    def build(_chosen: str | None) -> Callable[..., None]:
        def command(*_arguments: object, **_options: object) -> None:
            raise error

        return command

    monkeypatch.setattr(app_module, "build_app", build)
    return main(["run", "--json"])


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without words, too, the command teaches; and it says what stops the belt."""
    assert main(words) == 0
    shown = capsys.readouterr().out
    for name, _, line in COMMANDS:
        assert f"{name}: {line}" in shown
    assert "emergency stop" in shown


@pytest.mark.parametrize(
    "words",
    [*([name] for name in NAMES), *(["programs", name] for name in ("list", "show", "check"))],
)
def test_help_of_every_command_gives_examples(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """``--help`` on every command (contract section 1), with a line to copy."""
    assert main([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: retrowalk {' '.join(words)}")
    if words != ["programs"]:
        assert re.search(rf"For example:\n\n  retrowalk {' '.join(words)}", shown)


@pytest.mark.parametrize(("name", "place", "line"), COMMANDS)
def test_the_list_and_the_command_say_the_same(
    name: str, place: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list's lines stand apart from the commands (for a quick start) and may not drift."""
    assert place.endswith(f":{name}")
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.splitlines()[2] == line


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` names the program and the version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"retrowalk {__version__}\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["decod"], 'Did you mean "decode"?'),
        (["programs", "lst"], 'Did you mean "list"?'),
        (["scan", "--tmeout", "3"], "--timeout"),
        (["scan", "--timeout", "soon"], "soon"),
        (["scan", "--timeout", "0"], "more than 0"),
        (["scan", "--timeout", "nan"], "more than 0"),
        (["demo", "--speedup", "nan"], "more than 0"),
        (["schema", "everything"], "config"),
        (["programs", "show"], "PROGRAM"),
    ],
)
def test_wrong_usage_ends_with_2(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, a hint on stderr, nothing on stdout."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert hint in err
    assert "Try: retrowalk --help" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (ConfigError("x"), 2),
        (ProfileError("x"), 2),
        (DecodeError("x"), 2),
        (LinkError("x"), 3),
        (StoreError("x"), 1),
        (BridgeError("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    error: BridgeError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Contract section 1, also out of a task group; with ``--json`` still one document."""
    assert exit_code(error) == code
    grouped = BaseExceptionGroup("tasks", [BaseExceptionGroup("inner", [error])])
    for raised in (error, grouped):
        assert ended_with(monkeypatch, raised) == code
        out, err = capsys.readouterr()
        assert json.loads(out) == {"error": "x"}
        assert err == "retrowalk: x\n"


def test_interrupted_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is no failure and shows no traceback."""
    assert ended_with(monkeypatch, KeyboardInterrupt()) == 130


def test_a_missing_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bumble is needed by some commands only."""
    assert ended_with(monkeypatch, ModuleNotFoundError(name="bumble.device")) == 2
    assert 'pip install "retrowalk[sim]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    "bug",
    [
        ValueError("bug"),
        ModuleNotFoundError(name="bridge.nowhere"),
        BaseExceptionGroup("tasks", [LinkError("x"), ValueError("bug")]),
    ],
)
def test_a_bug_is_not_explained_away(bug: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw keeps its traceback, even beside an error of ours."""
    with pytest.raises(type(bug)):
        ended_with(monkeypatch, bug)


def test_leading_error_of_a_mixed_group_is_none() -> None:
    """Only a group of ours alone has a leader: the first."""
    first, second = LinkError("1"), StoreError("2")
    assert leading_error(BaseExceptionGroup("g", [first, second])) is first
    assert leading_error(BaseExceptionGroup("g", [first, ValueError()])) is None


def test_the_installed_command_starts_quickly_and_plainly() -> None:
    """A real process: help in time, and no colour codes where there is no terminal."""
    environ = os.environ | {"NO_COLOR": "1", "COLUMNS": "80"}
    command = [sys.executable, "-m", "bridge", "--help"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    assert time.perf_counter() - began < START_LIMIT_S
    assert "\x1b" not in done.stdout
    assert "programs: " in done.stdout


def test_help_imports_nothing_heavy() -> None:
    """The reason for the quick start, which no busy computer can hide."""
    script = (
        "import sys; from bridge.cli.app import main; main(['--help']); "
        "print([n for n in ('asyncio', 'pydantic', 'bleak', 'bumble', 'aiomqtt', 'rich.markdown') "
        "if n in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_a_reader_that_leaves_is_no_failure(tmp_path: Path) -> None:
    """``retrowalk decode --jsonl | head -1``: no traceback, exit code 0."""
    (tmp_path / "in").write_bytes(b"{}\n" * 100_000)
    script = f"{sys.executable} -m bridge decode --jsonl < in | head -1; echo ${{PIPESTATUS[0]}}"
    command = ["/bin/bash", "-c", script]
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environ
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[1] == "0"
