"""The task that owns one treadmill's pilot, and the doors that its words leave by.

Everything that happens to a treadmill goes through one inbox and is acted on in order; writes leave
first, before anything is recorded or published, and nothing here waits for a disk or a broker.
Refuses to know MQTT, SQLite and terminals: they are `Outlet`s.
"""

import asyncio
import logging
import uuid
from collections.abc import Sequence
from typing import Protocol

from bridge.clock import Clock
from bridge.core.control_codec import encode_stop
from bridge.core.messages import (
    Announcement,
    Command,
    CommandResult,
    ControlPointWrite,
    Input,
    Output,
    SessionEvent,
    Source,
    State,
    Verb,
    WriteOutcome,
)
from bridge.core.pilot import Pilot

REST_TIMEOUT_S = 60.0
"""How long an orderly end waits for the belt: 8 km/h down at 0.25 km/h per second, and a stop."""

SHORTEST_SLEEP_S = 0.001
"""Rounding may call a moment due that is not quite; time must pass all the same."""

LAST_RESORT_S = 5.0
"""How long a stop without a pilot is tried: a machine answers in well under a second, and its
neighbours' belts wait for this one."""

LAST_RESORT_RETRY_S = 1.0

_LAST_RESORT_WRITE = 0
"""The write id of the stop that a crashed pilot leaves behind; pilots count from 1."""

_log = logging.getLogger(__name__)


class Link(Protocol):
    """The way to a machine's control point."""

    def write(self, request: ControlPointWrite) -> None:
        """Write now; a `WriteOutcome` follows on the inbox."""
        ...


class Inbox(Protocol):
    """The one queue of what happens, with times."""

    def put(self, at_s: float, item: Input) -> None:
        """Add what happened at ``at_s``."""
        ...

    async def get(self) -> tuple[float, Input]:
        """The next input."""
        ...


class Outlet:
    """Somewhere that a treadmill's words go. Every method must return at once.

    An outlet overrides what it has a use for. One that raises is logged, and asked again.
    """

    def event(self, treadmill: str, event: SessionEvent) -> None:
        """Something for the record."""

    def announcement(self, treadmill: str, announcement: Announcement) -> None:
        """Something to say aloud."""

    def result(self, treadmill: str, result: CommandResult) -> None:
        """What became of a command."""

    def state(self, treadmill: str, state: State) -> None:
        """The newest snapshot."""


class Tap(Protocol):
    """Somebody who writes down everything a pilot is given and everything it writes."""

    def item(self, at_s: float, item: Input) -> None:
        """An input."""
        ...

    def tick(self, at_s: float) -> None:
        """The time."""
        ...

    def write(self, at_s: float, write: ControlPointWrite) -> None:
        """A write."""
        ...


