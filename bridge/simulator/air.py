"""A virtual radio behind a TCP port: each client gets a fresh controller on it, H4 both ways.

A client that is gone, killed or not, takes its controller and its links with it; whoever was
connected to it sees the link lost. Importing it imports Bumble. Refuses to know what hosts do.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bumble.core import BaseBumbleError
from bumble.transport.common import PacketParser

from bridge.core.errors import LinkError
from bridge.radio import VirtualRadio

_log = logging.getLogger(__name__)

_READ_OCTETS = 4096
_MOST_UNSENT_OCTETS = 1_000_000
"""A host that does not read for this long (hours of telemetry) is gone."""

CLOSE_TIMEOUT_S = 1.0
"""The sockets of this process close at once; a peer that holds one must not hold up the end."""


class _SocketSink:
    """Where a controller's packets go."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def on_packet(self, packet: bytes) -> None:
        transport = self._writer.transport
        if transport.get_write_buffer_size() > _MOST_UNSENT_OCTETS:
            transport.abort()
        elif not transport.is_closing():
            self._writer.write(packet)


@asynccontextmanager
async def serving_air(radio: VirtualRadio, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``radio`` for the length of the block; yields the port, chosen when ``port`` is 0.

    Raises `LinkError` when the address cannot be listened on.
    """
    numbers = itertools.count(1)
    clients: set[asyncio.StreamWriter] = set()
    alone = asyncio.Event()
    alone.set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.add(writer)
        alone.clear()
        try:
            await _serve_host(radio, f"host-{next(numbers)}", reader, writer)
        finally:
            clients.discard(writer)
            writer.close()
            if not clients:
                alone.set()

    try:
        server = await asyncio.start_server(serve, host, port)
    except OSError as error:
        raise LinkError(f"cannot serve the air on {host}:{port}: {error}") from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(clients):
            writer.transport.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await alone.wait()


async def _serve_host(
    radio: VirtualRadio, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    controller = radio.controller(name)
    controller.set_packet_sink(_SocketSink(writer))
    parser = PacketParser(controller)
    _log.info("%s: a host has come from %s", name, writer.get_extra_info("peername"))
    try:
        while octets := await reader.read(_READ_OCTETS):
            parser.feed_data(octets)
    except (OSError, BaseBumbleError) as error:
        _log.info("%s: %s", name, error)
    finally:
        radio.remove(controller)
        _log.info("%s: the host is gone", name)
