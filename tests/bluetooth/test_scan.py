"""Scanning: what is heard, how it is read, how one is found."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from bridge.bluetooth.backend import Backend, Heard
from bridge.bluetooth.scan import FITNESS_MACHINE, Seen, find, read, scan
from bridge.core.errors import LinkError
from tests.bluetooth.peripheral import ADDRESS, on_air

pytestmark = pytest.mark.looptime


async def test_scan_reads_everything_advertised() -> None:
    """Name from the scan response, RSSI, service data (FTMS 3.1), UUIDs, manufacturer data."""
    async with on_air() as air:
        air.radio.controller_of(air.machine.device).rssi_dbm = -71
        found = await scan(air.backend, 0.2)
    expected = Seen(
        address=ADDRESS,
        name="Tread-01",
        rssi_dbm=-71,
        fitness_machine=True,
        machine_types=("treadmill",),
        available=True,
        service_uuids=(FITNESS_MACHINE,),
        manufacturer_data={0x02E5: b"\xaa\xbb"},
        service_data=b"\x01\x01\x00",
        device=found[0].device,
    )
    assert found == [expected]


async def test_scan_finds_machines_without_service_data() -> None:
    """A machine that advertises 0x1826 only is listed, its types unknown."""
    async with on_air() as air:
        air.machine.service_data = None
        await air.machine.advertise()
        (found,) = await scan(air.backend, 0.2)
    assert (found.name, found.machine_types, found.available) == ("Tread-01", (), None)
    assert found.service_data is None


async def test_scan_lists_strongest_first_and_only_fitness_machines() -> None:
    """Order is by signal strength; a device that is no fitness machine shows on request only."""
    async with on_air() as air:
        near = await air.another(2, "Near")
        air.radio.controller_of(near.device).rssi_dbm = -40
        lamp = await air.another(3, "Lamp")
        lamp.service_data = None
        await lamp.advertise(uuid=False)
        assert [seen.name for seen in await scan(air.backend, 0.2)] == ["Near", "Tread-01"]
        everything = await scan(air.backend, 0.2, everything=True)
    assert {seen.name for seen in everything} == {"Near", "Tread-01", "Lamp"}


@pytest.mark.parametrize("target", [ADDRESS, ADDRESS.lower(), "Tread-01"])
async def test_find_by_address_or_name(target: str) -> None:
    """Either identifies it, addresses in any case; the name is known both ways."""
    async with on_air() as air:
        seen = await find(air.backend, target)
    assert (seen.address, seen.name) == (ADDRESS, "Tread-01")


@pytest.mark.parametrize(("name_after_s", "name"), [(0.3, "Tread-01"), (3.0, "")])
async def test_find_waits_a_moment_for_the_name(name_after_s: float, name: str) -> None:
    """BlueZ tells of the advertisement before the scan response; profiles go by the name."""

    class Slow(Backend):
        @asynccontextmanager
        async def listening(self, heard: Heard) -> AsyncIterator[None]:
            device = BLEDevice(ADDRESS, None, None)
            loop = asyncio.get_running_loop()
            for after_s, told in ((0.1, None), (0.1 + name_after_s, "Tread-01")):
                data = AdvertisementData(told, {}, {}, [], None, -50, ())
                loop.call_later(after_s, heard, device, data)
            yield

    assert (await find(Slow({}, {}), ADDRESS)).name == name


async def test_find_gives_up() -> None:
    """A machine that is not there is a `LinkError` that names it, after the timeout."""
    async with on_air() as air:
        started_s = asyncio.get_running_loop().time()
        with pytest.raises(LinkError, match="Nobody was not heard within 3 s"):
            await find(air.backend, "Nobody", 3.0)
        assert asyncio.get_running_loop().time() - started_s == pytest.approx(3.0, abs=0.1)


def test_service_data_that_mean_nothing_are_left_out() -> None:
    """Empty service data still mark a fitness machine, with nothing known of it."""
    data = AdvertisementData(None, {}, {FITNESS_MACHINE: b""}, [], None, -127, ())
    seen = read(BLEDevice("AA:BB", "Belt", None), data)
    expected = ("Belt", True, None, None)
    assert (seen.name, seen.fitness_machine, seen.available, seen.rssi_dbm) == expected
