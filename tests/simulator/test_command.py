"""The command as a whole: options, orders on a pipe, what it prints, and how it ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bumble.core import UUID
from bumble.device import Device, Peer

from bridge.core.errors import ConfigError, LinkError
from bridge.radio import open_device
from bridge.simulator import orders
from bridge.simulator.command import Options, simulate
from bridge.simulator.ftms_server import FtmsServer
from bridge.simulator.model import find_model

ADDRESS = "F0:F1:F2:F3:F4:01"
AIR = "127.0.0.1:0"


class Session:
    """A running command: its lines, and the pipe into it."""

    def __init__(self, options: Options) -> None:
        self.lines: list[str] = []
        self.running: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self._options = options
        self._reading, self._writing = os.pipe()

    async def run(self) -> None:
        """The command itself."""
        await simulate(self._options, write_line=self._put, orders_fd=self._reading)

    def _put(self, line: str) -> None:
        self.lines.append(line)
        self._more.set()

    def say(self, text: str) -> None:
        """Type."""
        os.write(self._writing, text.encode())

    def hang_up(self) -> None:
        """The end of stdin."""
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def close(self) -> None:
        """Give the pipe back."""
        self.hang_up()
        os.close(self._reading)

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first printed document that is wanted, within five seconds."""
        async with asyncio.timeout(5):
            while True:
                for line in self.lines:
                    document: dict[str, Any] = json.loads(line)
                    if wanted(document):
                        return document
                self._more.clear()
                await self._more.wait()

    async def kind(self, kind: str, **fields: object) -> dict[str, Any]:
        """The first document of this kind with these fields."""
        return await self.until(
            lambda document: {"kind": kind, **fields}.items() <= document.items()
        )


@asynccontextmanager
async def session(**options: Any) -> AsyncIterator[Session]:
    """The command on an air of its own, for the length of the block."""
    given: dict[str, Any] = {"air": AIR, "json_lines": True} | options
    it = Session(Options(**given))
    try:
        async with asyncio.TaskGroup() as tasks:
            it.running = tasks.create_task(it.run())
            yield it
            it.running.cancel()
    finally:
        it.close()


async def test_orders_on_stdin_and_what_is_printed() -> None:
    """Each order is one line of JSON; status answers; nonsense is refused and changes nothing."""
    async with session(count=2) as it:
        ready = await it.kind("ready")
        assert ready["treadmills"] == [
            {"name": "Retrowalk Sim 1", "address": ADDRESS},
            {"name": "Retrowalk Sim 2", "address": "F0:F1:F2:F3:F4:02"},
        ]
        it.say("start\nspe")
        it.say("ed 3\n@2 key-out\n\ndance\n")
        await it.kind("console", what="start", treadmill="Retrowalk Sim 1")
        await it.kind("console", what="speed 3", treadmill="Retrowalk Sim 2")
        await it.kind("console", what="key-out", treadmill="Retrowalk Sim 2")
        refused = await it.kind("refused", order="dance")
        assert "late-data:S" in refused["why"]
        it.say("@1 status\n")
        status = await it.kind("status")
        assert (status["motion"], status["target_speed_kmh"]) == ("running", 3.0)
        it.say("reboot:0\n")
        await it.kind("fault", what="reboot")
        it.hang_up()
        await asyncio.sleep(0.05)
        assert it.running is not None
        assert not it.running.done(), "the end of stdin is no order"


async def test_a_client_takes_control_and_start_is_pressed() -> None:
    """Every control point write is printed with its op and result; Start follows by itself."""
    async with session(press_start_after_s=0.1) as it:
        where = (await it.kind("ready"))["on"]
        async with open_device(f"tcp-client:{where}", "host") as device:
            await _write(device, "00", "02c800")
            write = await it.kind("write", op="request_control")
            assert (write["hex"], write["result"], write["treadmill"]) == (
                "00",
                "success",
                "Retrowalk Sim",
            )
            write = await it.kind("write", op="set_target_speed")
            assert (write["target_speed_kmh"], write["result_code"]) == (2.0, 4)
            await it.kind("console", what="start")


async def _write(device: Device, *requests: str, unanswered: str = "") -> None:
    async with asyncio.timeout(5):
        peer = Peer(await device.connect(ADDRESS))
        await peer.discover_all()  # type: ignore[no-untyped-call]
        [point] = peer.get_characteristics_by_uuid(UUID.from_16_bits(0x2AD9))
        answers: asyncio.Queue[bytes] = asyncio.Queue()
        await point.subscribe(answers.put_nowait, prefer_notify=False)
        for request in requests:
            await point.write_value(bytes.fromhex(request), with_response=True)
            await answers.get()
        if unanswered:
            await point.write_value(bytes.fromhex(unanswered), with_response=True)


async def test_a_model_is_what_its_profile_says() -> None:
    """Its example's name, its manners: the second write within 400 ms is dropped, and said so."""
    async with session(model="kingsmith-z1") as it:
        ready = await it.kind("ready")
        assert ready["treadmills"] == [{"name": "KS-HD-Z1D", "address": ADDRESS}]
        async with open_device(f"tcp-client:{ready['on']}", "host") as device:
            await _write(device, "00", unanswered="07")
            writes = [await it.kind("write", hex=octets) for octets in ("00", "07")]
    assert writes[0]["result"] == "control_not_permitted"
    assert writes[1]["dropped"] is True


