"""Puts the bridge together: settings in, one running whole out, and an end in order.

Owns the tasks of everything: the radio, one control loop for each treadmill, the record, MQTT.
Edges are supervised, so that a bug in one of them never takes a control loop down. Control loops
are not: a belt without its pilot must not go on as if nothing had happened, so the whole ends, the
other belts first.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from bridge.bluetooth.backend import Backend, open_backend
from bridge.bluetooth.heart_rate import StrapLink
from bridge.bluetooth.inbox import Inbox
from bridge.bluetooth.link import TreadmillLink
from bridge.broker import EmbeddedBroker, embedded_broker
from bridge.capture import CaptureTap, capturing
from bridge.clock import Clock, LoopClock
from bridge.control import ControlLoop, Outlet
from bridge.core.errors import BridgeError, ConfigError, StoreError
from bridge.core.messages import (
    Announcement,
    CommandResult,
    EventType,
    SessionEvent,
    State,
    VoicesListening,
)
from bridge.core.pilot import Pilot
from bridge.device_profile import load_devices
from bridge.mqtt import MqttBridge
from bridge.mqtt_connection import BrokerAddress
from bridge.piloting import chooser, pilot_settings
from bridge.recorder import Recorder
from bridge.settings import Settings
from bridge.store import Store

if TYPE_CHECKING:
    from bumble.device import Device

EDGE_RESTART_S = 1.0
"""How soon an edge that failed on a bug is started again."""

RECORD_TIMEOUT_S = 5.0
"""How long an orderly end waits for the disk: a full one must not keep the bridge from ending."""

_SUMMARY_CHANGES = frozenset({EventType.SESSION_STARTED, EventType.SEGMENT_STARTED})


_log = logging.getLogger(__name__)


class MqttOutlet(Outlet):
    """Hands one bridge's words to MQTT."""

    def __init__(self, mqtt: MqttBridge, pilots: dict[str, Pilot]) -> None:
        self._mqtt = mqtt
        self._pilots = pilots
        self._links: dict[str, str] = {}

    def event(self, treadmill: str, event: SessionEvent) -> None:
        """Events reach MQTT from the record; here only the session's summary is renewed."""
        if event.type is EventType.SESSION_ENDED and event.session is not None:
            self._mqtt.publish_session(treadmill, event.session, event.data)
        elif event.type in _SUMMARY_CHANGES and event.session is not None:
            summary = self._pilots[treadmill].summary()
            self._mqtt.publish_session(treadmill, event.session, summary)

    def announcement(self, treadmill: str, announcement: Announcement) -> None:
        """For a speaker."""
        self._mqtt.publish_announcement(treadmill, announcement)

    def result(self, treadmill: str, result: CommandResult) -> None:
        """For whoever asked."""
        self._mqtt.publish_result(treadmill, result)

    def state(self, treadmill: str, state: State) -> None:
        """For dashboards."""
        if self._links.get(treadmill) != state.link:
            self._links[treadmill] = state.link
            self._mqtt.publish_link(treadmill, up=state.link == "up")
        self._mqtt.publish_state(treadmill, state)


