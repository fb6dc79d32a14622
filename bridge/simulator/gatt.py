"""A simulated treadmill on a Bluetooth controller: advertising, serving, one central at a time.

Carries octets between Bumble and `FtmsServer` and keeps its time on a `Clock`, so a demo may run
faster than the wall. Importing it imports Bumble. Refuses to know what the octets mean.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bumble import att
from bumble.core import BaseBumbleError
from bumble.device import Connection, Device
from bumble.gatt import Characteristic
from bumble.transport.common import TransportLostError

from bridge.clock import Clock
from bridge.core.messages import Identity
from bridge.simulator import ftms_server
from bridge.simulator.database import SUBSCRIBED_BY, Database, advertisement, scan_response
from bridge.simulator.ftms_server import FtmsServer, Outgoing
from bridge.simulator.machine import Incident
from bridge.simulator.model import STANDARD

_log = logging.getLogger(__name__)

ADVERTISING_INTERVAL_MS = 100.0
"""What home treadmills do: found within a blink, and cheap."""

LEAVE_TIMEOUT_S = 1.0
"""A controller answers within milliseconds; one that does not must not hold up the end."""


class GattTreadmill:
    """``server`` on ``device``, a powered-on Bumble device, from `run` until that is cancelled.

    ``drop_links`` takes the device out of reach for the faults that lose the link; without it they
    disconnect, as a real controller can. ``on_incident`` gets every line of the server's journal.
    """

    def __init__(
        self,
        device: Device,
        server: FtmsServer,
        clock: Clock,
        *,
        identity: Identity = STANDARD.identity,
        drop_links: Callable[[], None] | None = None,
        on_incident: Callable[[Incident], None] | None = None,
    ) -> None:
        self.server = server
        self.identity = identity
        self._device = device
        self._clock = clock
        self._drop_links = drop_links
        self._on_incident = on_incident
        self._connection: Connection | None = None
        self._advertising = False
        self._gone = False
        self._nudged = asyncio.Event()
        self._told = 0
        self._indicating: set[asyncio.Task[None]] = set()
        self._changing: asyncio.Task[None] | None = None
        self._database = Database(
            server.habits,
            identity,
            heart_rate=server.heart_rate_bpm is not None,
            read=self._read,
            write=self._written,
            vendor_write=self._vendor_written,
        )
        device.add_services(self._database.services)
        for uuid16, characteristic in self._database.characteristics.items():
            characteristic.on(Characteristic.EVENT_SUBSCRIPTION, partial(self._subscribed, uuid16))
        device.on(Device.EVENT_CONNECTION, self._connected)
        device.once(Device.EVENT_FLUSH, self._lose_controller)

    def nudge(self) -> None:
        """Something was done to the server from outside: look at it now."""
        self._nudged.set()

    async def run(self) -> None:
        """Advertise, serve and keep time, until cancelled or the controller is gone.

        At the end the central is let go and the air is quiet.
        """
        async with asyncio.TaskGroup() as tasks:
            try:
                while not self._gone:
                    await self._turn(tasks)
                    await self._rest()
            finally:
                for task in self._indicating:
                    task.cancel()
                await self._leave()

    async def _turn(self, tasks: asyncio.TaskGroup) -> None:
        """One look at the server: send what is due, follow its wishes about the link."""
        for message in self.server.outgoing(self._clock.now_s()):
            await self._send(message, tasks)
        self._tell()
        if self._connection is not None and not self.server.connected:
            await self._cut(self._connection)
        on_air = self.server.on_air(self._clock.now_s())
        if on_air != self._advertising and self._connection is None:
            # Shielded: a command that a controller is about to answer must not be abandoned.
            self._changing = tasks.create_task(self._advertise(on_air))
            await asyncio.shield(self._changing)

    async def _rest(self) -> None:
        """Wait until the server has something due or is nudged."""
        wait_s = max(self.server.next_due_s() - self._clock.now_s(), 0.0)
        if math.isinf(wait_s):
            await self._nudged.wait()
        else:
            async with asyncio.TaskGroup() as race:
                sleep = race.create_task(self._clock.sleep(wait_s))
                nudge = race.create_task(self._nudged.wait())
                await asyncio.wait((sleep, nudge), return_when=asyncio.FIRST_COMPLETED)
                sleep.cancel()
                nudge.cancel()
        self._nudged.clear()

    def _tell(self) -> None:
        journal = self.server.journal
        if self._on_incident is not None:
            for incident in journal[self._told :]:
                self._on_incident(incident)
        self._told = len(journal)

    # --- the link ---------------------------------------------------------------------------------

    def _connected(self, connection: Connection) -> None:
        self._advertising = False
        self._connection = connection
        self.server.connect(self._clock.now_s(), connection.att_mtu)
        connection.on(
            Connection.EVENT_CONNECTION_ATT_MTU_UPDATE,
            lambda: self.server.exchange_mtu(connection.att_mtu),
        )
        connection.once(Connection.EVENT_DISCONNECTION, self._disconnected)
        self.nudge()

    def _lose_controller(self) -> None:
        self._gone = True
        self.nudge()

    def _disconnected(self, _reason: int) -> None:
        self._connection = None
        for task in self._indicating:  # Bumble would wait 30 s for their confirmation
            task.cancel()
        self.server.disconnect(self._clock.now_s())
        self.nudge()

    async def _cut(self, connection: Connection) -> None:
        if self._drop_links is not None:
            self._drop_links()
        else:
            with suppress(BaseBumbleError, TimeoutError):
                async with asyncio.timeout(LEAVE_TIMEOUT_S):
                    await connection.disconnect()

    async def _leave(self) -> None:
        if self._gone:
            return
        self._device.remove_listener(Device.EVENT_CONNECTION, self._connected)
        with suppress(BaseBumbleError, TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                if self._changing is not None:
                    await self._changing
                await self._device.stop_advertising()
                if self._connection is not None:
                    await self._connection.disconnect()

    async def _advertise(self, on: bool) -> None:
        try:
            if on:
                await self._device.start_advertising(
                    advertising_data=self._advertisement(),
                    scan_response_data=scan_response(self.identity.name),
                    advertising_interval_min=ADVERTISING_INTERVAL_MS,
                    advertising_interval_max=ADVERTISING_INTERVAL_MS,
                )
            else:
                await self._device.stop_advertising()
        except TransportLostError:
            self._gone = True
        self._advertising = on and self._connection is None

    def _advertisement(self) -> bytes:
        return advertisement(self.server.habits, heart_rate=self.server.heart_rate_bpm is not None)

    # --- the database -----------------------------------------------------------------------------

    def _read(self, uuid16: int) -> bytes:
        try:
            return self.server.read(uuid16)
        except LookupError as error:
            raise att.ATT_Error(att.ErrorCode.ATTRIBUTE_NOT_FOUND) from error

    def _written(self, connection: Connection, payload: bytes) -> None:
        """A control point write. What it causes goes out in a later turn, after this response."""
        control_point = self._database.characteristics[ftms_server.CONTROL_POINT]
        cccd = self._device.gatt_server.read_cccd(connection, control_point)
        told = SUBSCRIBED_BY[self.server.habits.control_tells]
        error = self.server.control_write(
            bytes(payload), self._clock.now_s(), indications_on=bool(cccd[0] & told)
        )
        self.nudge()
        if error is not None:
            raise att.ATT_Error(error)

    def _vendor_written(self, uuid: str, payload: bytes) -> None:
        self.server.vendor_write(uuid, payload, self._clock.now_s())
        self.nudge()

    def _subscribed(
        self, uuid16: int, connection: Connection, notified: bool, indicated: bool
    ) -> None:
        """A descriptor was written; the server may drop that, and then nothing is stored."""
        if not notified and not indicated:
            return
        if not self.server.subscribe(uuid16, self._clock.now_s()):
            handle = self._database.characteristics[uuid16].handle
            self._device.gatt_server.subscribers[connection].pop(handle, None)
        self.nudge()

    async def _send(self, message: Outgoing, tasks: asyncio.TaskGroup) -> None:
        uuid16, payload, kind = message
        characteristic = self._database.characteristics.get(uuid16)
        connection = self._connection
        if connection is None or characteristic is None:
            return
        if kind == "notify":
            # An answer may come as a notification where indications were asked for (UREVO).
            anyway = uuid16 == ftms_server.CONTROL_POINT
            await self._device.notify_subscriber(connection, characteristic, payload, force=anyway)
            return
        # Its confirmation is awaited apart: data goes on meanwhile.
        task = tasks.create_task(self._indicate(connection, characteristic, payload))
        self._indicating.add(task)
        task.add_done_callback(self._indicating.discard)
        await asyncio.sleep(0)  # it leaves before whatever follows

    async def _indicate(
        self, connection: Connection, characteristic: Characteristic[bytes], payload: bytes
    ) -> None:
        try:
            await self._device.indicate_subscriber(connection, characteristic, payload)
        except (BaseBumbleError, TimeoutError) as error:
            _log.info("%s: no confirmation: %s", self.identity.name, error)
