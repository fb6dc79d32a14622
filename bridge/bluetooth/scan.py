"""Who is in reach: what advertisements say of fitness machines, without connecting.

Many treadmills advertise neither the Fitness Machine service nor its service data (facts from
other projects), so `scan` lists those that do and `find` takes any device by address or name. It
refuses to know device profiles; `bridge.recognition` brings those to what was heard.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.uuids import normalize_uuid_16

from bridge.bluetooth.backend import Backend
from bridge.core.errors import DecodeError, LinkError
from bridge.core.matching import Family
from bridge.core.neighbours import read_service_data

FITNESS_MACHINE = normalize_uuid_16(0x1826)

FIND_TIMEOUT_S = 10.0
"""Treadmills advertise at least once a second; slow ones, heard badly, need several."""
NAME_GRACE_S = 0.5
"""The name is often in the scan response, which comes a moment after the advertisement."""
_RSSI_UNKNOWN_DBM = -127


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One device as it advertises itself.

    ``rssi_dbm`` is ``None`` for one that is connected already and so does not advertise;
    ``available`` and ``machine_types`` come from the service data (FTMS v1.0 section 3.1), ``None``
    and empty when there is none; ``service_data`` are its octets, without the UUID.
    ``device_profile`` and ``other_family`` are for `bridge.recognition` to fill in. ``device`` is
    bleak's handle: BlueZ forgets it some 30 s after the scan.
    """

    address: str
    name: str = ""
    rssi_dbm: int | None = None
    fitness_machine: bool = False
    machine_types: tuple[str, ...] = ()
    available: bool | None = None
    service_uuids: tuple[str, ...] = ()
    manufacturer_data: Mapping[int, bytes] = field(default_factory=dict)
    service_data: bytes | None = None
    device_profile: str | None = None
    other_family: Family | None = None
    device: BLEDevice = field(compare=False, repr=False)

    def is_called(self, target: str) -> bool:
        """Whether ``target`` is this device's address (any case) or its whole name."""
        return self.address.casefold() == target.casefold() or (self.name == target != "")


def read(device: BLEDevice, data: AdvertisementData) -> Seen:
    """What one advertisement says. Service data that mean nothing are left out."""
    machine_types: tuple[str, ...] = ()
    available: bool | None = None
    service_data = data.service_data.get(FITNESS_MACHINE)
    if service_data is not None:
        with suppress(DecodeError):
            values = read_service_data(bytes(service_data))
            machine_types = tuple(values.get("machine_types", ()))
            available = values["available"]
    return Seen(
        address=device.address,
        name=data.local_name or device.name or "",
        rssi_dbm=None if data.rssi == _RSSI_UNKNOWN_DBM else data.rssi,
        fitness_machine=service_data is not None or FITNESS_MACHINE in data.service_uuids,
        machine_types=machine_types,
        available=available,
        service_uuids=tuple(data.service_uuids),
        manufacturer_data=dict(data.manufacturer_data),
        service_data=None if service_data is None else bytes(service_data),
        device=device,
    )


async def scan(backend: Backend, timeout_s: float, *, everything: bool = False) -> list[Seen]:
    """The fitness machines heard in ``timeout_s``, strongest first; or ``everything`` heard.

    Raises `LinkError` when no adapter can scan.
    """
    found: dict[str, Seen] = {}

    def heard(device: BLEDevice, data: AdvertisementData) -> None:
        found[device.address] = read(device, data)

    async with backend.listening(heard):
        await asyncio.sleep(timeout_s)
    for seen in await _connected(backend):
        found.setdefault(seen.address, seen)
    wanted = [seen for seen in found.values() if seen.fitness_machine or everything]
    return sorted(wanted, key=lambda seen: -1000 if seen.rssi_dbm is None else -seen.rssi_dbm)


async def find(backend: Backend, target: str, timeout_s: float = FIND_TIMEOUT_S) -> Seen:
    """The device whose address or name is ``target``.

    Raises `LinkError` when it is not heard within ``timeout_s`` or no adapter can scan.
    """
    for seen in await _connected(backend):
        if seen.is_called(target):
            return seen
    latest: Seen | None = None
    heard_it, complete = asyncio.Event(), asyncio.Event()

    def heard(device: BLEDevice, data: AdvertisementData) -> None:
        nonlocal latest
        seen = read(device, data)
        if seen.is_called(target):
            latest = seen
            heard_it.set()
            if seen.name:
                complete.set()

    async with backend.listening(heard):
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await heard_it.wait()
            async with asyncio.timeout(NAME_GRACE_S):
                await complete.wait()
    if latest is None:
        raise LinkError(f"{target} was not heard within {timeout_s:g} s: is it on and in reach?")
    return latest


async def _connected(backend: Backend) -> list[Seen]:
    devices = await backend.connected_devices(FITNESS_MACHINE)
    return [
        Seen(
            address=device.address,
            name=device.name or "",
            fitness_machine=True,
            service_uuids=(FITNESS_MACHINE,),
            device=device,
        )
        for device in devices
    ]
