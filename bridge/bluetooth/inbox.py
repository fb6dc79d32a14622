"""The one queue into the task that owns the pilot: what happened, and when.

Bounded, so that a stuck reader cannot fill the memory, and choosy about what it gives up: only
measurements, which the next one replaces within a second. Refuses to know what the inputs mean.
"""

import asyncio
from collections import deque

from bridge.core.messages import Input, Notification

TREADMILL_DATA = 0x2ACD

CAPACITY = 256
"""About a minute of a machine that notifies four times a second: far behind, the pilot is dead."""


class Inbox:
    """Inputs in order of arrival, each with the time it arrived, in seconds of the clock in use.

    When more than ``capacity`` wait, the oldest Treadmill Data frame is dropped and counted in
    ``dropped``. Answers of the control point, status events, link events and commands never are,
    so that the queue grows beyond its capacity rather than lose one.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._waiting: deque[tuple[float, Input]] = deque()
        self._arrived = asyncio.Event()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, at_s: float, item: Input) -> None:
        """Add what happened at ``at_s``. Never blocks, so callbacks may call it."""
        self._waiting.append((at_s, item))
        if len(self._waiting) > self._capacity:
            self._drop_oldest_data()
        self._arrived.set()

    def _drop_oldest_data(self) -> None:
        for index, (_, item) in enumerate(self._waiting):
            if isinstance(item, Notification) and item.characteristic == TREADMILL_DATA:
                del self._waiting[index]
                self.dropped += 1
                return

    async def get(self) -> tuple[float, Input]:
        """The next input; waits until there is one. For one reader."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()
