"""``retrowalk demo``: the whole product with nothing to install or own.

A broker, a simulated treadmill on a virtual radio, the bridge, and a simulated walker who knows
the bridge only as any home does: over MQTT. Time may run faster than life; the bytes are real.
"""

import asyncio
import json
import logging
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiomqtt
from aiomqtt import ProtocolVersion
from rich.console import Console
from rich.table import Table

from bridge.app import Bridge, open_bridge
from bridge.clock import PacedClock
from bridge.control import Outlet
from bridge.core.errors import LinkError, ProfileError
from bridge.core.messages import (
    Delivered,
    EventType,
    Phase,
    Program,
    SessionEvent,
    State,
    Urgency,
    Verb,
)
from bridge.core.stopping import FINISHED
from bridge.ending import INTERRUPTED, run_until_signal
from bridge.profiles import load_programs
from bridge.settings import (
    BluetoothSettings,
    SafetySettings,
    Settings,
    StoreSettings,
    TreadmillSettings,
    WalkerSettings,
)
from bridge.terminal import TerminalView

if TYPE_CHECKING:
    from bridge.simulator.walker import Walker

TREADMILL = "demo"
WALKER = "demo-walker"
TREADMILL_ADDRESS = "F0:F1:F2:F3:F4:01"
BRIDGE_ADDRESS = "F0:F1:F2:F3:F4:02"

READY_TIMEOUT_S = 20.0
"""Real seconds for the broker and the Bluetooth link; both take well under one here."""


class _Course(Outlet):
    """Notes how far the demo has come: the link is up, the session is over or never came to be."""

    def __init__(self) -> None:
        self.linked = asyncio.Event()
        self.over = asyncio.Event()
        self.summary: dict[str, object] = {}

    @property
    def finished(self) -> bool:
        """The program ran to its own end."""
        return self.summary.get("reason") == FINISHED

    def event(self, treadmill: str, event: SessionEvent) -> None:
        """Note the end."""
        del treadmill
        refused = event.type is EventType.REFUSED and event.data.get("verb") == Verb.ARM
        if refused or event.type in {EventType.SESSION_ENDED, EventType.DISARMED}:
            self.summary = event.data
            self.over.set()

    def state(self, treadmill: str, state: State) -> None:
        """Note the link."""
        del treadmill
        if state.link == "up":
            self.linked.set()


def run_demo(*, program: str, speedup: float, seed: int, web: bool) -> int:
    """Show one session of ``program`` from the first announcement to the belt at rest.

    The same ``seed`` makes the same walker. 0 when the program was finished, 130 when a signal
    ended it. Raises `ProfileError` when there is no such program.
    """
    del web  # the page is served once there is one
    programs = load_programs()
    if program not in programs:
        raise ProfileError(f"no program {program!r}; there are: {', '.join(programs)}")
    return run_until_signal(
        lambda _: _demo(programs[program], speedup, seed), terminated=INTERRUPTED
    )


async def _demo(program: Program, speedup: float, seed: int) -> int:
    from bridge.radio import VirtualRadio  # noqa: PLC0415 - heavy
    from bridge.simulator.ftms_server import FtmsServer  # noqa: PLC0415
    from bridge.simulator.gatt import GattTreadmill  # noqa: PLC0415

    clock, course = PacedClock(speedup), _Course()
    radio = VirtualRadio()
    console = FtmsServer(now_s=clock.now_s())
    # The demo has no log; what paho mutters of sockets that close at the end is no news.
    logging.getLogger("mqtt").addHandler(logging.NullHandler())
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="retrowalk-demo-")))
        await stack.enter_async_context(clock.running())
        gatt = GattTreadmill(
            await radio.device("Demo treadmill", TREADMILL_ADDRESS), console, clock
        )
        await stack.enter_async_context(_running(gatt.run(), "treadmill"))
        bridge = await stack.enter_async_context(
            open_bridge(
                _settings(folder, program),
                clock=clock,
                device=await radio.device("Demo bridge", BRIDGE_ADDRESS),
            )
        )
        bridge.outlets.append(course)
        await _ready(bridge, course)
        view = stack.enter_context(_view(bridge, program, speedup))
        bridge.outlets.append(view)
        bridge.voices.listening("terminal", there=True)

        async def press_start() -> None:
            console.press_start(clock.now_s())
            gatt.nudge()

        await stack.enter_async_context(
            _running(_walk(bridge, program, press_start, seed), "walker")
        )
        await course.over.wait()
    at_rest = console.belt.speed_kmh == 0
    _print_summary(program, course.summary, at_rest=at_rest)
    return 0 if at_rest and course.finished else 1