async def test_lines_for_people() -> None:
    """Without JSON: time, machine, what."""
    it = Session(Options(air=AIR, name="Belt"))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(it.run())
        it.say("pause\nstatus\nwhat\n")
        async with asyncio.timeout(5):
            while len(it.lines) < 4:
                it._more.clear()
                await it._more.wait()
        running.cancel()
    it.close()
    text = "\n".join(it.lines)
    assert f"Belt ({ADDRESS})" in text
    assert "Belt  console: pause" in text
    assert "motion=rest" in text
    assert "order 'what' is not known" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(), "exactly one"),
        (Options(air=AIR, transport="usb:0"), "exactly one"),
        (Options(air="6402"), "HOST:PORT"),
        (Options(air="localhost:99999"), "HOST:PORT"),
        (Options(air=AIR, count=0), "1 to 200"),
        (Options(transport="usb:0", count=2), "count 1"),
        (Options(air=AIR, address="here"), "F0:F1"),
        (Options(air=AIR, press_start_after_s=-1), "0 or more"),
        (Options(air=AIR, faults=["tea"]), "late-data:S"),
        (Options(air=AIR, model="tea"), "standard"),
    ],
)
async def test_options_that_make_no_sense(options: Options, words: str) -> None:
    """The message names what is allowed; nothing is opened."""
    with pytest.raises(ConfigError, match=words):
        await simulate(options)


async def test_a_controller_that_is_not_there() -> None:
    """A transport that cannot be opened is a link error."""
    with pytest.raises(LinkError, match="cannot open"):
        await simulate(Options(transport="tcp-client:127.0.0.1:1"), orders_fd=0)


async def test_on_a_controller_that_exists() -> None:
    """`--transport`: one simulation serves the air, another one's treadmill is on it."""
    async with session(address="F0:F1:F2:F3:F4:AA") as air:
        where = (await air.kind("ready"))["on"]
        async with session(air=None, transport=f"tcp-client:{where}", name="Real") as it:
            assert (await it.kind("ready"))["treadmills"] == [{"name": "Real", "address": ADDRESS}]
            async with open_device(f"tcp-client:{where}", "host") as device:
                await _write(device, "00")
            await it.kind("write", result="success")
            it.say("drop-link:0\n")
            await it.kind("fault", what="drop-link")


async def test_a_controller_that_is_lost_ends_the_command() -> None:
    """The air goes away under a treadmill on a transport: a link error, not a hang."""
    air = Session(Options(air=AIR, json_lines=True))
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(air.run())
        where = (await air.kind("ready"))["on"]
        it = Session(Options(transport=f"tcp-client:{where}", json_lines=True))
        running = tasks.create_task(_link_error(it))
        await it.kind("ready")
        serving.cancel()
        assert "controller is gone" in await running
    for each in (air, it):
        each.close()


async def _link_error(it: Session) -> str:
    with pytest.raises(LinkError) as caught:
        await it.run()
    return str(caught.value)


_PROGRAM = (
    "import asyncio; from bridge.simulator.command import Options, simulate;"
    "asyncio.run(simulate(Options(air='127.0.0.1:0', json_lines=True))); print('in order')"
)


@pytest.mark.parametrize(
    ("sent", "code", "said", "complaint"),
    [
        (signal.SIGTERM, 0, "in order", ""),
        (signal.SIGINT, -signal.SIGINT, "", "KeyboardInterrupt"),
    ],
)
def test_signals_end_it_in_order_and_the_end_of_stdin_does_not(
    sent: signal.Signals, code: int, said: str, complaint: str
) -> None:
    """Stdin is /dev/null from the start. SIGTERM returns, Ctrl-C interrupts as asyncio does it."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["kind"] == "ready"
        process.send_signal(sent)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out.strip()) == (code, said)
    assert err.strip().rpartition("\n")[2] == complaint


# --- orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [
        "speed",
        "speed x",
        "speed nan",
        "incline inf",
        "start now",
        "status all",
        "key-out:x",
        "late-data",
        "",
        "@1 start",
    ],
)
def test_orders_that_mean_nothing(order: str) -> None:
    """Refused with what is allowed, and the machine is as before."""
    server = FtmsServer()
    with pytest.raises(ConfigError):
        orders.obey(order, server, 1.0)
    assert server.journal == []


@pytest.mark.parametrize("line", ["@0 start", "@3 start", "@ start", "@x start", "@-1 start"])
def test_a_machine_that_is_not_there(line: str) -> None:
    """Machines count from 1."""
    with pytest.raises(ConfigError, match="@1 to @2"):
        orders.addressed(line, 2)


def test_every_order_reaches_its_hand() -> None:
    """What is typed is what the journal says."""
    server = FtmsServer()
    typed = ["start", "speed 2.5", "incline 3", "pause", "stop", "key-out", "key-in"]
    typed += ["step-off", "step-on"]
    for order in typed:
        assert orders.obey(order, server, 1.0) is None
    assert [each.what for each in server.journal] == typed
    follows_rises = []
    for order in ("lazy-belt", "clear"):
        orders.obey(order, server, 1.0)
        follows_rises.append(server.habits.follows_rises)
    assert follows_rises == [False, True]
    assert orders.addressed("@2 stop", 2) == ("stop", [1])
    assert orders.addressed("stop", 2) == ("stop", [0, 1])


def test_the_standard_model_is_the_plain_treadmill() -> None:
    """The default of the command."""
    model = find_model("standard")
    assert model.habits == FtmsServer().habits
    assert model.spec == FtmsServer().belt.spec
