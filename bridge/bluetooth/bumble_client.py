"""bleak over Bumble: the client. The adapter and the scanner are in `bumble_backend`.

Where bleak leaves a choice it does as BlueZ does: handles are those of the declarations, service
0x1800 is hidden, a second ``start_notify`` replaces the first, the callback fires on one's own
disconnect as well. It refuses to know treadmills.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_16
from bumble import gatt, hci
from bumble.att import ATT_Error
from bumble.core import BaseBumbleError
from bumble.core import TimeoutError as BumbleTimeoutError
from bumble.device import Connection, Device, Peer
from bumble.gatt_client import CharacteristicProxy, ServiceProxy

from bridge.bluetooth.bumble_backend import BumbleAdapter, uuid_text
from bridge.radio import heeding_cancellation

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")

PREFERRED_MTU = 517
"""What BlueZ asks for; with the default of 23 long Treadmill Data records lose their tail."""
DISCONNECT_TIMEOUT_S = 2.0
"""A controller confirms a disconnection at once; one that is gone never does."""
_GENERIC_ACCESS = normalize_uuid_16(0x1800)


class BumbleClient(BaseBleakClient):
    """bleak's client interface over a `BumbleAdapter`."""

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None = None,
        services: set[str] | None = None,
        timeout: float = 30.0,
        bumble: BumbleAdapter,
        **_: Any,
    ) -> None:
        super().__init__(
            address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout
        )
        self._known: hci.Address | None = None
        self._name: str | None = None
        if isinstance(address_or_ble_device, BLEDevice):
            self._known = address_or_ble_device.details
            self._name = address_or_ble_device.name
        self._adapter = bumble
        self._wanted_services = services
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._callbacks: dict[int, NotifyCallback] = {}
        self._asking: set[asyncio.Timeout] = set()

    @property
    def name(self) -> str:
        """The advertised name, or the address with dashes."""
        return self._name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """The negotiated MTU, 23 while not connected."""
        return self._connection.att_mtu if self._connection else 23

    @property
    def is_connected(self) -> bool:
        """Whether the link stands."""
        return self._connection is not None

    async def connect(self, pair: bool, *, timeout: float | None = None, **_: Any) -> None:  # noqa: ASYNC109 - bleak's
        """Connect and read the services, all within the timeout, else `TimeoutError`."""
        if self._connection is not None:
            raise BleakError("already connected")
        timeout_s = self._timeout if timeout is None else timeout
        async with asyncio.timeout(timeout_s):
            device = await self._adapter.device()
            address = self._known or await self._adapter.address(self.address, timeout_s)
            async with self._adapter.dialling:
                connection = await _dial(device, address)
            try:
                self._stand(connection)
                if pair:
                    await self.pair()
                await self._discover(Peer(connection))
            except BaseException:
                await self.disconnect()
                raise

    def _stand(self, connection: Connection) -> None:
        self._connection = connection
        connection.once(Connection.EVENT_DISCONNECTION, lambda _: self._lost(connection))
        if connection.device.connections.get(connection.handle) is not connection:
            self._lost(connection)

    def _lost(self, connection: Connection) -> None:
        if self._connection is not connection:
            return
        self._connection, self._peer, self.services = None, None, None
        self._callbacks.clear()
        now_s = asyncio.get_running_loop().time()
        while self._asking:
            self._asking.pop().reschedule(now_s)
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def _ask(
        self, request: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """The answer to a request over the link; `BleakError` at once when the link is gone.

        Bumble cancels the request under way when a link is lost, but would still send those that
        wait behind it, and wait 30 s for their answers.
        """
        if self._connection is None:
            raise BleakError("Not connected")
        scope = asyncio.timeout(None)
        self._asking.add(scope)
        try:
            async with scope:
                return await _answered(request(*args, **kwargs))
        except TimeoutError:
            if scope.expired():
                raise BleakError("Disconnected") from None
            raise
        finally:
            self._asking.discard(scope)

    async def _discover(self, peer: Peer) -> None:
        try:
            await self._ask(peer.request_mtu, PREFERRED_MTU)
        except BleakGATTProtocolError as error:
            _log.debug("%s keeps the MTU at 23: %s", self.address, error)
        services = BleakGATTServiceCollection()
        for service in await self._ask(peer.discover_services):
            uuid = uuid_text(service.uuid)
            wanted = self._wanted_services is None or uuid in self._wanted_services
            if wanted and uuid != _GENERIC_ACCESS:
                await self._discover_service(peer, service, services)
        if self._connection is None:
            raise BleakError("failed to discover services, device disconnected")
        self._peer, self.services = peer, services

    async def _discover_service(
        self, peer: Peer, found: ServiceProxy, services: BleakGATTServiceCollection
    ) -> None:
        service = BleakGATTService(found, found.handle, uuid_text(found.uuid))
        services.add_service(service)
        for proxy in await self._ask(peer.discover_characteristics, service=found):
            characteristic = BleakGATTCharacteristic(
                proxy,
                proxy.handle - 1,
                uuid_text(proxy.uuid),
                list(gatt_char_props_to_strs(int(proxy.properties))),
                lambda: self.mtu_size - 3,
                service,
            )
            services.add_characteristic(characteristic)
            for descriptor in await self._ask(peer.discover_descriptors, proxy):
                uuid = uuid_text(descriptor.type)
                services.add_descriptor(
                    BleakGATTDescriptor(descriptor, descriptor.handle, uuid, characteristic)
                )

    async def disconnect(self) -> None:
        """Disconnect; done at once when there is no link."""
        connection = self._connection
        if connection is None:
            return
        with suppress(BleakError, TimeoutError):
            async with asyncio.timeout(DISCONNECT_TIMEOUT_S):
                await _answered(connection.disconnect())
        self._lost(connection)

    async def pair(self, *_: Any, **__: Any) -> None:
        """Pair as Bumble does by default: just works."""
        if self._connection is None:
            raise BleakError("Not connected")
        await self._ask(self._connection.pair)

    async def unpair(self) -> None:
        """Nothing is stored, so there is nothing to forget."""
        await self.disconnect()

    def _standing_peer(self) -> Peer:
        if self._peer is None or self._connection is None:
            raise BleakError("Not connected")
        return self._peer

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, **_: Any) -> bytearray:
        """Read a characteristic, long values too, always from the device."""
        return await self._read(characteristic.obj.handle)

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **_: Any) -> bytearray:
        """Read a descriptor, always from the device."""
        return await self._read(descriptor.handle)

    async def _read(self, handle: int) -> bytearray:
        return bytearray(await self._ask(self._standing_peer().read_value, handle))

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
    ) -> None:
        """Write a characteristic, with the Write Response awaited or without."""
        await self._write(characteristic.obj.handle, data, response=response)

    async def write_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, data: SizedBuffer
    ) -> None:
        """Write a descriptor."""
        await self._write(descriptor.handle, data, response=True)

    async def _write(self, handle: int, data: SizedBuffer, *, response: bool) -> None:
        peer = self._standing_peer()
        await self._ask(peer.write_value, handle, bytes(data), with_response=response)

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: Any
    ) -> None:
        """Subscribe; notifications are preferred where a characteristic has both."""
        peer = self._standing_peer()
        proxy: CharacteristicProxy[bytes] = characteristic.obj
        if proxy.get_descriptor(gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR) is None:
            raise BleakError(f"{characteristic.uuid} has no descriptor to subscribe with")
        first = proxy.handle not in self._callbacks
        self._callbacks[proxy.handle] = callback
        if not first:
            return

        def hand_over(value: bytes) -> None:
            if current := self._callbacks.get(proxy.handle):
                current(bytearray(value))

        # A machine may answer by the other kind than it was asked for (UREVO notifies where it
        # claims to indicate); other backends hand over both.
        client = peer.gatt_client
        for subscribers in (client.notification_subscribers, client.indication_subscribers):
            subscribers.setdefault(proxy.handle, set()).add(hand_over)
        try:
            await self._ask(client.subscribe, proxy, hand_over)
        except BaseException:
            self._callbacks.pop(proxy.handle, None)
            client.notification_subscribers.pop(proxy.handle, None)
            client.indication_subscribers.pop(proxy.handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """End the subscription."""
        peer = self._standing_peer()
        self._callbacks.pop(characteristic.obj.handle, None)
        await self._ask(peer.gatt_client.unsubscribe, characteristic.obj)


async def _answered(request: Awaitable[_T]) -> _T:
    """The result of a Bumble request, its failures turned into bleak's.

    When the link is lost Bumble cancels what waits for it, which looks like being cancelled
    oneself; only `asyncio.Task.cancelling` tells the two apart.
    """
    try:
        with heeding_cancellation():
            return await request
    except ATT_Error as error:
        raise BleakGATTProtocolError(error.error_code) from error
    except BumbleTimeoutError as error:
        raise TimeoutError(str(error)) from error
    except BaseBumbleError as error:
        raise BleakError(str(error) or type(error).__name__) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BleakError("Disconnected") from None


async def _dial(device: Device, address: hci.Address) -> Connection:
    """Connect; when cancelled (by a timeout, say) the controller stops trying as well."""
    try:
        return await _answered(device.connect(address, timeout=None))
    except asyncio.CancelledError:
        with suppress(BaseBumbleError, TimeoutError):
            async with asyncio.timeout(DISCONNECT_TIMEOUT_S):
                await _give_up(device, address)
        raise


async def _give_up(device: Device, address: hci.Address) -> None:
    """Cancel the attempt, or drop the link if it came up at the last moment."""
    with suppress(BaseBumbleError):
        await device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
    if late := device.find_connection_by_bd_addr(address):
        await late.disconnect()
