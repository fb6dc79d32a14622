"""Writing captures: of a treadmill that is only listened to, or of everything a pilot is given.

A `CaptureTap` sits beside a control loop and writes down what goes by. Refuses to change any of it.
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import TextIO

from bridge.bluetooth.backend import Backend
from bridge.bluetooth.inbox import Inbox
from bridge.bluetooth.link import TreadmillLink
from bridge.bluetooth.machine import CONTROL_POINT
from bridge.capture_file import SCHEMA, scrubbed_name
from bridge.clock import Clock, LoopClock, rfc3339, utc_now
from bridge.core.deck import PilotSettings
from bridge.core.errors import CaptureError, LinkError
from bridge.core.messages import (
    Command,
    ControlPointWrite,
    Input,
    LinkUp,
    Notification,
    json_value,
)

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 30.0
"""A treadmill that is on and free answers a scan and a connect within a few seconds."""


class CaptureTap:
    """Writes a capture line by line, so that nothing is lost when the power goes."""

    def __init__(self, file: TextIO, began_s: float) -> None:
        self._file = file
        self._pilot: dict[str, object] = {}
        self._began_s = began_s
        self._headed = False
        self._early: list[dict[str, object]] = []
        self._failed = False
        self.frames = 0

    def driven_by(self, pilot: PilotSettings) -> None:
        """Say in the header who drives, so that a replay can be the same pilot."""
        self._pilot = _who_drives(pilot)

    def item(self, at_s: float, item: Input) -> None:
        """Something that was given to the pilot."""
        match item:
            case LinkUp():
                self._link_up(at_s, item)
            case Notification():
                self._frame(at_s, "rx", item.characteristic, item.payload)
            case _:
                data = _data(item)
                self._line(at_s, {"event": _NAMES.get(type(item).__name__, "?"), "data": data})

    def tick(self, at_s: float) -> None:
        """The pilot was told the time: a replay must tell it at the same moments."""
        self._line(at_s, {"event": "tick"})

    def write(self, at_s: float, write: ControlPointWrite) -> None:
        """Something that went to the machine."""
        self._frame(at_s, "tx", CONTROL_POINT, write.payload)

    def _link_up(self, at_s: float, item: LinkUp) -> None:
        machine = item.machine
        reads = {f"{uuid16:04x}": payload.hex() for uuid16, payload in machine.reads}
        identity = {
            **{
                field.name: getattr(machine.identity, field.name)
                for field in fields(machine.identity)
            },
            "name": scrubbed_name(machine.identity.name),
            "serial": "",
        }
        if not self._headed:
            self._headed = True
            header = {
                "type": "header",
                "schema": SCHEMA,
                "device": " ".join(filter(None, (identity["manufacturer"], identity["model"]))),
                "captured_at": rfc3339(utc_now()),
                "reads": reads,
                "pilot": self._pilot,
            }
            for line in (header, *self._early):
                self._put(line)
            self._early.clear()
        data = {
            "identity": identity,
            "reads": reads,
            "controllable": machine.controllable,
            "device": item.device,
        }
        self._line(at_s, {"event": "link_up", "data": data})

    def _frame(self, at_s: float, way: str, characteristic: int, payload: bytes) -> None:
        self.frames += 1
        op = "write_req" if way == "tx" else "notify"
        if way == "rx" and characteristic == CONTROL_POINT:
            op = "indicate"
        self._line(
            at_s,
            {"dir": way, "op": op, "characteristic": f"{characteristic:04x}", "hex": payload.hex()},
        )

    def _line(self, at_s: float, values: dict[str, object]) -> None:
        line = {"t": round(max(at_s - self._began_s, 0.0), 3), **values}
        if self._headed:
            self._put(line)
        else:
            self._early.append(line)

    def _put(self, values: dict[str, object]) -> None:
        if self._failed:
            return
        try:
            self._file.write(json.dumps(values, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:  # a full disk ends the capture, never the walk
            self._failed = True
            _log.error("the capture ends here: %s", error)


_NAMES = {
    "LinkDown": "link_down",
    "WriteOutcome": "write_outcome",
    "Delivered": "delivered",
    "VoicesListening": "voices",
    "Command": "command",
}


def _who_drives(pilot: PilotSettings) -> dict[str, object]:
    """What a replay needs to be the same pilot; nothing that names a person."""
    return {
        "treadmill": pilot.treadmill,
        "boot": pilot.boot,
        "language": pilot.language.id,
        "level": pilot.walkers[pilot.walker].level.id,
        "walker": pilot.walker,
        "voices": sorted(pilot.voices),
        "start": pilot.start,
        "remote": pilot.remote,
        "units_proven": pilot.units_proven,
    }


def _data(item: Input) -> dict[str, object]:
    """An input as JSON; a command's source and verb by name, its unset fields left out."""
    values = json_value(item)
    assert isinstance(values, dict)
    if isinstance(item, Command):
        return {key: value for key, value in values.items() if value not in (None, False)}
    return values


@contextmanager
def capturing(path: Path, clock: Clock) -> Iterator[CaptureTap]:
    """A tap that writes to a new file. Raises `CaptureError` when it cannot be made."""
    try:
        with path.open("x", encoding="utf-8") as file:
            yield CaptureTap(file, clock.now_s())
    except FileExistsError:
        raise CaptureError(f"{path}: exists already; captures are never overwritten") from None
    except OSError as error:
        raise CaptureError(f"{path}: cannot be written: {error.strerror}") from None


async def capture(backend: Backend, target: str, path: Path, seconds: float | None) -> int:
    """Listen to one treadmill and write down what it says; returns how many frames.

    Nothing is written to its control point. Raises `LinkError` when it is not reached.
    """
    clock, inbox = LoopClock(), Inbox()
    link = TreadmillLink(backend, target, inbox, clock)
    with capturing(path, clock) as tap:
        async with asyncio.TaskGroup() as tasks:
            connecting = tasks.create_task(link.run(), name="capture-link")
            try:
                await _until_connected(inbox, tap, target)
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        while True:
                            tap.item(*await inbox.get())
            finally:
                connecting.cancel()
        return tap.frames


async def _until_connected(inbox: Inbox, tap: CaptureTap, target: str) -> None:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            while True:
                at_s, item = await inbox.get()
                tap.item(at_s, item)
                if isinstance(item, LinkUp):
                    return
    except TimeoutError:
        raise LinkError(
            f"{target} was not reached within {CONNECT_TIMEOUT_S:g} s: is it on, in reach, and not "
            "in use by another app? `retrowalk scan` lists what is there"
        ) from None
