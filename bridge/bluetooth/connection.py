"""One device kept connected: found, connected, and found again after every loss.

Patient, because a treadmill is off most of the day; quick after a loss, because the belt may run.
What is done with a connection belongs to who holds it (`TreadmillLink`, `StrapLink`).
"""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from contextlib import suppress

from bleak import BleakClient
from bleak.exc import BleakError
from bleak_retry_connector import establish_connection

from bridge.bluetooth.backend import Backend
from bridge.bluetooth.scan import Seen, find
from bridge.core.errors import LinkError

_log = logging.getLogger(__name__)

CONNECT_TRIES = 2
"""Tries on one found device; after that it is looked for again, as its handle may be stale."""
CONNECT_TIMEOUT_S = 30.0
"""For all tries together. bleak-retry-connector alone would allow a minute for each."""
DISCONNECT_TIMEOUT_S = 4.0
"""BlueZ takes 1.8 to 2.7 s; after bluetoothd was killed, 10 s and then fails."""
STEADY_S = 10.0
"""A link that stood this long was a good one; several in a row that did not count as failures.

The first loss is always followed by a try at once: the belt may be running.
"""
BACKOFF_FIRST_S = 0.5
BACKOFF_CEILING_S = 15.0
"""The longest wait between tries: a treadmill switched on is picked up within half a minute."""
_BACKOFF_JITTER = 0.2

# AttributeError and EOFError: what bleak raises when its D-Bus connection dies under it
# (bleak-retry-connector retries the same ones). TimeoutError is an OSError.
RADIO_ERRORS = (BleakError, LinkError, OSError, EOFError, AttributeError)


def backoff_s(failures: int) -> float:
    """How long to wait after so many failures in a row: not at all, then longer and longer.

    A fifth more or less by chance, so that many links do not all try at the same moment.
    """
    if failures == 0:
        return 0.0
    doubled_s = BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 10)
    spread = random.uniform(1 - _BACKOFF_JITTER, 1 + _BACKOFF_JITTER)  # noqa: S311 - no secret
    return min(doubled_s, BACKOFF_CEILING_S) * spread


class Connection(ABC):
    """One device, by address or name, kept connected by `_keep_connected` until cancelled."""

    def __init__(self, backend: Backend, target: str, *, max_attempts: int | None = None) -> None:
        self._backend = backend
        self._target = target
        self._max_attempts = max_attempts
        self._over = asyncio.Event()
        self._over_because = ""
        self.problem = ""
        """Why there is no link at the moment, for people; empty while there is one."""

    @abstractmethod
    async def _hold(self, client: BleakClient, seen: Seen, over: asyncio.Event) -> float:
        """Use a connection until ``over`` is set; how long it was of use, in seconds."""

    def restart(self, because: str = "restarted") -> None:
        """Let go of the link, if any, and connect anew at once.

        For a stack that died silently: when bluetoothd is killed no callback ever comes and the
        link still calls itself connected.
        """
        self._over_because = because
        self._over.set()

    async def _keep_connected(self) -> LinkError:
        failures = brief = 0
        while True:
            try:
                stood_s = await self._connect_and_hold()
                brief = 0 if stood_s >= STEADY_S else brief + 1
                failures = max(brief - 1, 0)
            except RADIO_ERRORS as error:
                failures += 1
                self._note_problem(error)
            if self._max_attempts is not None and failures >= self._max_attempts:
                return LinkError(f"{self._target}: {self.problem}")
            self._over = asyncio.Event()  # `restart` cuts the wait short
            with suppress(TimeoutError):
                async with asyncio.timeout(backoff_s(failures)):
                    await self._over.wait()

    def _note_problem(self, error: BaseException) -> None:
        problem = str(error) or type(error).__name__
        if problem != self.problem:
            _log.info("%s: %s", self._target, problem)
        _log.debug("%s", self._target, exc_info=error)
        self.problem = problem

    async def _connect_and_hold(self) -> float:
        """One connection from search to loss; how long it stood, in seconds."""
        seen = await find(self._backend, self._target)
        # One each, so that a callback that comes late does not end the next link.
        over = self._over = asyncio.Event()
        self._over_because = "connection lost"
        client = await self._connect(seen, over)
        try:
            stood_s = await self._hold(client, seen, over)
            self.problem = self._over_because
            _log.info("%s: %s", self._target, self.problem)
            return stood_s
        finally:
            await self._disconnect(client)

    async def _connect(self, seen: Seen, over: asyncio.Event) -> BleakClient:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return await establish_connection(
                    BleakClient,
                    seen.device,
                    seen.name or seen.address,
                    disconnected_callback=lambda _: over.set(),
                    max_attempts=CONNECT_TRIES,
                    use_services_cache=False,
                    **self._backend.client_options,
                )
        except TimeoutError:
            raise LinkError(f"no connection within {CONNECT_TIMEOUT_S:g} s") from None

    async def _disconnect(self, client: BleakClient) -> None:
        try:
            async with asyncio.timeout(DISCONNECT_TIMEOUT_S):
                await client.disconnect()
        except RADIO_ERRORS as error:
            _log.debug("%s: did not disconnect in order: %s", self._target, error)
