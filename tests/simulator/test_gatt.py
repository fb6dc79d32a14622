"""The simulated treadmill over a virtual radio, met with bleak; time is virtual here too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakGATTProtocolError
from bleak.uuids import normalize_uuid_16
from bumble.device import Device

from bridge.bluetooth.bumble_backend import BumbleAdapter, BumbleScanner
from bridge.bluetooth.bumble_client import BumbleClient
from bridge.clock import LoopClock, PacedClock
from bridge.core.ftms import RecordJoiner, decode_treadmill_data
from bridge.core.neighbours import read_service_data
from bridge.radio import VirtualRadio
from bridge.simulator.belt import Motion
from bridge.simulator.ftms_server import (
    CONTROL_POINT,
    HEART_RATE,
    MACHINE_STATUS,
    REBOOT_S,
    TREADMILL_DATA,
    FtmsServer,
)
from bridge.simulator.gatt import GattTreadmill
from bridge.simulator.habits import parse_fault
from bridge.simulator.machine import Incident

pytestmark = pytest.mark.looptime

ADDRESS = "F0:F1:F2:F3:F4:01"
FITNESS_MACHINE = normalize_uuid_16(0x1826)


class Scene:
    """A radio, one treadmill on it, and the means to meet it."""

    def __init__(
        self, radio: VirtualRadio, treadmill: GattTreadmill, bumble: BumbleAdapter
    ) -> None:
        self.radio = radio
        self.treadmill = treadmill
        self.server = treadmill.server
        self.bumble = bumble
        self.inbox: list[tuple[int, bytes]] = []
        self._arrived = asyncio.Event()

    def fault(self, text: str) -> None:
        """Set a fault now."""
        self.server.set_fault(parse_fault(text), LoopClock().now_s())
        self.treadmill.nudge()

    async def seen(self, seconds: float = 0.5) -> dict[str, Any]:
        """What a scan hears: address to advertisement."""
        async with BleakScanner(backend=BumbleScanner, bumble=self.bumble) as scanner:
            await asyncio.sleep(seconds)
            return {
                device.address: data
                for device, data in (scanner.discovered_devices_and_advertisement_data.values())
            }

    @asynccontextmanager
    async def client(self) -> AsyncIterator[BleakClient]:
        """A connected client that keeps all it is sent."""
        async with BleakClient(ADDRESS, backend=BumbleClient, bumble=self.bumble) as client:
            yield client

    def _receive(self, uuid16: int, _: object, data: bytearray) -> None:
        self.inbox.append((uuid16, bytes(data)))
        self._arrived.set()

    async def subscribe(self, client: BleakClient, *uuids: int) -> None:
        """Notifications and indications into the inbox."""
        for uuid16 in uuids:
            await client.start_notify(
                normalize_uuid_16(uuid16),
                partial(self._receive, uuid16),
            )

    async def ask(self, client: BleakClient, request: str) -> str:
        """Write a request, wait for the answer."""
        self.inbox.clear()
        await client.write_gatt_char(
            normalize_uuid_16(CONTROL_POINT), bytes.fromhex(request), response=True
        )
        async with asyncio.timeout(1):
            while not (answers := [raw for uuid16, raw in self.inbox if uuid16 == CONTROL_POINT]):
                self._arrived.clear()
                await self._arrived.wait()
        return answers[0].hex()


@asynccontextmanager
async def scene(
    *faults: str, heart_rate_bpm: int | None = None, incidents: list[Incident] | None = None
) -> AsyncIterator[Scene]:
    """A treadmill that runs for the length of the block."""
    radio = VirtualRadio()
    device = await radio.device("treadmill", ADDRESS)

    @asynccontextmanager
    async def opener() -> AsyncIterator[Device]:
        yield await radio.device("bridge", "C0:C1:C2:C3:C4:C5")

    server = FtmsServer(
        faults=[parse_fault(fault) for fault in faults],
        heart_rate_bpm=heart_rate_bpm,
        now_s=LoopClock().now_s(),
    )
    treadmill = GattTreadmill(
        device,
        server,
        LoopClock(),
        drop_links=lambda: radio.drop_links(device),
        on_incident=incidents.append if incidents is not None else None,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(treadmill.run())
        bumble = BumbleAdapter(opener)
        try:
            yield Scene(radio, treadmill, bumble)
        finally:
            await bumble.close()
            running.cancel()


async def test_advertises_as_a_fitness_machine() -> None:
    """Service, service data with the treadmill bit, and the name from the scan response."""
    async with scene() as it:
        data = (await it.seen())[ADDRESS]
    assert data.local_name == "Retrowalk Sim"
    assert data.service_uuids == [FITNESS_MACHINE]
    assert read_service_data(data.service_data[FITNESS_MACHINE]) == {
        "available": True,
        "machine_types": ["treadmill"],
    }


async def test_no_service_data() -> None:
    """The fault leaves the service itself in the advertisement."""
    async with scene("no-service-data") as it:
        data = (await it.seen())[ADDRESS]
    assert data.service_uuids == [FITNESS_MACHINE]
    assert data.service_data == {}


async def test_database_has_the_right_properties() -> None:
    """FTMS table 4.1, and the six texts of Device Information."""
    async with scene() as it, it.client() as client:
        service = client.services.get_service(FITNESS_MACHINE)
        assert service is not None
        found = {each.uuid[4:8]: sorted(each.properties) for each in service.characteristics}
        assert found == {
            "2acc": ["read"],
            "2acd": ["notify"],
            "2ad3": ["notify", "read"],
            "2ad4": ["read"],
            "2ad5": ["read"],
            "2ad9": ["indicate", "write"],
            "2ada": ["notify"],
        }
        model = await client.read_gatt_char(normalize_uuid_16(0x2A24))
        assert model == b"Simulated treadmill"
        assert (await client.read_gatt_char(normalize_uuid_16(0x2AD4))).hex() == "3200b0040a00"
        assert client.services.get_service(normalize_uuid_16(0x180D)) is None


async def test_heart_rate_service_when_there_is_one() -> None:
    """Advertised, present, and told with the records."""
    async with scene(heart_rate_bpm=101) as it:
        assert normalize_uuid_16(0x180D) in (await it.seen())[ADDRESS].service_uuids
        async with it.client() as client:
            await it.subscribe(client, HEART_RATE)
            await asyncio.sleep(2.5)
    assert it.inbox == [(HEART_RATE, b"\x00\x65")] * 2


async def test_no_ranges() -> None:
    """The characteristics are missing; taken away later, reading them fails (ATT 0x0A)."""
    async with scene("no-ranges") as it, it.client() as client:
        assert client.services.get_characteristic(normalize_uuid_16(0x2AD4)) is None
        assert client.services.get_characteristic(normalize_uuid_16(0x2ACC)) is not None
    async with scene() as it, it.client() as client:
        it.fault("no-ranges")
        with pytest.raises(BleakGATTProtocolError) as caught:
            await client.read_gatt_char(normalize_uuid_16(0x2AD4))
        assert caught.value.code == 0x0A


async def test_a_session_from_control_to_rest() -> None:
    """Control, start, speed, telemetry at 1 Hz, stop; events beside; all of it in the journal."""
    incidents: list[Incident] = []
    async with scene(incidents=incidents) as it, it.client() as client:
        await it.subscribe(client, TREADMILL_DATA, MACHINE_STATUS, CONTROL_POINT)
        assert [await it.ask(client, request) for request in ("00", "07")] == ["800001", "800701"]
        await asyncio.sleep(3)
        assert await it.ask(client, "02c800") == "800201"
        await asyncio.sleep(0.5)  # away from the moments of the records
        it.inbox.clear()
        await asyncio.sleep(10)
        speeds = [decode_treadmill_data(raw).speed_kmh for uuid, raw in it.inbox if uuid == 0x2ACD]
        assert speeds[-1] == 2.0
        assert len(speeds) == 10
        assert await it.ask(client, "0801") == "800801"
        await asyncio.sleep(4)
        assert decode_treadmill_data(it.inbox[-1][1]).speed_kmh == 0
        assert (MACHINE_STATUS, b"\x02\x01") in it.inbox
    assert [each.payload.hex() for each in incidents if each.kind == "write"] == [
        "00",
        "07",
        "02c800",
        "0801",
    ]


async def test_the_write_response_comes_before_the_indication() -> None:
    """The write returns first; the answer follows in a later turn of the loop."""
    async with scene() as it, it.client() as client:
        await it.subscribe(client, CONTROL_POINT)
        await client.write_gatt_char(normalize_uuid_16(CONTROL_POINT), b"\x00", response=True)
        assert it.inbox == []
        await asyncio.sleep(0.01)
        assert it.inbox == [(CONTROL_POINT, b"\x80\x00\x01")]


async def test_att_errors_reach_the_client() -> None:
    """0xFD without a subscription, 0x0D for nothing at all."""
    async with scene() as it, it.client() as client:
        for payload, code in ((b"\x00", 0xFD), (b"", 0x0D)):
            with pytest.raises(BleakGATTProtocolError) as caught:
                await client.write_gatt_char(
                    normalize_uuid_16(CONTROL_POINT), payload, response=True
                )
            assert caught.value.code == code


async def test_one_central_at_a_time_and_back_on_air_when_it_left() -> None:
    """Connected it is not heard; afterwards it is, and a session can begin anew."""
    async with scene() as it:
        async with it.client() as client:
            await it.subscribe(client, CONTROL_POINT)
            assert await it.ask(client, "00") == "800001"
            assert ADDRESS not in await it.seen()
        assert not it.server.controlled
        assert ADDRESS in await it.seen()
        async with it.client() as client:
            await it.subscribe(client, CONTROL_POINT)
            assert await it.ask(client, "07") == "800705"


async def test_drop_link_and_reconnect() -> None:
    """Both ends see the loss; an answer that waited is gone; the belt runs on meanwhile."""
    async with scene() as it:
        async with it.client() as client:
            await it.subscribe(client, CONTROL_POINT)
            await it.ask(client, "00")
            await it.ask(client, "07")
            it.fault("drop-link:5")
            await asyncio.sleep(5.1)
            assert not client.is_connected
        async with it.client() as client:
            await it.subscribe(client, TREADMILL_DATA)
            it.inbox.clear()
            await asyncio.sleep(1.1)
            assert decode_treadmill_data(it.inbox[0][1]).speed_kmh == 0.5


async def test_reboot_is_off_the_air_for_a_while() -> None:
    """Link lost, nothing heard while it boots, found again afterwards, at rest."""
    async with scene() as it:
        async with it.client() as client:
            it.fault("reboot:0")
            await asyncio.sleep(0.1)
            assert not client.is_connected
        assert ADDRESS not in await it.seen(REBOOT_S - 0.5)
        assert ADDRESS in await it.seen(1.0)


async def test_a_lost_link_does_not_hold_up_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An indication whose client vanished is given up at once, not after Bumble's 30 s."""
    async with scene() as it:
        async with it.client() as client:
            await it.subscribe(client, CONTROL_POINT)
            [link] = (await it.bumble.device()).connections.values()
            monkeypatch.setattr(link.gatt_client, "on_att_handle_value_indication", lambda _: None)
            await client.write_gatt_char(normalize_uuid_16(CONTROL_POINT), b"\x00", response=True)
            await asyncio.sleep(1)
            assert len(it.treadmill._indicating) == 1
            it.radio.drop_links(it.treadmill._device)
            await asyncio.sleep(0.1)
            assert it.treadmill._indicating == set()
        async with it.client() as client:
            await it.subscribe(client, CONTROL_POINT)
            assert await it.ask(client, "00") == "800001"


