"""bleak over Bumble: the shared adapter and the scanner. The client is in `bumble_client`.

For a USB dongle of one's own, a radio behind TCP, or a virtual one, with no Bluetooth stack of the
system involved: ``BleakScanner(backend=BumbleScanner, bumble=BumbleAdapter(...))``. Behaves as
BlueZ does where bleak's interface leaves a choice. It refuses to know treadmills.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Literal

from bleak.assigned_numbers import AdvertisementDataType as Field
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.exc import BleakDeviceNotFoundError, BleakError
from bumble import hci
from bumble.core import UUID, BaseBumbleError
from bumble.device import Advertisement, Device

from bridge.core.errors import LinkError
from bridge.radio import heeding_cancellation

_UUID_LISTS: dict[int, int] = {
    Field.INCOMPLETE_LIST_SERVICE_UUID16: 2,
    Field.COMPLETE_LIST_SERVICE_UUID16: 2,
    Field.INCOMPLETE_LIST_SERVICE_UUID32: 4,
    Field.COMPLETE_LIST_SERVICE_UUID32: 4,
    Field.INCOMPLETE_LIST_SERVICE_UUID128: 16,
    Field.COMPLETE_LIST_SERVICE_UUID128: 16,
}
_SERVICE_DATA: dict[int, int] = {
    Field.SERVICE_DATA_UUID16: 2,
    Field.SERVICE_DATA_UUID32: 4,
    Field.SERVICE_DATA_UUID128: 16,
}
_RSSI_UNKNOWN_DBM = -127


class BumbleAdapter:
    """One Bumble device, shared by the scanner and all clients, opened when first needed.

    ``opener`` gives a powered-on device for the length of its context. When the way to the
    controller is lost (unplugged, connection closed) every link on it is lost too, and the next
    use opens a fresh one.
    """

    def __init__(self, opener: Callable[[], AbstractAsyncContextManager[Device]]) -> None:
        self._opener = opener
        self._opening = asyncio.Lock()
        self._opened = AsyncExitStack()
        self._device: Device | None = None
        self.dialling = asyncio.Lock()
        """A controller makes one connection at a time."""
        self.heard: dict[str, hci.Address] = {}
        """Addresses with their type, which a string does not tell."""

    async def device(self) -> Device:
        """The device, powered on. Raises `BleakError` when its controller cannot be reached."""
        async with self._opening:
            if self._device is None:
                await self._opened.aclose()
                try:
                    device = await self._opened.enter_async_context(self._opener())
                except LinkError as error:
                    raise BleakError(str(error)) from error
                device.once(Device.EVENT_FLUSH, self._lose)
                self._device = device
            return self._device

    def has(self, device: Device) -> bool:
        """Whether ``device`` is still the one in use."""
        return self._device is device

    async def close(self) -> None:
        """Let go of the controller."""
        self._device = None
        await self._opened.aclose()

    def _lose(self) -> None:
        self._device = None

    async def address(self, text: str, timeout_s: float) -> hci.Address:
        """The address written ``text``, heard before or within ``timeout_s`` from now."""
        key = text.upper()
        if key not in self.heard:
            arrived = asyncio.Event()

            def notice(device: BLEDevice, _: AdvertisementData) -> None:
                if device.address == key:
                    arrived.set()

            scanner = BumbleScanner(notice, None, "active", bumble=self)
            await scanner.start()
            try:
                async with asyncio.timeout(timeout_s):
                    await arrived.wait()
            except TimeoutError:
                raise BleakDeviceNotFoundError(text, f"{text} was not found") from None
            finally:
                await scanner.stop()
        return self.heard[key]


class BumbleScanner(BaseBleakScanner):
    """bleak's scanner interface over a `BumbleAdapter`. Like BlueZ, one at a time."""

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: Literal["active", "passive"],
        *,
        bumble: BumbleAdapter,
        **_: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"
        self._adapter = bumble
        self._device: Device | None = None

    async def start(self) -> None:
        """Scan until `stop`. Raises `BleakError` when a scan is already running."""
        device = await self._adapter.device()
        if device.scanning:
            raise BleakError("a Bluetooth scan is already in progress")
        self.seen_devices.clear()
        device.on(Device.EVENT_ADVERTISEMENT, self._heard)
        try:
            with heeding_cancellation():
                await device.start_scanning(active=self._active)
            self._device = device
        except BaseBumbleError as error:
            raise BleakError(f"cannot scan: {error}") from error
        finally:
            if self._device is None:
                device.remove_listener(Device.EVENT_ADVERTISEMENT, self._heard)

    async def stop(self) -> None:
        """End the scan; nothing to do when the controller is gone."""
        device, self._device = self._device, None
        if device is None:
            return
        device.remove_listener(Device.EVENT_ADVERTISEMENT, self._heard)
        if not self._adapter.has(device):
            return
        try:
            with heeding_cancellation():
                await device.stop_scanning()
        except BaseBumbleError as error:
            raise BleakError(f"cannot stop the scan: {error}") from error

    def _heard(self, advertisement: Advertisement) -> None:
        address = advertisement.address.to_string(with_type_qualifier=False)
        self._adapter.heard[address] = advertisement.address
        _, before = self.seen_devices.get(address, (None, None))
        data = read_advertisement(advertisement, before)
        if not self.is_allowed_uuid(data.service_uuids):
            return
        device = self.create_or_update_device(
            address, address, data.local_name, advertisement.address, data
        )
        self.call_detection_callbacks(device, data)


def read_advertisement(
    advertisement: Advertisement, before: AdvertisementData | None = None
) -> AdvertisementData:
    """What an advertisement says, added to what the same device said ``before``.

    Advertisement and scan response come one by one; a name once heard stays, as with BlueZ.
    """
    name = before.local_name if before else None
    uuids = dict.fromkeys(before.service_uuids) if before else {}
    service_data = dict(before.service_data) if before else {}
    manufacturer_data = dict(before.manufacturer_data) if before else {}
    tx_power = before.tx_power if before else None
    for field, value in advertisement.data.ad_structures:
        kind = int(field)
        if size := _UUID_LISTS.get(kind):
            uuids.update(dict.fromkeys(_uuids(value, size)))
        elif (size := _SERVICE_DATA.get(kind)) and len(value) >= size:
            service_data[uuid_text(UUID.from_bytes(value[:size]))] = value[size:]
        elif kind in (Field.SHORTENED_LOCAL_NAME, Field.COMPLETE_LOCAL_NAME):
            name = value.decode("utf-8", errors="replace")
        elif kind == Field.MANUFACTURER_SPECIFIC_DATA and len(value) >= 2:  # noqa: PLR2004 - the company id
            manufacturer_data[int.from_bytes(value[:2], "little")] = value[2:]
        elif kind == Field.TX_POWER_LEVEL and value:
            tx_power = int.from_bytes(value[:1], "little", signed=True)
    rssi = advertisement.rssi
    return AdvertisementData(
        local_name=name,
        manufacturer_data=manufacturer_data,
        service_data=service_data,
        service_uuids=list(uuids),
        tx_power=tx_power,
        rssi=_RSSI_UNKNOWN_DBM if rssi == Advertisement.RSSI_NOT_AVAILABLE else rssi,
        platform_data=(advertisement,),
    )


def uuid_text(value: UUID) -> str:
    """A Bumble UUID as bleak writes it: 128 bits, lower case."""
    return str(uuid.UUID(bytes=value.to_bytes(force_128=True)[::-1]))


def _uuids(value: bytes, size: int) -> Iterator[str]:
    for start in range(0, len(value) - size + 1, size):
        yield uuid_text(UUID.from_bytes(value[start : start + size]))
