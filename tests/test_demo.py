"""``retrowalk demo`` as people run it: to its end, once more, and interrupted at any moment."""

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.cli.app import main
from bridge.core.messages import EventType, SessionEvent
from bridge.demo import _Course
from tests.home import own_programs
from tests.processes import END_S, Command, alive, alone, environment, own_folder, retrowalk

HAPPENED = re.compile(r"\d\d:\d\d  (\w+)")


@pytest.fixture
def person(tmp_path: Path) -> Path:
    """Somebody's home, with a program of their own."""
    own_programs(own_folder(tmp_path))
    return tmp_path


@asynccontextmanager
async def demo(home: Path, *words: str, **more: str) -> AsyncIterator[Command]:
    """A demo whose treadmill is armed."""
    async with alone():
        context = retrowalk(home, "demo", *words, **more)
        command = await context.__aenter__()
        await command.until("armed")
    try:
        yield command
    finally:
        await context.__aexit__(None, None, None)


def types(command: Command) -> list[str]:
    """What happened, in order; what was said counts as it did."""
    return [found[1] for line in command.lines if (found := HAPPENED.match(line))]


async def test_the_first_minute_to_its_end(person: Path) -> None:
    """Exit 0 by itself, plain lines, a summary, and the belt at rest."""
    async with demo(person, "--speedup", "60") as command:
        assert await command.ended() == 0
    title = await command.until("Retrowalk demo")
    assert title.startswith("Retrowalk demo: First minute, 60 times faster than life, mqtt://")
    assert "\x1b" not in command.text
    happened = types(command)
    assert happened.count("session_started") == happened.count("session_ended") == 1
    assert happened.count("segment_started") == 9
    assert happened.count("turn_confirmed") == 4
    [ended] = [line for line in command.lines if "session_ended" in line]
    assert "reason=finished" in ended
    assert "at rest" in command.lines[-2]


async def test_the_same_seed_is_the_same_walk(person: Path) -> None:
    """The same events in the same order, run after run and at another pace."""
    async with (
        demo(person, "--program", "brief", "--seed", "7", "--speedup", "30") as first,
        demo(person, "--program", "brief", "--seed", "7", "--speedup", "30") as second,
        demo(person, "--program", "brief", "--seed", "7", "--speedup", "20") as slower,
    ):
        for each in (first, second, slower):
            assert await each.ended() == 0, each.text
    assert "session_ended" in types(first)
    assert types(first) == types(second) == types(slower)


async def test_ctrl_c_in_mid_walk_ends_in_order(person: Path) -> None:
    """S18: the belt is walked down and stands; 130, no traceback, no broker left behind."""
    async with demo(person, "--program", "brief", "--speedup", "20") as command:
        await command.until("target_changed")
        children = command.children()
        command.send(signal.SIGINT)
        assert await command.ended() == 130
    happened = types(command)
    assert happened.index("stop_requested") < happened.index("belt_stopped")
    assert "session_ended" in happened
    assert "Traceback" not in command.text
    assert alive(children) == []


async def test_a_second_ctrl_c_does_not_wait_for_the_belt(person: Path) -> None:
    """For the impatient: at one times life the walk-down would take ten seconds."""
    async with demo(person, "--program", "brief", "--speedup", "1") as command:
        command.send(signal.SIGINT)
        await asyncio.sleep(0.05)
        command.send(signal.SIGINT)
        async with asyncio.timeout(5):
            assert await command.ended() in {130, -signal.SIGINT}


@pytest.mark.parametrize("after_s", [0.5, 0.7, 0.9, 1.1])
async def test_ctrl_c_during_the_start(after_s: float, tmp_path: Path) -> None:
    """Importing, opening, connecting: 130 and not a word."""
    async with alone(), retrowalk(tmp_path, "demo") as command:
        await asyncio.sleep(after_s)
        command.send(signal.SIGINT)
        assert await command.ended() in {130, -signal.SIGINT}  # a shell calls both 130
    assert "Traceback" not in command.text
    assert "never retrieved" not in command.text


async def test_a_terminal_is_given_back(person: Path) -> None:
    """Drawn in place, and after Ctrl-C (typed) the cursor is there again."""
    ours, theirs = pty.openpty()
    async with alone():
        process = subprocess.Popen(  # noqa: ASYNC220 - a terminal wants a session of its own
            [sys.executable, "-m", "bridge", "demo", "--program", "brief", "--speedup", "20"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(person, TERM="xterm-256color", COLUMNS="100", LINES="40"),
            cwd=Path(__file__).parents[1],
            preexec_fn=_own_terminal,  # noqa: PLW1509 - the child is single-threaded
        )
        os.close(theirs)
        written = await asyncio.to_thread(_type_ctrl_c_at, ours, b"target_changed")
        assert await asyncio.to_thread(process.wait, END_S) == 130
    os.close(ours)
    assert written.count(b"\x1b[?25l") == written.count(b"\x1b[?25h") == 1
    assert b"requested" in written
    assert b"Traceback" not in written


def _own_terminal() -> None:
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _type_ctrl_c_at(terminal: int, sign: bytes) -> bytes:
    """Everything written until the other end closes; Ctrl-C is typed when ``sign`` is seen."""
    written, typed = b"", False
    while True:
        try:
            written += os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return written
        if not typed and sign in written:
            typed = True
            os.write(terminal, b"\x03")


def test_a_program_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and what there is."""
    assert main(["demo", "--program", "first-mile"]) == 2
    assert "first-minute" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "data", "over", "finished"),
    [
        (EventType.SESSION_ENDED, {"reason": "finished"}, True, True),
        (EventType.SESSION_ENDED, {"reason": "link_down"}, True, False),
        (EventType.DISARMED, {"reason": "not_started"}, True, False),
        (EventType.REFUSED, {"verb": "arm", "reason": "key_out"}, True, False),
        (EventType.REFUSED, {"verb": "speed", "reason": "above_ceiling"}, False, False),
        (EventType.PAUSED, {}, False, False),
    ],
)
async def test_what_ends_the_demo(
    kind: EventType, data: dict[str, object], *, over: bool, finished: bool
) -> None:
    """Also a session that never came to be; only a finished program is a success."""
    course = _Course()
    course.event("demo", SessionEvent(type=kind, session=None, at_s=0.0, data=data))
    assert (course.over.is_set(), course.finished) == (over, finished)
