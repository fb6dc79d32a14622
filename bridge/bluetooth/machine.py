"""What a machine says of itself right after the connection: identity, features, ranges.

Much of it is missing or wrong on real machines, so whatever cannot be read or understood is left
out. It refuses to know why anybody connects.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakError
from bleak.uuids import normalize_uuid_16

from bridge.core.errors import DecodeError
from bridge.core.ftms import decode_incline_range, decode_speed_range, read_features
from bridge.core.messages import Identity, Machine
from bridge.core.neighbours import decode_text

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

FITNESS_MACHINE_SERVICE = 0x1826
DEVICE_INFORMATION_SERVICE = 0x180A
FEATURES = 0x2ACC
SPEED_RANGE = 0x2AD4
INCLINE_RANGE = 0x2AD5
CONTROL_POINT = 0x2AD9

READ_TIMEOUT_S = 2.0
"""A read takes some 0.2 s on a slow link; a machine that stays mute would hold BlueZ for 30 s."""


def characteristic(
    client: BleakClient, uuid16: int, service16: int = FITNESS_MACHINE_SERVICE
) -> BleakGATTCharacteristic | None:
    """The first such characteristic in such a service (bleak's own look-up refuses two)."""
    service_uuid = normalize_uuid_16(service16)
    for service in client.services:
        if service.uuid == service_uuid and (
            found := service.get_characteristic(normalize_uuid_16(uuid16))
        ):
            return found
    return None


async def read_machine(client: BleakClient, identity: Identity) -> Machine:
    """Features and ranges, read anew at every connect because they can change between two."""
    reads: list[tuple[int, bytes]] = []
    claims = await _read(client, FITNESS_MACHINE_SERVICE, FEATURES, read_features, reads) or {}
    return Machine(
        identity=identity,
        features=frozenset(claims.get("features", ())),
        targets=frozenset(claims.get("targets", ())),
        speed_range=await _read(
            client, FITNESS_MACHINE_SERVICE, SPEED_RANGE, decode_speed_range, reads
        ),
        incline_range=await _read(
            client, FITNESS_MACHINE_SERVICE, INCLINE_RANGE, decode_incline_range, reads
        ),
        controllable=characteristic(client, CONTROL_POINT) is not None,
        reads=tuple(reads),
    )


async def read_identity(client: BleakClient, name: str) -> Identity:
    """Device Information; ``name`` is the advertised one."""

    async def text(uuid16: int) -> str:
        return await _read(client, DEVICE_INFORMATION_SERVICE, uuid16, decode_text) or ""

    return Identity(
        name=name,
        manufacturer=await text(0x2A29),
        model=await text(0x2A24),
        serial=await text(0x2A25),
        hardware=await text(0x2A27),
        firmware=await text(0x2A26),
        software=await text(0x2A28),
    )


async def _read(
    client: BleakClient,
    service16: int,
    uuid16: int,
    decode: Callable[[bytes], _T],
    reads: list[tuple[int, bytes]] | None = None,
) -> _T | None:
    """One value, or ``None`` when it is missing, cannot be read or means nothing.

    What was read goes to ``reads``, whether or not it means anything.
    Raises `BleakError` or `TimeoutError` only when the link is gone.
    """
    found = characteristic(client, uuid16, service16)
    if found is None:
        return None
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            payload = await client.read_gatt_char(found)
        if reads is not None:
            reads.append((uuid16, bytes(payload)))
        return decode(bytes(payload))
    except (BleakError, TimeoutError, DecodeError) as error:
        if not client.is_connected:
            raise
        _log.info("%s: 0x%04X cannot be used: %s", client.address, uuid16, error)
        return None