async def _ready(bridge: Bridge, course: _Course) -> None:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            await bridge.mqtt.reached.wait()
            await course.linked.wait()
    except TimeoutError:
        raise LinkError(f"the demo was not ready within {READY_TIMEOUT_S:g} s") from None


def _settings(folder: Path, program: Program) -> Settings:
    return Settings(
        bluetooth=BluetoothSettings(backend="bumble", transport="demo"),
        store=StoreSettings(path=folder),
        safety=SafetySettings(voice=("mqtt", "terminal")),
        walker=(
            WalkerSettings.model_validate(
                {"id": WALKER, "level": program.level, "mass_kg": 70.0, "accepted_safety": 1}
            ),
        ),
        treadmill=(
            TreadmillSettings(
                id=TREADMILL, address=TREADMILL_ADDRESS, walker=WALKER, units_proven=True
            ),
        ),
    )


def _view(bridge: Bridge, program: Program, speedup: float) -> TerminalView:
    def spoken(announcement_id: str) -> None:
        bridge.loops[TREADMILL].put(Delivered(announcement_id=announcement_id, channel="terminal"))

    assert bridge.broker is not None  # the demo's settings say embedded
    pace = "real time" if speedup == 1 else f"{speedup:g} times faster than life"
    title = f"Retrowalk demo: {program.name}, {pace}, {bridge.broker.url}"
    return TerminalView(bridge.clock, program, title=title, spoken=spoken)


@asynccontextmanager
async def _running(work: Coroutine[object, object, None], name: str) -> AsyncIterator[None]:
    """Do this for the length of the block."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work, name=name)
        try:
            yield
        finally:
            task.cancel()


async def _walk(
    bridge: Bridge, program: Program, press_start: Callable[[], Awaitable[None]], seed: int
) -> None:
    """The simulated walker, who arms the program and then does as they are told."""
    from bridge.simulator.walker import Walker  # noqa: PLC0415 - only the demo needs a person

    assert bridge.broker is not None  # the demo's settings say embedded
    base = f"{bridge.settings.mqtt.base_topic}/{TREADMILL}"
    version = ProtocolVersion.V5 if bridge.broker.protocol == "5" else ProtocolVersion.V311
    async with aiomqtt.Client("127.0.0.1", bridge.broker.port, protocol=version) as client:

        async def send(topic: str, **values: object) -> None:
            await client.publish(f"{base}/{topic}", json.dumps(values), qos=1)

        walker = Walker(
            bridge.clock,
            acknowledge=lambda announcement: send("announced", id=announcement),
            confirm=lambda prompt: send("command/confirm", id=uuid.uuid4().hex, prompt=prompt),
            press_start=press_start,
            seed=seed,
        )
        await client.subscribe(f"{base}/#", qos=1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(walker.run(), name="walker-person")
            await send("command/arm", id=uuid.uuid4().hex, program=program.id, walker=WALKER)
            async for message in client.messages:
                _perceive(walker, str(message.topic).removeprefix(f"{base}/"), message.payload)


def _perceive(walker: "Walker", topic: str, payload: object) -> None:
    """What the walker hears and sees of the bridge."""
    if not isinstance(payload, bytes):
        return
    if topic == "announce":
        said = json.loads(payload)
        walker.on_announcement(said["id"], said["text"], Urgency(said["urgency"]))
    elif topic == "state":
        state = json.loads(payload)
        if state["prompt"] is not None:
            walker.on_prompt(state["prompt"]["id"], Phase(state["phase"]))


def _print_summary(program: Program, summary: dict[str, object], *, at_rest: bool) -> None:
    """What the session came to."""
    table = Table(title=f"{program.name}: {summary.get('reason')}", show_header=False)
    for name, value in summary.items():
        if name != "reason" and value is not None:
            table.add_row(name, str(value))
    table.add_row("belt", "at rest" if at_rest else "NOT AT REST")
    Console().print(table)
