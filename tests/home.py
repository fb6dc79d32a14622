"""A whole home in this process: radio, treadmills, broker, bridge, and a person who is outside.

The treadmills are the simulator's, the bytes are real, and the person knows the bridge only over
MQTT. Time is paced, because sockets and disks take part.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

import bridge.app
from bridge import data
from bridge.app import Bridge, open_bridge
from bridge.broker import EmbeddedBroker, Program, embedded_broker
from bridge.clock import Clock, PacedClock
from bridge.radio import VirtualRadio
from bridge.settings import Settings
from bridge.simulator.ftms_server import FtmsServer
from bridge.simulator.gatt import GattTreadmill

SPEEDUP = 40.0
SOON_S = 40.0
"""Real seconds for whatever a test waits for; the longest, a first rise in real time, takes 20."""

REST_KMH = 0.05
"""What counts as standing."""

BRIEF = """
id = "brief"
name = "Brief"
level = "L0"
summary = "As short as the rules allow."
evidence = "None: for tests."
""" + "".join(
    f'[[segment]]\ndirection = "{direction}"\nspeed_kmh = 1.2\ntime = "0:20"\n'
    if direction != "turn"
    else '[[segment]]\ndirection = "turn"\ntime = "0:20"\n'
    for direction in ("forward", "turn", "backward", "turn", "forward")
)
"""Under two minutes, with both turns and a stretch backward."""


def own_programs(folder: Path) -> None:
    """Put `BRIEF` among the programs of the person whose folder this is."""
    training = folder / "profiles" / "training"
    training.mkdir(parents=True)
    (training / "brief.toml").write_text(BRIEF, encoding="utf-8")


@dataclass
class Person:
    """Somebody with an MQTT client: sees everything, hears, answers, and asks."""

    client: aiomqtt.Client
    seen: list[tuple[str, Any]] = field(default_factory=list)
    answers: bool = True
    hears: bool = True
    on_waiting: Callable[[str], None] = lambda _: None
    """Called with a treadmill's id when that waits for the console's Start."""
    number: int = 0
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)
    _asked: set[str] = field(default_factory=set)

    async def live(self) -> None:
        """Until cancelled."""
        async for message in self.client.messages:
            topic = message.topic.value.removeprefix("retrowalk/")
            payload = bytes(message.payload)
            said = json.loads(payload) if payload.startswith(b"{") else payload.decode()
            treadmill, _, what = topic.partition("/")
            await self._react(treadmill, what, said)
            async with self._more:
                self.seen.append((topic, said))
                self._more.notify_all()

    async def _react(self, treadmill: str, what: str, said: Any) -> None:
        if what == "announce":
            if self.hears:
                await self._send(f"{treadmill}/announced", {"id": said["id"]})
            if said["text"].endswith("press Start on the treadmill."):
                self.on_waiting(treadmill)
        elif what == "state" and self.answers:
            prompt = said["prompt"]
            if prompt is not None and prompt["id"] not in self._asked:
                self._asked.add(prompt["id"])
                await self.ask(treadmill, "confirm", prompt=prompt["id"])

    async def ask(self, treadmill: str, verb: str, **body: object) -> str:
        """Give a command; its id."""
        self.number += 1
        ident = f"ask-{self.number}"
        await self._send(f"{treadmill}/command/{verb}", {"id": ident, **body})
        return ident

    async def _send(self, topic: str, body: Mapping[str, object]) -> None:
        await self.client.publish(f"retrowalk/{topic}", json.dumps(body), qos=1)

    def on(self, topic: str) -> list[Any]:
        """What came on ``topic`` so far."""
        return [said for seen, said in self.seen if seen == topic]

    async def until(self, topic: str, wanted: Callable[[Any], bool]) -> Any:
        """The first message on ``topic`` that is wanted, past ones too."""

        def found() -> list[Any]:
            return [said for said in self.on(topic) if wanted(said)]

        async with asyncio.timeout(SOON_S), self._more:
            await self._more.wait_for(found)
        return found()[0]

    async def event(self, treadmill: str, kind: str) -> Any:
        """The first event of this type."""
        return await self.until(f"{treadmill}/event", lambda said: said["type"] == kind)

    async def answer(self, treadmill: str, ident: str) -> Any:
        """The final result of a command."""
        return await self.until(
            f"{treadmill}/result",
            lambda said: said["id"] == ident and said["outcome"] != "accepted",
        )

    def numbers(self, treadmill: str) -> list[int]:
        """The numbers of its events as they came, repeats dropped as every consumer must."""
        return list(dict.fromkeys(said["seq"] for said in self.on(f"{treadmill}/event")))

    def types(self, treadmill: str) -> list[str]:
        """The events so far, by type."""
        return [said["type"] for said in self.on(f"{treadmill}/event")]


@asynccontextmanager
async def outside(broker: EmbeddedBroker) -> AsyncIterator[Person]:
    """A person at this broker, for the length of the block."""
    newest = broker.protocol == "5"
    version = aiomqtt.ProtocolVersion.V5 if newest else aiomqtt.ProtocolVersion.V311
    async with (
        aiomqtt.Client("127.0.0.1", broker.port, protocol=version) as client,
        asyncio.TaskGroup() as tasks,
    ):
        await client.subscribe("retrowalk/#", 1)
        person = Person(client)
        living = tasks.create_task(person.live())
        try:
            yield person
        finally:
            living.cancel()


class Home:
    """Treadmills by id on one radio, and what a bridge must know of them."""

    def __init__(self, folder: Path, clock: Clock, *treadmills: str) -> None:
        self.folder = folder
        self.clock = clock
        self.radio = VirtualRadio()
        self.consoles = {name: FtmsServer(now_s=clock.now_s()) for name in treadmills}
        self.machines: dict[str, GattTreadmill] = {}
        self.addresses = {
            name: f"F0:F1:F2:F3:F4:{number:02X}" for number, name in enumerate(treadmills, 1)
        }

    @property
    def settings(self) -> Settings:
        """One walker who has accepted the safety text, and all treadmills."""
        return Settings.model_validate(
            {
                "bluetooth": {"backend": "bumble", "transport": "tests"},
                "store": {"path": str(self.folder / "data")},
                "walker": [{"id": "me", "accepted_safety": 1}],
                "treadmill": [
                    {"id": name, "address": address, "units_proven": True}
                    for name, address in self.addresses.items()
                ],
            }
        )

    @asynccontextmanager
    async def powered(self) -> AsyncIterator[None]:
        """The treadmills are on, for the length of the block."""
        async with asyncio.TaskGroup() as tasks:
            for name, console in self.consoles.items():
                device = await self.radio.device(name, self.addresses[name])
                self.machines[name] = GattTreadmill(
                    device, console, self.clock, drop_links=partial(self.radio.drop_links, device)
                )
            running = [
                tasks.create_task(machine.run(), name=f"machine-{name}")
                for name, machine in self.machines.items()
            ]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()

    @asynccontextmanager
    async def bridge(self) -> AsyncIterator[Bridge]:
        """A bridge on this radio, for the length of the block."""
        device = await self.radio.device("bridge", "F0:F1:F2:F3:F4:F0")
        async with open_bridge(self.settings, clock=self.clock, device=device) as bridge:
            yield bridge

    def press_start(self, treadmill: str) -> None:
        """A hand on the console."""
        self.consoles[treadmill].press_start(self.clock.now_s())
        self.machines[treadmill].nudge()

    def drop_link(self, treadmill: str) -> None:
        """Out of reach for a moment."""
        self.radio.drop_links(self.machines[treadmill]._device)

    def speed_kmh(self, treadmill: str) -> float:
        """What the belt really does."""
        return self.consoles[treadmill].belt.speed_kmh


@asynccontextmanager
async def running(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *treadmills: str,
    program: Program | None = None,
) -> AsyncIterator[tuple[Home, Bridge, Person]]:
    """A home with its bridge and a person at its broker, links up."""
    own_programs(tmp_path / "own")
    monkeypatch.setattr(data, "own_folder", lambda: tmp_path / "own")
    monkeypatch.setattr(bridge.app, "embedded_broker", partial(embedded_broker, 0, program=program))
    clock = PacedClock(SPEEDUP)
    home = Home(tmp_path, clock, *treadmills)
    async with clock.running(), home.powered(), home.bridge() as opened:
        assert opened.broker is not None
        async with outside(opened.broker) as person:
            person.on_waiting = home.press_start
            for name in treadmills:
                await person.until(f"{name}/availability", lambda said: said == "online")
            yield home, opened, person
