"""Models whose departures show only over the air: met with bleak on a virtual radio."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.scanner import AdvertisementData
from bleak.uuids import normalize_uuid_16
from bumble.device import Device

from bridge.bluetooth.bumble_backend import BumbleAdapter, BumbleScanner
from bridge.bluetooth.bumble_client import BumbleClient
from bridge.bluetooth.machine import read_identity
from bridge.clock import LoopClock
from bridge.core.control_codec import decode_status
from bridge.core.ftms import decode_treadmill_data
from bridge.core.matching import match_device
from bridge.device_profile import load_devices
from bridge.radio import VirtualRadio
from bridge.simulator.ftms_server import (
    CONTROL_POINT,
    INCLINE_RANGE,
    MACHINE_STATUS,
    TREADMILL_DATA,
    FtmsServer,
)
from bridge.simulator.gatt import GattTreadmill
from bridge.simulator.model import find_model

pytestmark = pytest.mark.looptime

ADDRESS = "F0:F1:F2:F3:F4:01"
FITNESS_MACHINE = normalize_uuid_16(0x1826)
PROFILES = load_devices()


class Meeting:
    """One model on a radio, and the means to meet it."""

    def __init__(self, ident: str, treadmill: GattTreadmill, bumble: BumbleAdapter) -> None:
        self.model = find_model(ident)
        self.treadmill = treadmill
        self.server = treadmill.server
        self.bumble = bumble
        self.inbox: list[tuple[int, bytes]] = []

    async def seen(self) -> AdvertisementData:
        """What a scan hears of it."""
        async with BleakScanner(backend=BumbleScanner, bumble=self.bumble) as scanner:
            await asyncio.sleep(0.5)
            return scanner.discovered_devices_and_advertisement_data[ADDRESS][1]

    @asynccontextmanager
    async def client(self) -> AsyncIterator[BleakClient]:
        """A connected client."""
        async with BleakClient(ADDRESS, backend=BumbleClient, bumble=self.bumble) as client:
            yield client

    def _receive(self, uuid16: int, _: object, data: bytearray) -> None:
        self.inbox.append((uuid16, bytes(data)))

    async def subscribe(self, client: BleakClient, *uuids: int, spacing_s: float = 0.0) -> None:
        """Notifications and indications into the inbox."""
        for uuid16 in uuids:
            await client.start_notify(normalize_uuid_16(uuid16), partial(self._receive, uuid16))
            await asyncio.sleep(spacing_s)

    async def unlock(self, client: BleakClient) -> None:
        """Write every preamble of the profile."""
        for each in self.model.quirks.preamble:
            await client.write_gatt_char(each.characteristic, each.payload, response=True)

    async def write(self, client: BleakClient, text: str, *, response: bool = True) -> None:
        """A control point write, and a moment."""
        await client.write_gatt_char(
            normalize_uuid_16(CONTROL_POINT), bytes.fromhex(text), response=response
        )
        await asyncio.sleep(0.05)

    def answers(self) -> list[str]:
        """What the control point said."""
        return [raw.hex() for uuid16, raw in self.inbox if uuid16 == CONTROL_POINT]


@asynccontextmanager
async def meeting(ident: str) -> AsyncIterator[Meeting]:
    """A model on the air."""
    radio, clock, model = VirtualRadio(), LoopClock(), find_model(ident)

    @asynccontextmanager
    async def opener() -> AsyncIterator[Device]:
        yield await radio.device("bridge", "C0:C1:C2:C3:C4:C5")

    treadmill = GattTreadmill(
        await radio.device("treadmill", ADDRESS),
        FtmsServer(spec=model.spec, habits=model.habits, now_s=clock.now_s()),
        clock,
        identity=model.identity,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(treadmill.run())
        bumble = BumbleAdapter(opener)
        try:
            yield Meeting(ident, treadmill, bumble)
        finally:
            await bumble.close()
            running.cancel()


@pytest.mark.parametrize("ident", ["yesoul-w2-pro", "dicolar-tr1200", "tunturi-t80", "domyos"])
async def test_what_the_air_tells_finds_the_profile(ident: str) -> None:
    """Name, services and service data as bleak hears them, and texts as they are read."""
    async with meeting(ident) as it:
        heard = await it.seen()
        data = heard.service_data.get(FITNESS_MACHINE)
        async with it.client() as client:
            identity = await read_identity(client, heard.local_name or "")
            services = {service.uuid for service in client.services}
    found = match_device(
        heard.local_name or "", heard.service_uuids, data, identity, PROFILES.values()
    )
    assert found.id == ident
    assert identity == it.model.identity
    if (other := it.model.quirks.other_service) is not None:
        assert other in services
        assert other in heard.service_uuids
    assert data == (it.model.habits.service_data or (None if ident == "domyos" else b"\x01\x01\0"))


async def test_texts_end_in_nul_and_a_range_is_missing() -> None:
    """Yesoul W2 Pro, octet by octet."""
    async with meeting("yesoul-w2-pro") as it, it.client() as client:
        assert await client.read_gatt_char(normalize_uuid_16(0x2A24)) == b"W2PRO\0"
        assert client.services.get_characteristic(normalize_uuid_16(INCLINE_RANGE)) is None


async def test_commands_and_notifications_at_the_control_point() -> None:
    """BH: no Write Request, no indication; a session all the same."""
    async with meeting("bh-fitness") as it, it.client() as client:
        control_point = client.services.get_characteristic(normalize_uuid_16(CONTROL_POINT))
        assert control_point is not None
        assert sorted(control_point.properties) == ["notify", "write-without-response"]
        await it.subscribe(client, CONTROL_POINT, TREADMILL_DATA)
        await it.write(client, "00", response=False)
        await it.write(client, "07", response=False)
        await asyncio.sleep(3)
        await it.write(client, "02c800", response=False)
        await asyncio.sleep(5)
        assert it.answers() == ["800001", "800701", "800201"]
        last = decode_treadmill_data(it.inbox[-1][1])
        assert (last.speed_kmh, last.elapsed_s, last.warning) == (2.0, 0, "trailing")


async def test_indications_are_asked_for_and_notifications_come() -> None:
    """UREVO: the descriptor takes 0x0002, the answer is a notification, twice; bleak hears it."""
    async with meeting("urevo-e1l") as it, it.client() as client:
        control_point = client.services.get_characteristic(normalize_uuid_16(CONTROL_POINT))
        assert control_point is not None
        assert "notify" not in control_point.properties
        await it.subscribe(client, CONTROL_POINT)
        await it.write(client, "00")
        assert it.answers() == ["800001"] * 2
        await client.stop_notify(normalize_uuid_16(CONTROL_POINT))
        await it.subscribe(client, CONTROL_POINT)
        await it.write(client, "0801")
        assert it.answers() == ["800001"] * 2 + ["800804"] * 2, "once each, subscribed anew"


async def test_a_preamble_spaced_subscriptions_and_status_answers() -> None:
    """MC21: all of its manners at once, on a service that is found by its characteristic."""
    async with meeting("kingsmith-mc21") as it, it.client() as client:
        uuids = (CONTROL_POINT, MACHINE_STATUS, TREADMILL_DATA)
        await it.subscribe(client, *uuids, spacing_s=0.3)
        await it.write(client, "00")
        assert it.answers() == ["800005"]
        await it.unlock(client)
        await it.write(client, "00")
        assert it.answers() == ["800005", "800004"]
        it.server.press_start(LoopClock().now_s())
        it.treadmill.nudge()
        await asyncio.sleep(5)
        await it.unlock(client)
        await it.write(client, "02c800")
        told = [decode_status(raw) for uuid16, raw in it.inbox if uuid16 == MACHINE_STATUS]
        assert told[0].stop_or_pause == "stop", "the event of the session before"
        assert told[-1].target_speed_kmh == 2.0
        assert len(it.answers()) == 2


async def test_subscriptions_at_once_are_dropped() -> None:
    """MC21: the descriptor is written, and nothing comes but what was subscribed to first."""
    async with meeting("kingsmith-mc21") as it, it.client() as client:
        await it.subscribe(client, TREADMILL_DATA, MACHINE_STATUS)
        it.server.press_start(LoopClock().now_s())
        it.treadmill.nudge()
        await asyncio.sleep(5)
        assert {uuid16 for uuid16, _ in it.inbox} == {TREADMILL_DATA}


async def test_a_machine_that_needs_unlocking_is_silent_until_then() -> None:
    """Z1: no record before the maker's octets, and records of 11 octets after."""
    async with meeting("kingsmith-z1") as it, it.client() as client:
        await it.subscribe(client, TREADMILL_DATA)
        await asyncio.sleep(3)
        assert it.inbox == []
        await it.unlock(client)
        await asyncio.sleep(3)
        assert {len(raw) for _, raw in it.inbox} == {11}
