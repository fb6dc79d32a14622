"""A small fitness machine on the virtual radio, for these tests alone: no belt, no rules.

It says what it is told to and remembers what is written to it. Independent of the simulator, so
that a mistake there cannot hide one here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bumble.att import ATT_Error, Attribute
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.transport.common import PacketParser, StreamPacketSink

from bridge.bluetooth.backend import Backend, open_backend
from bridge.radio import VirtualController, VirtualRadio

ADDRESS = "F0:F1:F2:F3:F4:01"
SPEED_RANGE = bytes.fromhex("32002c010a00")  # 0.5 .. 3.0 km/h, step 0.1
INCLINE_RANGE = bytes.fromhex("000096000500")  # 0 .. 15 %, step 0.5
FEATURES = bytes.fromhex("0c00000003000000")  # distance and incline; targets speed and incline
MANUFACTURER_DATA = bytes.fromhex("e502aabb")

_READABLE = Attribute.Permissions.READABLE
_WRITEABLE = Attribute.Permissions.WRITEABLE
_P = Characteristic.Properties


class Peripheral:
    """Characteristics by their 16-bit UUID; ``without`` leaves some of them out.

    ``on_write`` sees each control-point write before it is answered and may raise `ATT_Error`;
    ``mute`` lets reads and writes wait for an answer for ever.
    """

    def __init__(self, device: Device, name: str, *, without: frozenset[int] = frozenset()) -> None:
        self.device = device
        self.name = name
        self.writes: list[bytes] = []
        self.mute = False
        self.unreadable: set[int] = set()
        self.on_write: Callable[[bytes], Coroutine[None, None, None] | None] | None = None
        self.service_data: bytes | None = bytes.fromhex("010100")
        self.characteristics: dict[int, Characteristic[bytes]] = {}
        write = CharacteristicValue[bytes](write=self._write)
        ftms = [
            self._value(0x2ACC, FEATURES),
            self._value(0x2AD4, SPEED_RANGE),
            self._value(0x2AD5, INCLINE_RANGE),
            self._add(0x2ACD, _P.NOTIFY, _READABLE, b""),
            self._add(0x2ADA, _P.NOTIFY, _READABLE, b""),
            self._add(0x2AD3, _P.NOTIFY | _P.READ, _READABLE, b"\x00\x01"),
            self._add(0x2AD9, _P.WRITE | _P.INDICATE, _WRITEABLE, write),
        ]
        information = [self._value(0x2A29, b"Tests"), self._value(0x2A24, b"Belt 1\x00")]
        for uuid16, found in ((0x1826, ftms), (0x180A, information)):
            kept = [c for c in found if int.from_bytes(c.uuid.to_bytes(), "little") not in without]
            device.add_service(Service(UUID.from_16_bits(uuid16), kept))

    def _value(self, uuid16: int, value: bytes) -> Characteristic[bytes]:
        async def read(_: Connection) -> bytes:
            if self.mute:
                await asyncio.Event().wait()
            if uuid16 in self.unreadable:
                raise ATT_Error(0x80)
            return value

        return self._add(uuid16, _P.READ, _READABLE, CharacteristicValue[bytes](read=read))

    def _add(
        self,
        uuid16: int,
        properties: Characteristic.Properties,
        permissions: Attribute.Permissions,
        value: bytes | CharacteristicValue[bytes],
    ) -> Characteristic[bytes]:
        characteristic = Characteristic[bytes](
            UUID.from_16_bits(uuid16), properties, permissions, value
        )
        self.characteristics[uuid16] = characteristic
        return characteristic

    async def _write(self, _: Connection, value: bytes) -> None:
        self.writes.append(value)
        if self.mute:
            await asyncio.Event().wait()
        if self.on_write is not None and (more := self.on_write(value)) is not None:
            await more

    async def advertise(self, *, uuid: bool = True) -> None:
        """Be found: the service in the advertisement, the name in the scan response."""
        field = AdvertisingData.Type
        told = [(int(field.FLAGS), b"\x06")]
        if uuid:
            told.append((int(field.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS), b"\x26\x18"))
        if self.service_data is not None:
            told.append((int(field.SERVICE_DATA_16_BIT_UUID), b"\x26\x18" + self.service_data))
        told.append((int(field.MANUFACTURER_SPECIFIC_DATA), MANUFACTURER_DATA))
        name = [(int(field.COMPLETE_LOCAL_NAME), self.name.encode())]
        await self.device.start_advertising(
            auto_restart=True,
            advertising_data=bytes(AdvertisingData(told)),
            scan_response_data=bytes(AdvertisingData(name)),
            advertising_interval_min=20,
            advertising_interval_max=20,
        )

    async def notify(self, uuid16: int, payload: bytes) -> None:
        """Send a notification to whoever subscribed."""
        await self.device.notify_subscribers(self.characteristics[uuid16], payload)

    async def indicate(self, uuid16: int, payload: bytes) -> None:
        """Send an indication to whoever subscribed; returns with their confirmation."""
        await self.device.indicate_subscribers(self.characteristics[uuid16], payload)


@dataclass
class Air:
    """A radio with a machine that advertises and a bridge in reach of it."""

    radio: VirtualRadio
    backend: Backend
    machine: Peripheral

    def drop(self) -> None:
        """Take the machine out of reach for a moment."""
        self.radio.drop_links(self.machine.device)

    async def another(self, number: int, name: str) -> Peripheral:
        """One more machine that advertises."""
        device = await self.radio.device(name, f"{ADDRESS[:-2]}{number:02d}")
        peripheral = Peripheral(device, name)
        await peripheral.advertise()
        return peripheral


@asynccontextmanager
async def on_air(without: frozenset[int] = frozenset()) -> AsyncIterator[Air]:
    """The scene of most tests. No fixture: those run before virtual time begins."""
    radio = VirtualRadio()
    machine = Peripheral(await radio.device("machine", ADDRESS), "Tread-01", without=without)
    await machine.advertise()
    bridge = await radio.device("bridge", "C0:C1:C2:C3:C4:C5")
    async with open_backend("bumble", device=bridge) as backend:
        yield Air(radio, backend, machine)


@dataclass
class RadioServer:
    """Controllers on a radio, served as HCI over TCP: a fresh one for each client."""

    transport: str
    controllers: list[VirtualController]
    connections: list[asyncio.StreamWriter]

    def cut(self) -> None:
        """Close every connection."""
        for writer in self.connections:
            writer.close()


@asynccontextmanager
async def serve_radio(radio: VirtualRadio) -> AsyncIterator[RadioServer]:
    """A radio in another process, as far as its clients can tell."""
    served = RadioServer("", [], [])
    async with asyncio.TaskGroup() as clients:

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            controller = radio.controller("served")
            controller.host = StreamPacketSink(writer.transport)
            served.controllers.append(controller)
            served.connections.append(writer)
            parser = PacketParser(controller)
            while data := await reader.read(4096):
                parser.feed_data(data)
            radio.remove(controller)
            writer.close()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            clients.create_task(carry(reader, writer))

        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            served.transport = f"tcp-client:127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield served
        served.cut()
