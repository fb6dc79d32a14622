"""The connection to one treadmill: found, connected, listened to, and connected again.

Everything the machine says goes onto the `Inbox` with the time it came, and every write is answered
there. What to write and what the bytes mean for a walker it refuses to know; it reads only what a
machine says of itself at connect. Whether data are stale is the pilot's to judge: it calls
`TreadmillLink.restart`.
"""

import asyncio
import logging
from collections.abc import Callable

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakError, BleakGATTProtocolError, BleakGATTProtocolErrorCode

from bridge.bluetooth.backend import Backend
from bridge.bluetooth.connection import RADIO_ERRORS, Connection
from bridge.bluetooth.inbox import TREADMILL_DATA, Inbox
from bridge.bluetooth.machine import CONTROL_POINT, characteristic, read_identity, read_machine
from bridge.bluetooth.scan import Seen
from bridge.clock import Clock
from bridge.core.errors import LinkError
from bridge.core.messages import (
    ControlPointWrite,
    Identity,
    LinkDown,
    LinkUp,
    Notification,
    WriteOutcome,
)
from bridge.core.quirks import STANDARD, Quirks, speaks_ftms

_log = logging.getLogger(__name__)

ChooseDevice = Callable[[Seen, Identity], tuple[str, Quirks]]
"""Names the device profile that fits a machine, with its departures from FTMS."""

MACHINE_STATUS = 0x2ADA
TRAINING_STATUS = 0x2AD3
# Treadmill Data last: it comes by itself, the others can be missed.
_SUBSCRIPTIONS = (CONTROL_POINT, MACHINE_STATUS, TRAINING_STATUS, TREADMILL_DATA)
_REQUIRED = (CONTROL_POINT, TREADMILL_DATA)

SUBSCRIBE_TIMEOUT_S = 5.0
"""BlueZ takes 3 to 36 ms; a machine that does not answer would hold it for 30 s."""
WRITE_TIMEOUT_S = 3.0
"""As long as the core waits for a procedure (the slowest real answer known took 0.84 s)."""


class _Gate:
    """Between notifications and the inbox: closed until the link is announced, and after it.

    What comes early waits, because the pilot must hear of the link first; early measurements are
    let go, because they would look younger than they are.
    """

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._early: list[Notification] = []
        self._is_open = False
        self._is_shut = False

    def receive(self, uuid16: int, payload: bytes) -> None:
        frame = Notification(uuid16, payload)
        if self._is_open:
            self._inbox.put(self._clock.now_s(), frame)
        elif not self._is_shut and uuid16 != TREADMILL_DATA:
            self._early.append(frame)

    def open(self, link_up: LinkUp) -> None:
        now_s = self._clock.now_s()
        self._inbox.put(now_s, link_up)
        for frame in self._early:
            self._inbox.put(now_s, frame)
        self._is_open = True

    def shut(self, detail: str) -> None:
        if self._is_open:
            self._inbox.put(self._clock.now_s(), LinkDown(detail=detail))
        self._is_open, self._is_shut = False, True


