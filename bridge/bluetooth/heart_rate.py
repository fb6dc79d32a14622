"""A heart-rate strap on the same radio as the treadmill, read through pycycling's service.

pycycling subscribes; its parser is not used, because it takes "no contact" for contact (flags
0x02 and 0x04) and raises on short frames. The bytes go onto the treadmill's inbox as they are and
are decoded in the core, the one place that knows them. Optional: no strap, no limit.
"""

import asyncio
import logging

from bleak import BleakClient
from pycycling.heart_rate_service import HeartRateService  # type: ignore[import-untyped]

from bridge.bluetooth.backend import Backend
from bridge.bluetooth.connection import Connection
from bridge.bluetooth.inbox import Inbox
from bridge.bluetooth.scan import Seen
from bridge.clock import Clock
from bridge.core.messages import Notification

HEART_RATE = 0x2A37
SUBSCRIBE_TIMEOUT_S = 5.0
"""Straps answer within a second; one that does not is looked for again."""

_log = logging.getLogger(__name__)


class _RawHeartRate(HeartRateService):  # type: ignore[misc]
    """pycycling's service without its parser: hands the bytes on."""

    def _hr_measurement_notification_handler(self, sender: object, data: bytearray) -> None:
        del sender
        self._hr_measurement_callback(bytes(data))


class StrapLink(Connection):
    """One strap, kept connected as long as `run` runs; its measurements go to ``inbox``."""

    def __init__(self, backend: Backend, target: str, inbox: Inbox, clock: Clock) -> None:
        super().__init__(backend, target)
        self._inbox = inbox
        self._clock = clock

    async def run(self) -> None:
        """Connect, hold, and connect again, until cancelled."""
        raise await self._keep_connected()

    async def _hold(self, client: BleakClient, seen: Seen, over: asyncio.Event) -> float:
        service = _RawHeartRate(client)
        service.set_hr_measurement_handler(self._measured)
        async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
            await service.enable_hr_measurement_notifications()
        self.problem = ""
        _log.info("%s: heart-rate strap connected (%s)", self._target, seen.name or seen.address)
        up_s = asyncio.get_running_loop().time()
        await over.wait()
        return asyncio.get_running_loop().time() - up_s

    def _measured(self, payload: bytes) -> None:
        self._inbox.put(self._clock.now_s(), Notification(HEART_RATE, payload))
