"""The virtual radio over TCP: fresh controllers, lost links, several hosts. Sockets are real."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from bumble.core import UUID
from bumble.device import Device, Peer

from bridge.clock import LoopClock
from bridge.core.errors import LinkError
from bridge.radio import VirtualRadio, open_device
from bridge.simulator.air import serving_air
from bridge.simulator.ftms_server import FtmsServer
from bridge.simulator.gatt import GattTreadmill

ADDRESS = "F0:F1:F2:F3:F4:01"


@asynccontextmanager
async def air() -> AsyncIterator[tuple[VirtualRadio, GattTreadmill, int]]:
    """A served radio with one treadmill."""
    radio = VirtualRadio()
    device = await radio.device("treadmill", ADDRESS)
    treadmill = GattTreadmill(device, FtmsServer(now_s=LoopClock().now_s()), LoopClock())
    async with serving_air(radio, "127.0.0.1", 0) as port, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(treadmill.run())
        yield radio, treadmill, port
        running.cancel()


@asynccontextmanager
async def host(port: int) -> AsyncIterator[Device]:
    """Somebody's Bluetooth stack on a controller of this air."""
    async with open_device(f"tcp-client:127.0.0.1:{port}", "host") as device:
        yield device


async def until(happened: asyncio.Event) -> None:
    """Within five seconds."""
    async with asyncio.timeout(5):
        await happened.wait()


async def heard(device: Device) -> None:
    """The treadmill advertises."""
    found = asyncio.Event()
    device.on(
        Device.EVENT_ADVERTISEMENT,
        lambda seen: found.set() if ADDRESS in str(seen.address) else None,
    )
    await device.start_scanning()
    await until(found)
    await device.stop_scanning()


async def test_a_host_over_tcp_connects_and_reads() -> None:
    """Scan, connect, discovery and a read through the socket."""
    async with air() as (_, _, port), host(port) as device:
        await heard(device)
        async with asyncio.timeout(5):
            connection = await device.connect(ADDRESS)
            peer = Peer(connection)
            await peer.discover_all()  # type: ignore[no-untyped-call]
            [ranges] = peer.get_characteristics_by_uuid(UUID.from_16_bits(0x2AD4))
            assert bytes(await ranges.read_value()).hex() == "3200b0040a00"


async def test_a_host_that_is_killed_lets_the_treadmill_go() -> None:
    """The socket closes without a word: the link is lost, and the next host finds the machine."""
    async with air() as (radio, treadmill, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()  # a client that says nothing at all
        await reader.read()
        async with host(port) as device:
            async with asyncio.timeout(5):
                await device.connect(ADDRESS)
            lost = asyncio.Event()
            [link] = treadmill._device.connections.values()
            link.on("disconnection", lambda _: lost.set())
            sink = device.host.hci_sink
            sink.transport.abort()  # type: ignore[union-attr]
            await until(lost)
        assert not treadmill.server.connected
        async with host(port) as device:
            await heard(device)
        async with asyncio.timeout(5):
            while len(radio.controllers) > 1:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)


async def test_two_hosts_at_once_each_have_their_own_controller() -> None:
    """One connects; the other hears nothing of a machine that is taken, then gets it."""
    async with air() as (_, treadmill, port), host(port) as one, host(port) as two:
        await heard(two)
        async with asyncio.timeout(5):
            connection = await one.connect(ADDRESS)
            waiting = asyncio.Event()
            two.on(Device.EVENT_CONNECTION, lambda _: waiting.set())
            async with asyncio.TaskGroup() as tasks:
                second = tasks.create_task(two.connect(ADDRESS))
                await asyncio.sleep(0.3)
                assert not waiting.is_set()
                await connection.disconnect()
                await second
        assert treadmill.server.connected


async def test_garbage_closes_the_socket_and_nothing_else() -> None:
    """A client that speaks no H4 is shown the door."""
    async with air() as (_, _, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
        async with host(port) as device:
            await heard(device)


async def test_a_taken_port_is_a_link_error() -> None:
    """The message names the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LinkError, match=f"127.0.0.1:{port}"):
            async with serving_air(VirtualRadio(), "127.0.0.1", port):
                pass