class ControlLoop:
    """One treadmill under control, from `run` until that is cancelled.

    Cancelling alone leaves the belt as it runs: `come_to_rest` first.
    """

    def __init__(
        self,
        pilot: Pilot,
        link: Link,
        inbox: Inbox,
        clock: Clock,
        outlets: Sequence[Outlet],
        *,
        tap: Tap | None = None,
    ) -> None:
        self.pilot = pilot
        self.treadmill = pilot.deck.settings.treadmill
        self._link = link
        self._inbox = inbox
        self._clock = clock
        self._outlets = outlets
        self._tap = tap
        self._rested = asyncio.Event()
        self._failed = False
        self._now_s = clock.now_s()
        self._wakes_at_s = self._now_s
        self._complained_of: set[Outlet] = set()

    def put(self, item: Input) -> None:
        """Something happened now."""
        self._inbox.put(self._clock.now_s(), item)

    async def run(self) -> None:
        """Act on the inbox and on time. A bug in the pilot stops the belt, then is raised."""
        try:
            await self._run()
        except Exception:
            self._failed = True
            _log.exception("%s: the pilot failed; stopping the belt", self.treadmill)
            if not await self._stop_without_pilot():
                _log.critical("%s did not take the stop: use the safety key", self.treadmill)
            raise

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            timekeeper = tasks.create_task(self._keep_time(), name=f"time-{self.treadmill}")
            while True:
                at_s, item = await self._inbox.get()
                # What happened counts from then, but the pilot's clock never goes back.
                self._now_s = max(self._now_s, at_s)
                if self._tap is not None:
                    self._tap.item(self._now_s, item)
                self._carry_out(self.pilot.receive(item, self._now_s))
                if self.pilot.next_wakeup_s(self._now_s) < self._wakes_at_s:
                    timekeeper.cancel()
                    timekeeper = tasks.create_task(self._keep_time(), name=f"time-{self.treadmill}")

    async def _keep_time(self) -> None:
        while True:
            self._now_s = now_s = max(self._now_s, self._clock.now_s())
            if self._tap is not None:
                self._tap.tick(now_s)
            self._carry_out(self.pilot.tick(now_s))
            self._wakes_at_s = self.pilot.next_wakeup_s(now_s)
            await self._clock.sleep(max(SHORTEST_SLEEP_S, self._wakes_at_s - now_s))

    async def _stop_without_pilot(self) -> bool:
        """Write Stop until the machine takes it. False when it has not in time."""
        stop = ControlPointWrite(
            write_id=_LAST_RESORT_WRITE, payload=encode_stop(), why="the pilot failed"
        )
        try:
            async with asyncio.timeout(LAST_RESORT_S):
                while True:
                    self._link.write(stop)
                    outcome = await self._outcome(stop.write_id)
                    if outcome.att_error is None and outcome.error is None:
                        return True
                    await asyncio.sleep(LAST_RESORT_RETRY_S)
        except TimeoutError:
            return False

    async def _outcome(self, write_id: int) -> WriteOutcome:
        while True:
            _, item = await self._inbox.get()
            if isinstance(item, WriteOutcome) and item.write_id == write_id:
                return item

    def _carry_out(self, outputs: Sequence[Output]) -> None:
        """Writes first: nothing that people read may delay the machine."""
        for output in outputs:
            if isinstance(output, ControlPointWrite):
                _log.debug("%s: write %s %s", self.treadmill, output.payload.hex(), output.why)
                self._link.write(output)
                if self._tap is not None:
                    self._tap.write(self._now_s, output)
        state = self.pilot.state(self._now_s)
        for outlet in self._outlets:
            try:
                self._tell(outlet, outputs, state)
            except Exception as error:  # noqa: BLE001 - a bug in a view must not stop a belt
                self._complain(outlet, error)
        if self.pilot.at_rest:
            self._rested.set()
        else:
            self._rested.clear()

    def _tell(self, outlet: Outlet, outputs: Sequence[Output], state: State) -> None:
        for output in outputs:
            match output:
                case SessionEvent():
                    outlet.event(self.treadmill, output)
                case Announcement():
                    outlet.announcement(self.treadmill, output)
                case CommandResult():
                    outlet.result(self.treadmill, output)
                case ControlPointWrite():
                    pass
        outlet.state(self.treadmill, state)

    def _complain(self, outlet: Outlet, error: Exception) -> None:
        """With its traceback the first time; it may fail many times a second."""
        if outlet not in self._complained_of:
            self._complained_of.add(outlet)
            _log.error("%s: %s fails", self.treadmill, type(outlet).__name__, exc_info=error)

    async def come_to_rest(self) -> bool:
        """S18: end the session: walk the belt down, stop it, take back an arming.

        A belt that this bridge does not drive is left alone. False when a belt is not known to
        stand in time.
        """
        if self._failed:
            return False
        if self.pilot.at_rest:
            return True
        self._rested.clear()
        self.put(Command(id=uuid.uuid4().hex, verb=Verb.STOP, source=Source.BRIDGE))
        try:
            async with asyncio.timeout(REST_TIMEOUT_S):
                await self._rested.wait()
        except TimeoutError:
            return False
        return True