async def test_split_records_over_the_air() -> None:
    """The fragments arrive in order and join to whole records."""
    async with scene("split-records") as it, it.client() as client:
        await it.subscribe(client, TREADMILL_DATA)
        await asyncio.sleep(3.5)
    joiner = RecordJoiner()
    whole = [joiner.push(decode_treadmill_data(raw), 0.0) for _, raw in it.inbox]
    assert [reading is not None for reading in whole] == [False, True] * 3
    assert whole[1] is not None
    assert whole[1].elapsed_s == 0


async def test_the_end_lets_the_central_go() -> None:
    """Stopping the simulation disconnects in order."""
    async with scene() as it:
        client = BleakClient(ADDRESS, backend=BumbleClient, bumble=it.bumble)
        await client.connect()
        gone = asyncio.Event()
        it.treadmill._device.connections[next(iter(it.treadmill._device.connections))].on(
            "disconnection", lambda _: gone.set()
        )
    assert gone.is_set()


async def test_a_controller_that_is_lost_ends_the_run() -> None:
    """`run` returns when the way to the controller is gone."""
    radio = VirtualRadio()
    device = await radio.device("treadmill", ADDRESS)
    treadmill = GattTreadmill(device, FtmsServer(now_s=LoopClock().now_s()), LoopClock())
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(treadmill.run())
        await asyncio.sleep(1)
        device.host.emit("flush")


async def test_keeps_the_time_of_its_clock() -> None:
    """On a clock ten times as fast, ten records come in a second."""
    radio = VirtualRadio()
    device = await radio.device("treadmill", ADDRESS)
    clock = PacedClock(10)
    treadmill = GattTreadmill(device, FtmsServer(now_s=clock.now_s()), clock)
    central = await radio.device("central", "C0:C1:C2:C3:C4:C5")
    async with asyncio.TaskGroup() as tasks, clock.running():
        running = tasks.create_task(treadmill.run())
        await central.connect(ADDRESS)
        treadmill.server.press_start(clock.now_s())
        treadmill.nudge()
        await asyncio.sleep(1)
        running.cancel()
    assert treadmill.server.belt.motion is Motion.RUNNING
    assert treadmill.server.belt.elapsed_s == pytest.approx(9, abs=0.5)