class Voices:
    """Which voice channels have somebody at the other end; every pilot is told of each change."""

    def __init__(self, loops: dict[str, ControlLoop]) -> None:
        self._loops = loops
        self._channels: frozenset[str] = frozenset()

    def listening(self, channel: str, *, there: bool) -> None:
        """``channel`` has come or gone."""
        only = frozenset({channel})
        self._channels = self._channels | only if there else self._channels - only
        for loop in self._loops.values():
            loop.put(VoicesListening(channels=self._channels))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """Every part of a bridge. Made by `open_bridge`; runs as long as that block does."""

    settings: Settings
    clock: Clock
    store: Store
    broker: EmbeddedBroker | None
    backend: Backend
    mqtt: MqttBridge
    recorder: Recorder
    voices: Voices
    loops: dict[str, ControlLoop]
    links: dict[str, TreadmillLink]
    straps: dict[str, StrapLink]
    outlets: list[Outlet]

    async def run(self) -> None:
        """Everything at once, until cancelled or a pilot fails; then raises what it raised."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_supervised("the record", self.recorder.run), name="recorder")
            tasks.create_task(_supervised("mqtt", self.mqtt.run), name="mqtt")
            for treadmill, loop in self.loops.items():
                tasks.create_task(self._control(loop), name=f"control-{treadmill}")
                tasks.create_task(
                    _supervised(f"link {treadmill}", self.links[treadmill].run),
                    name=f"link-{treadmill}",
                )
            for treadmill, strap in self.straps.items():
                tasks.create_task(
                    _supervised(f"strap {treadmill}", strap.run), name=f"strap-{treadmill}"
                )

    async def _control(self, loop: ControlLoop) -> None:
        """S18: what a pilot that fails takes down with it comes to rest before."""
        try:
            await loop.run()
        except Exception:
            await self.come_to_rest()
            raise

    async def come_to_rest(self) -> bool:
        """S18: every belt of this bridge at rest, and the record of it on disk.

        False when a belt is not known to stand; which one is logged.
        """
        async with asyncio.TaskGroup() as tasks:
            ends = {
                treadmill: tasks.create_task(loop.come_to_rest(), name=f"end-{treadmill}")
                for treadmill, loop in self.loops.items()
            }
        for treadmill, end in ends.items():
            if not end.result():
                _log.error("%s is not known to stand: use the safety key", treadmill)
        try:
            async with asyncio.timeout(RECORD_TIMEOUT_S):
                await self.recorder.flushed()
        except TimeoutError:
            _log.error("the end of the record is not on disk after %g s", RECORD_TIMEOUT_S)
        except StoreError as error:
            _log.error("the end of the record is not on disk: %s", error)
        return all(end.result() for end in ends.values())


@asynccontextmanager
async def open_bridge(
    settings: Settings,
    *,
    clock: Clock | None = None,
    device: "Device | None" = None,
    capture: Path | None = None,
) -> AsyncIterator[Bridge]:
    """A running bridge for the length of the block; its belts come to rest at the end of it.

    ``device`` is a Bluetooth controller in this process, for the demo and tests. What goes by
    is written to the new file ``capture``, for a bridge of one treadmill. Raises `BridgeError` for
    what is wrong or missing, and at the end for a belt that is not known to stand.
    """
    clock = clock or LoopClock()
    async with AsyncExitStack() as stack:
        path = store_path(settings)
        store = await stack.enter_async_context(Store.open(path, started_s=clock.now_s()))
        broker = None
        if settings.mqtt.is_embedded:
            folder = path.parent / "broker"
            broker = await stack.enter_async_context(embedded_broker(data_dir=folder))
        backend = await stack.enter_async_context(
            open_backend(settings.bluetooth.backend, settings.bluetooth.transport, device=device)
        )
        tap = None
        if capture is not None:
            if len(settings.treadmill) != 1:
                raise ConfigError("a capture is of one treadmill; configure just the one")
            tap = stack.enter_context(capturing(capture, clock))
        bridge = _assemble(settings, clock, store, broker, backend, tap)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        running = tasks.create_task(bridge.run(), name="bridge")
        stands = True
        try:
            yield bridge
        finally:
            if not running.done():
                stands = await bridge.come_to_rest()
            running.cancel()
    if not stands:
        raise BridgeError("a belt is not known to stand: use the safety key")


def _assemble(
    settings: Settings,
    clock: Clock,
    store: Store,
    broker: EmbeddedBroker | None,
    backend: Backend,
    tap: CaptureTap | None,
) -> Bridge:
    """Every part made, none running."""
    loops: dict[str, ControlLoop] = {}
    links: dict[str, TreadmillLink] = {}
    outlets: list[Outlet] = []
    straps: dict[str, StrapLink] = {}
    devices = load_devices()
    voices = Voices(loops)
    boot = secrets.token_hex(3)
    for treadmill in settings.treadmill:
        inbox = Inbox()
        pilot = Pilot(pilot_settings(settings, treadmill, boot, devices))
        if tap is not None:
            tap.driven_by(pilot.deck.settings)
        target = treadmill.address or treadmill.name or ""
        links[treadmill.id] = TreadmillLink(
            backend, target, inbox, clock, choose=chooser(treadmill, devices)
        )
        if treadmill.strap is not None:
            straps[treadmill.id] = StrapLink(backend, treadmill.strap, inbox, clock)
        loops[treadmill.id] = ControlLoop(
            pilot, links[treadmill.id], inbox, clock, outlets, tap=tap
        )
    mqtt = MqttBridge(
        _broker_address(settings, broker),
        list(loops),
        store,
        clock,
        lambda treadmill, item: loops[treadmill].put(item),
        base_topic=settings.mqtt.base_topic,
        on_connection=lambda up: voices.listening("mqtt", there=up),
    )
    recorder = Recorder(store, clock)
    outlets += [recorder, MqttOutlet(mqtt, {key: loop.pilot for key, loop in loops.items()})]
    return Bridge(
        settings=settings,
        clock=clock,
        store=store,
        broker=broker,
        backend=backend,
        mqtt=mqtt,
        recorder=recorder,
        voices=voices,
        loops=loops,
        links=links,
        straps=straps,
        outlets=outlets,
    )


def store_path(settings: Settings) -> Path:
    """Where sessions are kept: as set, else in the platform's data folder."""
    folder = settings.store.path
    if folder is not None and folder.suffix:
        return folder
    folder = folder or Path(platformdirs.user_data_path("retrowalk", appauthor=False))
    return folder / "retrowalk.db"


def _broker_address(settings: Settings, broker: EmbeddedBroker | None) -> BrokerAddress:
    if broker is not None:
        return BrokerAddress.from_url(broker.url, protocol=broker.protocol)
    mqtt = settings.mqtt
    return BrokerAddress.from_url(
        mqtt.url,
        password=None if mqtt.password is None else mqtt.password.get_secret_value(),
        ca_file=mqtt.ca_file,
        cert_file=mqtt.cert_file,
        key_file=mqtt.key_file,
    )


async def _supervised(name: str, edge: Callable[[], Awaitable[None]]) -> None:
    """Run an edge; one that fails on a bug is logged and started again. The one broad except."""
    while True:
        try:
            await edge()
        except Exception:  # noqa: BLE001 - the one place, so that a bug in an edge stays there
            _log.exception("%s failed; starting it again", name)
        await asyncio.sleep(EDGE_RESTART_S)
