"""The command as a process of its own: its lines as they come, signals, and how it ended."""

import asyncio
import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

END_S = 30.0
"""For a process to end after it was told to: a belt is walked down in real time."""


class Command:
    """A running ``retrowalk``; ``lines`` is all it printed, on stdout and stderr together."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._more = asyncio.Condition()

    async def read(self) -> None:
        """Until it closes its output."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._more:
                self.lines.append(line.decode().rstrip("\n"))
                self._more.notify_all()
        async with self._more:
            self._more.notify_all()

    async def until(self, text: str, at_most_s: float = 30.0) -> str:
        """The first line with ``text`` in it; fails when it ends without one."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        assert self.process.stdout is not None
        ended = self.process.stdout.at_eof
        async with asyncio.timeout(at_most_s), self._more:
            await self._more.wait_for(lambda: found() or ended())
        assert found(), "\n".join(self.lines)
        return found()[0]

    async def ended(self) -> int:
        """Its exit code."""
        async with asyncio.timeout(END_S):
            return await self.process.wait()

    def send(self, number: signal.Signals) -> None:
        """A signal, to it alone."""
        self.process.send_signal(number)

    def children(self) -> list[int]:
        """The processes that it has started and not waited for."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in listed.read_text(encoding="ascii").split()]

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines)


def alive(pids: Iterable[int]) -> list[int]:
    """Those of these processes that still are."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def environment(home: Path, **more: str) -> Mapping[str, str]:
    """A person's environment whose folders are all under ``home``."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RETROWALK_", "XDG_", "COV_"))
    }
    folders = {"HOME": home, "XDG_CONFIG_HOME": home / "config", "XDG_DATA_HOME": home / "data"}
    return clean | {name: str(path) for name, path in folders.items()} | more


def own_folder(home: Path) -> Path:
    """Where that person's own profiles are."""
    return home / "config" / "retrowalk"


@asynccontextmanager
async def retrowalk(home: Path, *words: str, **more: str) -> AsyncIterator[Command]:
    """A command line, for the length of the block; killed at its end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(home, **more),
        cwd=Path(__file__).parents[1],
    )
    async with asyncio.TaskGroup() as tasks:
        command = Command(process)
        tasks.create_task(command.read())
        try:
            yield command
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@asynccontextmanager
async def alone() -> AsyncIterator[None]:
    """One at a time among all test processes of this computer: two brokers want the same port."""
    with (Path(tempfile.gettempdir()) / "retrowalk-tests.lock").open("w") as lock:
        async with asyncio.timeout(60):
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                await asyncio.sleep(0.05)
        yield
