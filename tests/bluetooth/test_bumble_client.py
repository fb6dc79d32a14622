"""bleak's client interface over Bumble, as `BleakClient` drives it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble.att import ATT_Error

from bridge.bluetooth.scan import find
from tests.bluetooth.peripheral import ADDRESS, FEATURES, SPEED_RANGE, Air, on_air

pytestmark = pytest.mark.looptime

GET_CONTROL = b"\x00"
SUCCESS = b"\x80\x00\x01"


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Air, BleakClient]]:
    """A client that holds a connection."""
    async with on_air() as air:
        device = (await find(air.backend, ADDRESS)).device
        async with BleakClient(device, **air.backend.client_options) as client:
            yield air, client


async def test_services_are_discovered_with_their_descriptors() -> None:
    """Services, properties and client configurations show as BlueZ shows them; 0x1800 does not."""
    async with connected() as (_, client):
        services = {service.uuid[4:8] for service in client.services}
        data = client.services.get_characteristic("2acd")
        point = client.services.get_characteristic("2ad9")
        assert data is not None
        assert point is not None
        assert services == {"1801", "1826", "180a"}
        assert (data.properties, set(point.properties)) == (["notify"], {"write", "indicate"})
        assert [descriptor.uuid[4:8] for descriptor in data.descriptors] == ["2902"]
        assert data.handle == data.obj.handle - 1
        assert (client.mtu_size, data.max_write_without_response_size) == (517, 514)
        assert client.name == "Tread-01"


async def test_read() -> None:
    """Values come whole, characteristics' and descriptors'."""
    async with connected() as (_, client):
        data = client.services.get_characteristic("2acd")
        assert data is not None
        assert await client.read_gatt_char("2acc") == FEATURES
        assert await client.read_gatt_char("2ad4") == SPEED_RANGE
        assert await client.read_gatt_descriptor(data.descriptors[0]) == b"\x00\x00"


async def test_write_with_and_without_response() -> None:
    """Both arrive, in order."""
    async with connected() as (air, client):
        await client.write_gatt_char("2ad9", b"\x00", response=True)
        assert air.machine.writes == [b"\x00"]
        await client.write_gatt_char("2ad9", b"\x07", response=False)
        await asyncio.sleep(0.1)
        assert air.machine.writes == [b"\x00", b"\x07"]


@pytest.mark.parametrize("code", [0x03, 0x80, 0xFD, 0xFE])
async def test_att_errors_keep_their_code(code: int) -> None:
    """What the machine answers is what the caller sees, FTMS's own codes and unknown ones too."""
    async with connected() as (air, client):

        def refuse(_: bytes) -> None:
            raise ATT_Error(code)

        air.machine.on_write = refuse
        with pytest.raises(BleakGATTProtocolError) as refused:
            await client.write_gatt_char("2ad9", GET_CONTROL, response=True)
        assert refused.value.code == code


@pytest.mark.parametrize("early", [True, False])
async def test_indication_before_or_after_the_write_response(early: bool) -> None:
    """Both orders occur on real stacks; the indication arrives either way."""
    async with connected() as (air, client):
        arrived: list[bytes] = []
        await client.start_notify("2ad9", lambda _, data: arrived.append(bytes(data)))

        async def answer(_: bytes) -> None:
            if early:
                await air.machine.indicate(0x2AD9, SUCCESS)

        air.machine.on_write = answer
        await client.write_gatt_char("2ad9", GET_CONTROL, response=True)
        assert arrived == [SUCCESS] * early
        if not early:
            await air.machine.indicate(0x2AD9, SUCCESS)
            assert arrived == [SUCCESS]


async def test_notifications_begin_change_hands_and_end() -> None:
    """A second subscription takes over, as on BlueZ; after the end nothing comes."""
    async with connected() as (air, client):
        first: list[bytes] = []
        second: list[bytes] = []
        long = bytes(range(60))
        await client.start_notify("2acd", lambda _, data: first.append(bytes(data)))
        await air.machine.notify(0x2ACD, long)
        await asyncio.sleep(0.1)
        await client.start_notify("2acd", lambda _, data: second.append(bytes(data)))
        await air.machine.notify(0x2ACD, b"\x02")
        await asyncio.sleep(0.1)
        await client.stop_notify("2acd")
        await air.machine.notify(0x2ACD, b"\x03")
        await asyncio.sleep(0.1)
        assert (first, second) == ([long], [b"\x02"])


