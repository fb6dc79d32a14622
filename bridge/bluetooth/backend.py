"""Which Bluetooth stack bleak uses, and the one scan that everybody shares.

The rest of the program says `Backend` and never names a stack. Bumble is imported only when it is
chosen. This module refuses to know what is being looked for.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from bleak import BleakAdapter, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from bridge.core.errors import ConfigError, LinkError

if TYPE_CHECKING:
    from bumble.device import Device

_log = logging.getLogger(__name__)

Heard = Callable[[BLEDevice, AdvertisementData], None]

SCAN_START_TIMEOUT_S = 5.0
"""BlueZ starts a scan in milliseconds; a bluetoothd that hangs never does."""
SCAN_RENEW_S = 60.0
"""A scan that is joined when older than this begins anew.

BlueZ 5.82 reports an advertisement that does not change only once, and a scan outlives an adapter
that is unplugged without a word.
"""


class Backend:
    """bleak, on one Bluetooth stack.

    ``client_options`` go to ``BleakClient``, ``scanner_options`` to ``BleakScanner``.
    """

    def __init__(
        self,
        scanner_options: Mapping[str, Any],
        client_options: Mapping[str, Any],
        adapter_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.client_options = client_options
        self._scanner_options = scanner_options
        self._adapter_options = adapter_options
        self._switching = asyncio.Lock()
        self._listeners: list[Heard] = []
        self._scanner: BleakScanner | None = None
        self._scanning_since_s = 0.0

    @asynccontextmanager
    async def listening(self, heard: Heard) -> AsyncIterator[None]:
        """Call ``heard`` for every advertisement while the block runs; callers share one scan.

        BlueZ allows a process no second one. What the running scan has heard already is handed
        over first. Raises `LinkError` when there is no adapter or it cannot scan.
        """
        async with self._switching:
            loop = asyncio.get_running_loop()
            if loop.time() - self._scanning_since_s > SCAN_RENEW_S:
                await self._stop()
            if self._scanner is None:
                self._scanner = await self._start()
                self._scanning_since_s = loop.time()
            self._listeners.append(heard)
        try:
            for device, data in self._already_heard():
                heard(device, data)
            yield
        finally:
            self._listeners.remove(heard)
            async with self._switching:
                if not self._listeners:
                    await self._stop()

    def _already_heard(self) -> list[tuple[BLEDevice, AdvertisementData]]:
        if self._scanner is None:
            return []
        return list(self._scanner.discovered_devices_and_advertisement_data.values())

    async def _start(self) -> BleakScanner:
        try:
            scanner = BleakScanner(self._tell, **self._scanner_options)
            async with asyncio.timeout(SCAN_START_TIMEOUT_S):
                await scanner.start()
        except TimeoutError:
            raise LinkError("the Bluetooth adapter does not start to scan") from None
        # Without D-Bus or BlueZ bleak raises a plain FileNotFoundError.
        except (BleakError, OSError) as error:
            raise LinkError(
                f"no usable Bluetooth adapter: {error}: plug one in or switch Bluetooth on, or set "
                "bluetooth.backend and bluetooth.transport"
            ) from error
        return scanner

    async def _stop(self) -> None:
        scanner, self._scanner = self._scanner, None
        if scanner is None:
            return
        try:
            async with asyncio.timeout(SCAN_START_TIMEOUT_S):
                await scanner.stop()
        except (BleakError, OSError) as error:
            _log.info("the Bluetooth scan did not end in order: %s", error)

    def _tell(self, device: BLEDevice, data: AdvertisementData) -> None:
        for heard in list(self._listeners):
            heard(device, data)

    async def connected_devices(self, service: str) -> list[BLEDevice]:
        """Devices with ``service`` that the system holds a connection to already.

        They do not advertise, so no scan finds them. Empty where the stack cannot tell.
        """
        if self._adapter_options is None:
            return []
        try:
            async with asyncio.timeout(SCAN_START_TIMEOUT_S):
                adapter = await BleakAdapter.get(**self._adapter_options)
                return await adapter.get_connected_devices([service])
        except (BleakError, OSError, NotImplementedError) as error:
            _log.debug("connected devices are not known: %s", error)
            return []


@asynccontextmanager
async def open_backend(
    backend: str = "system", transport: str = "", *, device: "Device | None" = None
) -> AsyncIterator[Backend]:
    """The Bluetooth stack that the settings ask for, for the length of the block.

    ``"system"``: bleak's own; ``transport`` may name a BlueZ adapter (``hci1``). ``"bumble"``:
    bleak over Bumble, on the controller at ``transport``, or on ``device`` when one is given. A
    controller is opened at first use and again when it was lost. Raises `ConfigError`.
    """
    if backend == "system":
        options = {"bluez": {"adapter": transport}} if transport else {}
        yield Backend(options, options, options)
    elif backend == "bumble":
        async with _bumble(transport, device) as opened:
            yield opened
    else:
        raise ConfigError(f"bluetooth.backend = {backend!r}: allowed are system and bumble")


@asynccontextmanager
async def _bumble(transport: str, device: "Device | None") -> AsyncIterator[Backend]:
    try:
        from bridge import radio  # noqa: PLC0415 - heavy, and an optional extra
        from bridge.bluetooth.bumble_backend import BumbleAdapter, BumbleScanner  # noqa: PLC0415
        from bridge.bluetooth.bumble_client import BumbleClient  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(
            'bluetooth.backend = "bumble" needs an extra: pip install "retrowalk[sim]"'
        ) from error
    if device is None and not transport:
        raise ConfigError('bluetooth.transport: "bumble" needs one, such as "usb:0"')
    adapter = BumbleAdapter(
        lambda: radio.open_device(transport) if device is None else nullcontext(device)
    )
    try:
        yield Backend(
            {"backend": BumbleScanner, "bumble": adapter},
            {"backend": BumbleClient, "bumble": adapter},
        )
    finally:
        await adapter.close()