class TreadmillLink(Connection):
    """One treadmill, by address or name, kept connected as long as `run` runs.

    With ``max_attempts`` so many failures in a row end `run`; without, it looks for ever, because
    a treadmill is off most of the day.
    """

    def __init__(
        self,
        backend: Backend,
        target: str,
        inbox: Inbox,
        clock: Clock,
        *,
        choose: ChooseDevice = lambda _seen, _identity: ("standard", STANDARD),
        max_attempts: int | None = None,
    ) -> None:
        super().__init__(backend, target, max_attempts=max_attempts)
        self._choose = choose
        self._quirks = STANDARD
        self._inbox = inbox
        self._clock = clock
        self._identity: tuple[str, Identity] | None = None
        self._client: BleakClient | None = None
        self._control_point: BleakGATTCharacteristic | None = None
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Connect, hold, and connect again, until cancelled.

        Raises `LinkError` once ``max_attempts`` are used up. Writes still under way at the end
        are given up: stop the belt first.
        """
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                failure = await self._keep_connected()
            finally:
                self._tasks = None
        raise failure

    def write(self, request: ControlPointWrite) -> None:
        """Write to the control point, now; a `WriteOutcome` follows on the inbox.

        Each write is a task of its own: it waits for no earlier one here.
        """
        client, control_point, tasks = self._client, self._control_point, self._tasks
        if client is None or control_point is None or tasks is None:
            error = "not connected" if client is None else "the machine has no control point"
            self._answer(WriteOutcome(write_id=request.write_id, error=error))
            return
        tasks.create_task(
            self._write(client, control_point, request), name=f"write-{request.write_id}"
        )

    async def _hold(self, client: BleakClient, seen: Seen, over: asyncio.Event) -> float:
        gate = _Gate(self._inbox, self._clock)
        try:
            link_up = await self._prepare(client, seen, gate)
            self._client = client
            self._control_point = characteristic(client, CONTROL_POINT)
            self.problem = ""
            gate.open(link_up)
            name = seen.name or seen.address
            _log.info("%s: connected (%s, device profile %s)", self._target, name, link_up.device)
            up_s = asyncio.get_running_loop().time()
            await over.wait()
            return asyncio.get_running_loop().time() - up_s
        finally:
            self._client = self._control_point = None
            gate.shut(self._over_because)

    async def _prepare(self, client: BleakClient, seen: Seen, gate: _Gate) -> LinkUp:
        """Read what the machine says of itself and turn its notifications on, in its own manner."""
        if self._identity is None or self._identity[0] != seen.address:
            self._identity = seen.address, await read_identity(client, seen.name)
        identity = self._identity[1]
        device, quirks = self._choose(seen, identity)
        if not speaks_ftms(quirks, [service.uuid for service in client.services]):
            raise LinkError(f"{seen.name or seen.address} has FTMS as a facade only ({device})")
        self._quirks = quirks
        await self._unlock(client, "connect")
        machine = await read_machine(client, identity)
        for uuid16 in _SUBSCRIPTIONS:
            if (found := characteristic(client, uuid16)) is not None:
                await self._subscribe(client, found, uuid16, gate)
                await asyncio.sleep(quirks.cccd_spacing_ms / 1000)
            elif uuid16 == TREADMILL_DATA:
                raise LinkError(f"{seen.address} is no FTMS treadmill: it has no Treadmill Data")
        return LinkUp(machine=machine, device=device)

    async def _unlock(self, client: BleakClient, at: str) -> None:
        """The octets some machines want first, on a characteristic of their maker's."""
        for preamble in self._quirks.preamble:
            if preamble.at != at:
                continue
            found = client.services.get_characteristic(preamble.characteristic)
            if found is None:
                _log.info("%s: no characteristic %s", self._target, preamble.characteristic)
                continue
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await client.write_gatt_char(
                    found, preamble.payload, response="write" in found.properties
                )

    async def _subscribe(
        self, client: BleakClient, found: BleakGATTCharacteristic, uuid16: int, gate: _Gate
    ) -> None:
        # A plain function: with a coroutine bleak starts a task each, and frames overtake.
        def receive(_: BleakGATTCharacteristic, payload: bytearray) -> None:
            gate.receive(uuid16, bytes(payload))

        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                await client.start_notify(found, receive)
        except (BleakError, TimeoutError) as error:
            if uuid16 in _REQUIRED or not client.is_connected:
                raise
            _log.info("%s: no notifications of 0x%04X: %s", self._target, uuid16, error)

    @property
    def _confirmed(self) -> bool:
        """Whether control-point writes ask for a Write Response (FTMS v1.0 section 4.16.2: yes)."""
        return self._quirks.write_mode == "with-response"

    async def _write(
        self, client: BleakClient, found: BleakGATTCharacteristic, request: ControlPointWrite
    ) -> None:
        att_error: int | None = None
        error: str | None = None
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._unlock(client, "each-write")
                await client.write_gatt_char(found, request.payload, response=self._confirmed)
        except TimeoutError:
            error = f"no write response within {WRITE_TIMEOUT_S:g} s"
        except BleakGATTProtocolError as refusal:
            # BlueZ says 0x0E for a link lost meanwhile or 30 s of silence: no word of the machine.
            if refusal.code == BleakGATTProtocolErrorCode.UNLIKELY_ERROR:
                error = str(refusal)
            else:
                att_error = int(refusal.code)
        except RADIO_ERRORS as failure:
            error = str(failure) or type(failure).__name__
        self._answer(WriteOutcome(write_id=request.write_id, att_error=att_error, error=error))

    def _answer(self, outcome: WriteOutcome) -> None:
        self._inbox.put(self._clock.now_s(), outcome)