async def test_link_loss_fails_what_waits_and_what_waits_behind_it() -> None:
    """Requests under way and queued end with a `BleakError` at once, not a `CancelledError`."""
    async with connected() as (air, client):
        air.machine.mute = True
        requests = [
            client.read_gatt_char("2acc"),
            client.write_gatt_char("2ad9", GET_CONTROL, response=True),
            client.read_gatt_char("2ad4"),
        ]
        asyncio.get_running_loop().call_later(1.0, air.drop)
        started_s = asyncio.get_running_loop().time()
        results = await asyncio.gather(*requests, return_exceptions=True)
        assert asyncio.get_running_loop().time() - started_s == pytest.approx(1.0, abs=0.1)
        assert [type(result) for result in results] == [BleakError] * 3


async def test_a_real_cancel_stays_a_cancel() -> None:
    """Whoever is cancelled while waiting sees that, and a timeout sees a timeout."""
    async with connected() as (air, client):
        air.machine.mute = True
        async with asyncio.TaskGroup() as tasks:
            read = tasks.create_task(client.read_gatt_char("2acc"))
            await asyncio.sleep(0.1)
            read.cancel()
        assert read.cancelled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.read_gatt_char("2acc")


async def test_after_the_link_is_lost_everything_is_refused_at_once() -> None:
    """The callback comes once, nothing waits 30 s, and the same client can connect again."""
    lost: list[BleakClient] = []
    async with on_air() as air:
        device = (await find(air.backend, ADDRESS)).device
        client = BleakClient(device, lost.append, **air.backend.client_options)
        await client.connect()
        point = client.services.get_characteristic("2ad9")
        assert point is not None
        air.drop()
        await asyncio.sleep(0.01)
        assert lost == [client]
        assert not client.is_connected
        with pytest.raises(BleakError, match="Discovery"):
            await client.write_gatt_char(point, GET_CONTROL, response=True)
        with pytest.raises(BleakError, match="Not connected"):
            await client._backend.write_gatt_char(point, GET_CONTROL, response=True)
        await client.connect()
        assert await client.read_gatt_char("2acc") == FEATURES
        await client.disconnect()
        assert lost == [client, client]
        assert not air.machine.device.connections


async def test_connecting_to_a_silent_device_times_out_and_leaves_no_trace() -> None:
    """The controller stops trying: it connects to others, and not to that one later."""
    async with on_air() as air:
        device = (await find(air.backend, ADDRESS)).device
        other = await air.another(2, "Other")
        await air.machine.device.stop_advertising()
        silent = BleakClient(device, timeout=3.0, **air.backend.client_options)
        with pytest.raises(TimeoutError):
            await silent.connect()
        await air.machine.advertise()
        found = (await find(air.backend, other.name)).device
        async with BleakClient(found, **air.backend.client_options) as client:
            assert client.is_connected
        assert not air.machine.device.connections


async def test_connecting_by_address() -> None:
    """The address alone is enough, when the device is heard; else it is not found."""
    async with on_air() as air:
        async with BleakClient(ADDRESS.lower(), **air.backend.client_options) as client:
            assert await client.read_gatt_char("2acc") == FEATURES
        nobody = BleakClient("F0:00:00:00:00:00", timeout=2.0, **air.backend.client_options)
        with pytest.raises((BleakDeviceNotFoundError, TimeoutError)):
            await nobody.connect()


async def test_services_can_be_filtered() -> None:
    """Only the services asked for are read."""
    async with on_air() as air:
        device = (await find(air.backend, ADDRESS)).device
        async with BleakClient(device, services=["1826"], **air.backend.client_options) as client:
            assert [service.uuid[4:8] for service in client.services] == ["1826"]


async def test_pairing() -> None:
    """Just works, and the link goes on."""
    async with connected() as (_, client):
        await client.pair()
        assert await client.read_gatt_char("2acc") == FEATURES


async def test_scanner_filters_by_service_and_refuses_a_second() -> None:
    """The scanner of bleak itself: its filter works, and two at a time are refused as on BlueZ."""
    async with on_air() as air:
        options = {
            "backend": air.backend._scanner_options["backend"],
            "bumble": air.backend._scanner_options["bumble"],
        }
        lamp = await air.another(2, "Lamp")
        lamp.service_data = None
        await lamp.advertise(uuid=False)
        async with BleakScanner(
            service_uuids=["00001826-0000-1000-8000-00805f9b34fb"], **options
        ) as scanner:
            await asyncio.sleep(0.2)
            assert [device.address for device in scanner.discovered_devices] == [ADDRESS]
            with pytest.raises(BleakError, match="in progress"):
                await BleakScanner(**options).start()
