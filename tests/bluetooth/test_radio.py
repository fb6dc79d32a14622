"""The virtual radio: each test pins one departure of Bumble's controller that it mends."""

import asyncio
import socket

import pytest
from bumble import hci, ll
from bumble.device import Device

from bridge.core.errors import LinkError
from bridge.radio import VirtualController, VirtualRadio, heeding_cancellation, open_device
from tests.bluetooth.peripheral import ADDRESS, Air, on_air, serve_radio

looptime = pytest.mark.looptime


async def _central(air: Air, number: int) -> Device:
    return await air.radio.device(f"central-{number}", f"C0:00:00:00:00:{number:02d}")


@looptime
async def test_only_active_scans_hear_the_scan_response() -> None:
    """The scan response is its own data, and comes only to who asks for it."""
    async with on_air() as air:
        listener = await _central(air, 1)
        heard: set[bytes] = set()
        listener.on("advertisement", lambda found: heard.add(bytes(found.data)))
        await listener.start_scanning(active=False)
        await asyncio.sleep(0.2)
        assert [b"Tread-01" in data for data in heard] == [False]


@looptime
async def test_dropped_links_end_on_both_sides() -> None:
    """Both hosts see a supervision timeout."""
    async with on_air() as air:
        central = await _central(air, 1)
        connection = await central.connect(ADDRESS)
        reasons: list[int] = []
        await asyncio.sleep(0.01)
        (far,) = air.machine.device.connections.values()
        connection.on("disconnection", reasons.append)
        far.on("disconnection", reasons.append)
        air.drop()
        await asyncio.sleep(0.01)
        assert reasons == [hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR] * 2
        assert not central.connections
        assert not air.machine.device.connections


@looptime
async def test_of_two_who_call_one_is_connected() -> None:
    """A machine takes one central; the other goes on waiting and gets it when it is free."""
    async with on_air() as air:
        first, second = await _central(air, 1), await _central(air, 2)
        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(c.connect(ADDRESS, timeout=None)) for c in (first, second)]
            await asyncio.sleep(1.0)
            assert sorted(call.done() for call in calls) == [False, True]
            assert len(air.machine.device.connections) == 1
            air.drop()
        assert len(air.machine.device.connections) == 1


@looptime
async def test_data_follow_the_link_when_the_address_changes() -> None:
    """BlueZ changes its random address for every scan; a standing link must not notice."""
    async with on_air() as air:
        central = await _central(air, 1)
        connection = await central.connect(ADDRESS)
        air.radio.controller_of(central).random_address = hci.Address("C0:00:00:00:00:77")
        arrived: list[bytes] = []
        async with asyncio.timeout(5.0):
            services = await connection.gatt_client.discover_services()
            arrived.extend(bytes(service.uuid.to_bytes()) for service in services)
        assert b"\x26\x18" in arrived


@looptime
async def test_reset_silences_a_controller() -> None:
    """After HCI_Reset: no scan, no advertising, and the far end of its links sees the loss."""
    async with on_air() as air:
        central = await _central(air, 1)
        connection = await central.connect(ADDRESS)
        lost: list[int] = []
        connection.on("disconnection", lost.append)
        await air.machine.device.host.send_sync_command(hci.HCI_Reset_Command())
        await asyncio.sleep(1.0)
        assert lost == [hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR]
        controller = air.radio.controller_of(air.machine.device)
        assert not controller.le_legacy_advertiser.enabled
        assert not controller.le_connections


@looptime
async def test_advertising_reaches_only_those_who_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred idle controllers cost an advertiser nothing."""
    received: list[str] = []
    original = VirtualController.on_ll_advertising_pdu

    def count(controller: VirtualController, packet: ll.AdvertisingPdu) -> None:
        received.append(controller.name)
        original(controller, packet)

    monkeypatch.setattr(VirtualController, "on_ll_advertising_pdu", count)
    async with on_air() as air:
        await _central(air, 1)
        listener = await _central(air, 2)
        await listener.start_scanning()
        await asyncio.sleep(0.2)
    assert set(received) == {"central-2"}


@looptime
async def test_a_removed_controller_is_gone() -> None:
    """Its links are lost at the far end, and nothing finds its address."""
    async with on_air() as air:
        central = await _central(air, 1)
        connection = await central.connect(ADDRESS)
        lost: list[int] = []
        connection.on("disconnection", lost.append)
        air.radio.remove(air.radio.controller_of(air.machine.device))
        await asyncio.sleep(0.01)
        assert len(lost) == 1
        assert air.radio.find_le_controller(hci.Address(ADDRESS)) is None


async def test_open_device_over_tcp() -> None:
    """A device on a controller behind TCP works, and leaves it silent when it is closed."""
    async with serve_radio(VirtualRadio()) as server:
        async with open_device(server.transport, address="C4:00:00:00:00:01") as device:
            await device.start_advertising()
            (controller,) = server.controllers
            assert controller.le_legacy_advertiser.enabled
            assert str(controller.random_address) == "C4:00:00:00:00:01"
        assert not controller.le_legacy_advertiser.enabled


async def test_no_controller_behind_the_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that listens but speaks no HCI is given up after the timeout."""
    monkeypatch.setattr("bridge.radio.POWER_ON_TIMEOUT_S", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as deaf,
        pytest.raises(LinkError, match="no controller answers"),
    ):
        async with open_device(f"tcp-client:127.0.0.1:{deaf.getsockname()[1]}"):
            pass


async def test_a_cancelled_request_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """Whenever it is cancelled: the answer may be there already, in the same turn of the loop."""
    device = await VirtualRadio().device("central", "C0:00:00:00:00:01")
    cancelled = 0

    async def ask(command: hci.HCI_SyncCommand[hci.HCI_StatusReturnParameters]) -> None:
        with heeding_cancellation():
            await device.host.send_sync_command(command)

    for turns in range(20):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ask(hci.HCI_Reset_Command()))
            for _ in range(turns):
                await asyncio.sleep(0)
            done = task.done()
            task.cancel()
        assert task.cancelled() is not done
        cancelled += task.cancelled()
        # Its answer may still be on the way; it is not the next one's.
        version = await device.host.send_sync_command(hci.HCI_LE_Rand_Command())
        assert isinstance(version, hci.HCI_LE_Rand_ReturnParameters)
    assert cancelled > 1
    assert caplog.records == []
