"""Time for everything that waits: real, or many times faster for the demo.

The core takes ``now_s``; this is where it comes from. Knows nothing of treadmills.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol


def utc_now() -> datetime:
    """The wall clock, UTC. For stamps on the record only; no rule depends on it."""
    return datetime.now(UTC)  # noqa: TID251 - the one place


def rfc3339(at: datetime) -> str:
    """``2026-11-22T16:00:00.123Z``: UTC, milliseconds, Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class Clock(Protocol):
    """Seconds that never go backward, and a way to wait for them."""

    def now_s(self) -> float:
        """Seconds since some fixed moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once ``seconds`` have passed on this clock."""
        ...


class LoopClock:
    """The event loop's own time: real in production, virtual under a virtual-time loop."""

    def now_s(self) -> float:
        """``loop.time()``."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """`asyncio.sleep`."""
        await asyncio.sleep(seconds)


class PacedClock:
    """A clock ``speedup`` times faster than the wall, that waits for a slow machine.

    Time advances in small steps, each followed by a turn of the event loop, and never by more
    than ``_LONGEST_STEP_S`` at once: when the process is held up the clock is too, so that nothing
    in a demo looks late only because the computer was busy.
    """

    _TICK_S = 0.01
    _LONGEST_STEP_S = 0.5

    def __init__(self, speedup: float) -> None:
        self._speedup = speedup
        self._now_s = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_s(self) -> float:
        """Seconds of demo time since the clock was made."""
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        """Return once ``seconds`` of demo time have passed."""
        due = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_s + seconds, next(self._order), due))
        await due

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let time pass for the length of the block."""
        async with asyncio.TaskGroup() as tasks:
            pace = tasks.create_task(self._pace(), name="demo-clock")
            try:
                yield
            finally:
                pace.cancel()

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        with suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(self._TICK_S)
                passed = min((loop.time() - last) * self._speedup, self._LONGEST_STEP_S)
                last = loop.time()
                self._advance(passed)

    def _advance(self, seconds: float) -> None:
        self._now_s += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now_s:
            due = heapq.heappop(self._sleepers)[2]
            if not due.done():
                due.set_result(None)
