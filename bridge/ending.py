"""Ends a program in order when a signal asks for it, whatever it is doing at that moment.

Knows signals and patience, and nothing of what is being ended.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

INTERRUPTED = 130
"""The exit code after Ctrl-C (128 + SIGINT), as shells have it."""


class Ending:
    """The end that a signal asks for.

    The first one cancels the work, or is waited for by work that calls `awaited`. A second one is
    for the impatient: everything is dropped, in the order that clean-up takes by itself. A third
    is for what hangs even then.
    """

    def __init__(self, codes: dict[signal.Signals, int]) -> None:
        self._codes = codes
        self._signals = 0
        self._work = asyncio.current_task()
        self._asked = asyncio.Event()
        self.code = 0

    @property
    def asked(self) -> bool:
        """A signal has come."""
        return self._asked.is_set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals come here for the length of the block."""
        loop = asyncio.get_running_loop()
        for number, code in self._codes.items():
            loop.add_signal_handler(number, self._signal, code)
        try:
            yield
        finally:
            for number in self._codes:
                loop.remove_signal_handler(number)

    async def awaited(self) -> None:
        """Return when the end is asked for. From now on no signal cancels the work."""
        self._work = None
        await self._asked.wait()

    def _signal(self, code: int) -> None:
        self._signals += 1
        match self._signals:
            case 1:
                self.code = code
                self._asked.set()
                if self._work is not None:
                    self._work.cancel()
            case 2:
                sys.exit(code or 1)
            case _:
                os._exit(code or 1)


def run_until_signal(work: Callable[[Ending], Awaitable[int]], *, terminated: int = 0) -> int:
    """Run ``work`` in an event loop of its own; its exit code, or that of the signal that ended it.

    ``terminated`` is the code for SIGTERM; for Ctrl-C it is `INTERRUPTED`.
    """
    return asyncio.run(_until_signal(work, terminated))


async def _until_signal(work: Callable[[Ending], Awaitable[int]], terminated: int) -> int:
    ending = Ending({signal.SIGTERM: terminated, signal.SIGINT: INTERRUPTED})
    with ending.listening():
        try:
            return await work(ending)
        except asyncio.CancelledError:
            if not ending.asked:
                raise
            return ending.code
