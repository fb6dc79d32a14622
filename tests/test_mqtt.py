"""The bridge on a real broker (amqtt over 3.1.1; Mosquitto over 5), and on one that misbehaves."""

import asyncio
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from bridge import mqtt, mqtt_connection
from bridge.broker import EmbeddedBroker, Program, _free_port, _mosquitto, embedded_broker
from bridge.clock import LoopClock, rfc3339, utc_now
from bridge.core.errors import ConfigError
from bridge.core.messages import (
    Announcement,
    Command,
    CommandResult,
    Delivered,
    EventType,
    Outcome,
    Phase,
    SessionEvent,
    Urgency,
    Verb,
)
from bridge.mqtt import CONSUMER, MqttBridge
from bridge.mqtt_connection import BrokerAddress
from bridge.store import Store
from tests.test_state_pacing import NOTHING_YET

SOON_S = 5.0  # for anything that takes milliseconds; only a failure waits this long
SPEED = Announcement(
    id="a-1", text="Faster.", language="en", urgency=Urgency.INFO, lead_s=8.0, expires_in_s=30.0
)


class Outside:
    """A client of the broker that is not ours: it sees what Home Assistant would."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.seen: list[tuple[str, bytes]] = []
        self._more = asyncio.Condition()

    async def listen(self) -> None:
        """Collect until the broker goes."""
        with suppress(aiomqtt.MqttError):
            async for message in self.client.messages:
                async with self._more:
                    self.seen.append((message.topic.value, bytes(message.payload)))
                    self._more.notify_all()

    def on(self, topic: str) -> list[Any]:
        """What came on ``topic`` so far; JSON is read."""
        payloads = [payload for seen, payload in self.seen if seen == f"retrowalk/{topic}"]
        return [json.loads(each) if each.startswith(b"{") else each.decode() for each in payloads]

    async def until(self, topic: str, count: int = 1, *, last: Any = None) -> list[Any]:
        """Wait for ``count`` messages on ``topic``, and for ``last`` as the last of them."""

        def done() -> bool:
            there = self.on(topic)
            return len(there) >= count and (last is None or there[-1] == last)

        async with asyncio.timeout(SOON_S), self._more:
            await self._more.wait_for(done)
        return self.on(topic)

    async def ask(self, topic: str, body: bytes | dict[str, Any], *, retain: bool = False) -> None:
        """Publish, as a dashboard would."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.client.publish(f"retrowalk/{topic}", payload, qos=1, retain=retain)


@asynccontextmanager
async def outside(broker: EmbeddedBroker) -> AsyncIterator[Outside]:
    """A subscriber to everything, for the length of the block."""
    newest = broker.protocol == "5"
    version = aiomqtt.ProtocolVersion.V5 if newest else aiomqtt.ProtocolVersion.V311
    async with aiomqtt.Client("127.0.0.1", broker.port, protocol=version) as client:
        watcher = Outside(client)
        await client.subscribe("retrowalk/#", 1)
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(watcher.listen())
            yield watcher
            listening.cancel()


class Inside:
    """The app's side: what reaches it, and whether the broker is there."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Command | Delivered]] = []
        self.connections: list[bool] = []
        self._news = asyncio.Event()

    def receive(self, treadmill: str, what: Command | Delivered) -> None:
        """As the app: at once."""
        self.received.append((treadmill, what))
        self._news.set()

    def connection(self, there: bool) -> None:
        """As the app: at once."""
        self.connections.append(there)
        self._news.set()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for something to have come in."""
        async with asyncio.timeout(SOON_S):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def commands(self, count: int) -> list[Command]:
        """The first ``count`` commands."""
        await self.until(lambda: len(self.received) >= count)
        return [what for _, what in self.received if isinstance(what, Command)]


class Home:
    """A store, an app and a bridge for two treadmills that can be started and stopped."""

    def __init__(self, store: Store, address: BrokerAddress) -> None:
        self.store = store
        self.app = Inside()
        self.bridge = MqttBridge(
            address,
            ["garage", "attic"],
            store,
            LoopClock(),
            self.app.receive,
            on_connection=self.app.connection,
        )

    @asynccontextmanager
    async def running(self, *, wait: bool = True) -> AsyncIterator[None]:
        """Run the bridge; leaving the block is an orderly shutdown."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.bridge.run())
            if wait:
                await self.app.until(lambda: self.bridge.connected)
            yield
            task.cancel()

    async def happen(self, *numbers: int, treadmill: str = "garage") -> None:
        """Store events."""
        for number in numbers:
            data: dict[str, object] = {"n": number}
            event = SessionEvent(type=EventType.ARMED, session=None, at_s=0.0, data=data)
            await self.store.append(treadmill, event)

    async def cursor_at(self, seq: int) -> None:
        """Wait until the broker has acknowledged everything up to ``seq``."""
        async with asyncio.timeout(SOON_S):
            while await self.store.cursor(CONSUMER, "garage") < seq:  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.01)


def address(broker: EmbeddedBroker) -> BrokerAddress:
    """As the app makes it for the embedded broker."""
    return BrokerAddress.from_url(broker.url, protocol=broker.protocol)


@pytest.fixture(
    params=[
        "amqtt",
        pytest.param(
            "mosquitto",
            marks=[
                pytest.mark.broker,
                pytest.mark.skipif(_mosquitto() is None, reason="mosquitto is not installed"),
            ],
        ),
    ]
)
def program(request: pytest.FixtureRequest) -> Program:
    """Each broker in turn."""
    chosen: Program = request.param
    return chosen


@pytest.fixture
async def broker(program: Program) -> AsyncIterator[EmbeddedBroker]:
    """A broker on a free port."""
    async with embedded_broker(0, program=program) as embedded:
        yield embedded


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A new record."""
    async with Store.open(tmp_path / "record.db") as opened:
        yield opened


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once: the growing of the back-off has its own test."""
    monkeypatch.setattr(mqtt, "_backoff_s", lambda _: 0.02)


# --- out -----------------------------------------------------------------------------------------


async def test_online_then_offline(broker: EmbeddedBroker, store: Store) -> None:
    """Retained availability of the bridge and of each treadmill, also in an orderly end."""
    home = Home(store, address(broker))
    async with outside(broker) as watcher:
        async with home.running():
            home.bridge.publish_link("garage", up=True)
            await watcher.until("garage/availability", last="online")
            async with outside(broker) as late:
                assert await late.until("bridge/availability") == ["online"]
                assert await late.until("garage/availability") == ["online"]
                assert await late.until("attic/availability") == ["offline"]
        await watcher.until("bridge/availability", last="offline")
        await watcher.until("garage/availability", last="offline")
    assert home.app.connections == [True, False]
    assert not home.bridge.connected


@pytest.mark.usefixtures("quick")
async def test_a_cut_line_is_seen_by_all(
    broker: EmbeddedBroker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last will says offline, the app hears of it, and the bridge comes back by itself."""
    clients: list[Any] = []
    make = mqtt_connection.Connector._client

    def remember(*args: Any) -> Any:
        clients.append(make(*args))
        return clients[-1]

    monkeypatch.setattr(mqtt_connection.Connector, "_client", remember)
    home = Home(store, address(broker))
    async with outside(broker) as watcher, home.running():
        await watcher.until("bridge/availability", last="online")
        clients[0]._client.socket().shutdown(socket.SHUT_RDWR)
        await watcher.until("bridge/availability", 3, last="online")
        assert watcher.on("bridge/availability") == ["online", "offline", "online"]
        await home.app.until(lambda: home.app.connections == [True, False, True])
    assert len(clients) == 2


async def test_events_come_in_order_and_move_the_cursor(
    broker: EmbeddedBroker, store: Store
) -> None:
    """First the past, then what happens; each treadmill on its own topic (contract section 5)."""
    home = Home(store, address(broker))
    await home.happen(1, 2, 3)
    await home.happen(1, treadmill="attic")
    async with outside(broker) as watcher:
        async with home.running():
            await home.happen(4, 5)
            there = await watcher.until("garage/event", 5)
            assert [(event["id"], event["data"]["n"]) for event in there] == [
                (f"garage-{n:06d}", n) for n in range(1, 6)
            ]
            await watcher.until("attic/event")
            await home.cursor_at(5)
        async with home.running():
            await home.happen(6)
            there = await watcher.until("garage/event", 6)
            assert [event["seq"] for event in there] == [1, 2, 3, 4, 5, 6]
        async with outside(broker) as late:
            await late.until("bridge/availability")
            assert late.on("garage/event") == []


@pytest.mark.usefixtures("quick")
async def test_a_broker_restart_loses_nothing(
    program: Program, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of the time without a broker come in order when there is one again."""
    gate = asyncio.Event()
    gate.set()
    connection = mqtt_connection.Connector.connection

    @asynccontextmanager
    async def gated(self: mqtt_connection.Connector) -> AsyncIterator[Any]:
        await gate.wait()  # so that our subscriber is back before the bridge is
        async with connection(self) as client:
            yield client

    monkeypatch.setattr(mqtt_connection.Connector, "connection", gated)
    port = _free_port(0)
    home = Home(store, BrokerAddress(host="127.0.0.1", port=port))
    home.bridge._connector.protocol = "5" if program == "mosquitto" else "3.1.1"
    async with home.running(wait=False):
        async with embedded_broker(port, program=program) as broker, outside(broker) as watcher:
            await home.happen(1, 2, 3)
            before = await watcher.until("garage/event", 3)
            await home.cursor_at(3)
            gate.clear()
        await home.app.until(lambda: not home.bridge.connected)
        await home.happen(4, 5)
        async with embedded_broker(port, program=program) as broker, outside(broker) as watcher:
            gate.set()
            await home.happen(6)
            after = await watcher.until("garage/event", 3)
    assert [event["seq"] for event in before + after] == [1, 2, 3, 4, 5, 6]


async def test_an_orderly_end_leaves_nothing_unsaid(broker: EmbeddedBroker, store: Store) -> None:
    """The last events, results and summary are out before offline is."""
    home = Home(store, address(broker))
    async with outside(broker) as watcher:
        async with home.running():
            await home.happen(*range(20))
            result = CommandResult(id="c", verb=Verb.STOP, outcome=Outcome.CONFIRMED)
            home.bridge.publish_result("garage", result)
            home.bridge.publish_session("garage", "01J", {"distance_m": 60})
        await watcher.until("bridge/availability", last="offline")
        assert len(watcher.on("garage/event")) >= 20
        assert watcher.on("garage/result")[0]["outcome"] == "confirmed"
        assert watcher.on("garage/session")[-1]["distance_m"] == 60


async def test_state_is_retained_and_paced(broker: EmbeddedBroker, store: Store) -> None:
    """A hundred measurements are one message a second; a decision is one at once."""
    home = Home(store, address(broker))
    async with outside(broker) as watcher, home.running():
        home.bridge.publish_state("garage", NOTHING_YET)
        await watcher.until("garage/state")
        for tenth in range(100):
            home.bridge.publish_state("garage", replace(NOTHING_YET, distance_m=tenth / 10))
        stopping = replace(NOTHING_YET, phase=Phase.STOPPING, distance_m=10.0)
        home.bridge.publish_state("garage", stopping)
        await watcher.until("garage/state", 2)
        last = replace(stopping, distance_m=10.5)
        home.bridge.publish_state("garage", last)
        there = await watcher.until("garage/state", 3)
        assert [(each["phase"], each["distance_m"]) for each in there] == [
            ("moving", None),
            ("stopping", 10.0),
            ("stopping", 10.5),
        ]
        async with outside(broker) as late:
            assert (await late.until("garage/state"))[0]["distance_m"] == 10.5


async def test_results_and_announcements_wait_for_the_broker(
    broker: EmbeddedBroker, store: Store
) -> None:
    """What was said while there was no broker comes later, unless it has expired by then."""
    home = Home(store, address(broker))
    result = CommandResult(id="c-1", verb=Verb.STOP, outcome=Outcome.CONFIRMED, measured_kmh=0.0)
    home.bridge.publish_announcement("garage", replace(SPEED, id="old", expires_in_s=0.0))
    home.bridge.publish_announcement("garage", SPEED)
    home.bridge.publish_result("garage", result)
    async with outside(broker) as watcher, home.running():
        (there,) = await watcher.until("garage/result")
        assert (there["id"], there["measured_kmh"]) == ("c-1", 0.0)
        assert [each["id"] for each in watcher.on("garage/announce")] == ["a-1"]


async def test_a_full_outbox_keeps_the_newest(store: Store) -> None:
    """A broker that is gone for days must not fill the memory."""
    home = Home(store, BrokerAddress(host="127.0.0.1", port=9))
    for number in range(mqtt._OUTBOX + 5):
        result = CommandResult(id=f"c-{number}", verb=Verb.STOP, outcome=Outcome.CONFIRMED)
        home.bridge.publish_result("garage", result)
    assert len(home.bridge._outbox) == mqtt._OUTBOX
    assert b"c-1004" in home.bridge._outbox[-1].payload


# --- in ------------------------------------------------------------------------------------------


async def test_commands_reach_the_app(broker: EmbeddedBroker, store: Store) -> None:
    """With treadmill, id and age; bare values too; a malformed one marked (S16)."""
    home = Home(store, address(broker))
    issued_at = rfc3339(utc_now() - timedelta(seconds=60))
    async with outside(broker) as watcher, home.running():
        await watcher.ask("garage/command/speed", {"id": "a", "kmh": 1.4, "issued_at": issued_at})
        await watcher.ask("attic/command/stop", b"now")
        await watcher.ask("garage/command/incline", b'{"id":"b","pct":true}')
        speed, stop, incline = await home.app.commands(3)
    assert (speed.id, speed.speed_kmh, speed.expired, speed.retained) == ("a", 1.4, False, False)
    assert 60 <= speed.age_s < 65
    assert (stop.verb, stop.now) == (Verb.STOP, True)
    assert (incline.id, incline.malformed) == ("b", True)
    assert [treadmill for treadmill, _ in home.app.received] == ["garage", "attic", "garage"]


async def test_a_retained_command_is_marked(broker: EmbeddedBroker, store: Store) -> None:
    """It comes with every connect, for ever; the pilot refuses it (S16)."""
    home = Home(store, address(broker))
    async with outside(broker) as watcher:
        await watcher.ask("garage/command/speed", {"id": "a", "kmh": 1.4}, retain=True)
        async with home.running():
            commands = await home.app.commands(1)  # amqtt sends it twice
    assert {(each.id, each.retained) for each in commands} == {("a", True)}


async def test_spoken_reaches_the_app(broker: EmbeddedBroker, store: Store) -> None:
    """Strictly, and never from a retained message: it would vouch for speech of last week (S6)."""
    home = Home(store, address(broker))
    async with outside(broker) as watcher:
        await watcher.ask("attic/announced", {"id": "stale"}, retain=True)
        async with home.running():
            await watcher.ask("garage/announced", {"id": "a-1", "by": "me"})
            await watcher.ask("nowhere/announced", {"id": "a-1"})
            await watcher.ask("garage/announced", {"id": "a-1"})
            await home.app.until(lambda: bool(home.app.received))
    delivered = Delivered(announcement_id="a-1", channel="mqtt")
    assert home.app.received == [("garage", delivered)]


async def test_what_does_not_exist_is_refused(
    broker: EmbeddedBroker, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Unknown verb or treadmill: logged once, answered where there is an id to answer to."""
    home = Home(store, address(broker))
    async with outside(broker) as watcher, home.running():
        await watcher.ask("garage/command/jump", {"id": "a"})
        await watcher.ask("garage/command/jump", b"high")
        await watcher.ask("garage/command/jump", {"id": "b"})
        await watcher.ask("cellar/command/stop", {"id": "c"})
        garage = await watcher.until("garage/result", 2)
        cellar = await watcher.until("cellar/result")
    assert [(each["id"], each["outcome"], each["reason"]) for each in [*garage, *cellar]] == [
        (command_id, "rejected", "bad_payload") for command_id in ("a", "b", "c")
    ]
    assert home.app.received == []
    warned = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert warned == [
        "there is no command 'jump' on treadmill 'garage'",
        "there is no command 'stop' on treadmill 'cellar'",
    ]


async def test_a_failing_app_is_not_hidden(broker: EmbeddedBroker, store: Store) -> None:
    """The supervisor must hear of it; the bridge does not reconnect as if nothing had been."""
    home = Home(store, address(broker))

    def broken(_treadmill: str, _what: object) -> None:
        raise ZeroDivisionError

    home.bridge._deliver = broken
    async with outside(broker) as watcher:

        async def use() -> None:
            async with home.running():
                await watcher.ask("garage/command/stop", b"")
                await asyncio.sleep(SOON_S)

        with pytest.raises(ExceptionGroup) as caught:
            await use()
    assert caught.value.subgroup(ZeroDivisionError) is not None


# --- Mosquitto only ------------------------------------------------------------------------------


@pytest.mark.broker
@pytest.mark.skipif(_mosquitto() is None, reason="mosquitto is not installed")
class TestMosquitto:
    """What needs sessions that outlive a connection, or MQTT 5."""

    async def test_what_waited_undated_counts_as_expired(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Kept by the broker while the bridge was away (S11); past the marker all is fresh."""
        monkeypatch.setattr(mqtt, "_BACKLOG_S", 2 * SOON_S)  # it must be the marker that ends it
        async with embedded_broker(0, program="mosquitto") as broker, outside(broker) as watcher:
            home = Home(store, address(broker))
            async with home.running():
                pass
            issued_at = rfc3339(utc_now())
            for number in range(50):  # more than the broker sends before it waits for us
                await watcher.ask("garage/command/speed", {"id": f"old-{number}", "kmh": 2.0})
            await watcher.ask(
                "garage/command/speed", {"id": "dated", "kmh": 1.0, "issued_at": issued_at}
            )
            async with home.running():
                await watcher.ask("garage/command/speed", {"id": "new", "kmh": 1.4})
                commands = await home.app.commands(52)
        assert [each.id for each in commands] == [
            *(f"old-{number}" for number in range(50)),
            "dated",
            "new",
        ]
        assert [each.id for each in commands if not each.expired] == ["dated", "new"]

    async def test_mqtt_5_is_the_first_choice(self, store: Store) -> None:
        """With nothing known beforehand; announcements then expire in the broker as well."""
        async with embedded_broker(0, program="mosquitto") as broker, outside(broker):
            home = Home(store, BrokerAddress.from_url(broker.url))
            async with home.running():
                assert home.bridge._connector.protocol == "5"
                expiry = home.bridge._expiry(12.1)
                assert expiry is not None
                assert vars(expiry)["MessageExpiryInterval"] == 13


# --- brokers that misbehave ----------------------------------------------------------------------


def packet(kind: int, body: bytes) -> bytes:
    """An MQTT packet with a short body."""
    return bytes([kind, len(body)]) + body


class FakeBroker:
    """Just enough MQTT to hold back what a test wants held back."""

    def __init__(self) -> None:
        self.answers_versions = {4, 5}
        self.acknowledges_events = True
        self.puback_reason = b""
        self.suback = b"\x01\x01\x01"
        self.refuses_with: int | None = None
        self.connects: list[int] = []
        self.events: list[int] = []
        self.news = asyncio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Serve on a free port."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for something to have come in."""
        async with asyncio.timeout(SOON_S):
            while not done():
                self.news.clear()
                await self.news.wait()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            version = 0
            while True:
                kind, body = await self._packet(reader)
                if kind >> 4 == 1:
                    version = body[6]
                    self.connects.append(version)
                writer.write(self._answer(kind, body, version))
                self.news.set()
        writer.close()

    async def _packet(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        kind = (await reader.readexactly(1))[0]
        length, shift = 0, 0
        while True:
            octet = (await reader.readexactly(1))[0]
            length |= (octet & 0x7F) << shift
            shift += 7
            if octet < 0x80:
                return kind, await reader.readexactly(length)

    def _answer(self, kind: int, body: bytes, version: int) -> bytes:
        five = b"\x00" if version == 5 else b""
        match kind >> 4:
            case 1 if self.refuses_with is not None and version == 5:
                return packet(0x20, bytes([0, self.refuses_with]) + five)
            case 1 if version in self.answers_versions:
                return packet(0x20, b"\x00\x00" + five)
            case 8:
                return packet(0x90, body[:2] + five + self.suback)
            case 3 if kind & 0x06:
                return self._published(body, version)
            case 12:
                return packet(0xD0, b"")
        return b""

    def _published(self, body: bytes, version: int) -> bytes:
        (length,) = struct.unpack(">H", body[:2])
        topic = body[2 : 2 + length].decode()
        mid = body[2 + length : 4 + length]
        if not topic.endswith("/event"):
            return packet(0x40, mid)
        self.events.append(json.loads(body[4 + length + (version == 5) :])["seq"])
        return packet(0x40, mid + self.puback_reason) if self.acknowledges_events else b""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The named timeouts, shortened: these brokers let every one of them run out."""
    monkeypatch.setattr(mqtt, "_BACKLOG_S", 0.05)
    monkeypatch.setattr(mqtt, "_GOODBYE_S", 0.1)
    monkeypatch.setattr(mqtt, "PUBACK_S", 0.2)
    monkeypatch.setattr(mqtt_connection, "CONNACK_S", 0.3)


@pytest.mark.usefixtures("quick", "impatient")
async def test_the_cursor_waits_for_the_acknowledgement(store: Store) -> None:
    """An event that the broker took without a word is sent again, and again, and never skipped."""
    fake = FakeBroker()
    fake.acknowledges_events = False
    async with fake.serving() as port:
        home = Home(store, BrokerAddress(host="127.0.0.1", port=port, protocol="3.1.1"))
        await home.happen(1, 2)
        async with home.running():
            await fake.until(lambda: len(fake.events) >= 3)
            assert set(fake.events) == {1}
            assert await store.cursor(CONSUMER, "garage") == 0
            fake.acknowledges_events = True
            await home.cursor_at(2)
    assert len(fake.connects) >= 2
    assert fake.events[-2:] == [1, 2]


@pytest.mark.usefixtures("quick", "impatient")
async def test_a_refusal_is_no_acknowledgement(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """MQTT 5 can answer "not authorized" (0x87): said aloud, and the event is kept."""
    fake = FakeBroker()
    fake.puback_reason = b"\x87\x00"
    async with fake.serving() as port:
        home = Home(store, BrokerAddress(host="127.0.0.1", port=port, protocol="5"))
        await home.happen(1)
        async with home.running():
            await fake.until(lambda: len(fake.events) >= 2)
            assert await store.cursor(CONSUMER, "garage") == 0
    assert "Not authorized" in caplog.text


@pytest.mark.usefixtures("quick", "impatient")
async def test_deaf_is_not_online(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A broker that refuses the command topic would swallow a stop: never say online to that."""
    fake = FakeBroker()
    fake.suback = b"\x80\x01\x01"
    async with fake.serving() as port:
        home = Home(store, BrokerAddress(host="127.0.0.1", port=port, protocol="3.1.1"))
        async with home.running(wait=False):
            await fake.until(lambda: len(fake.connects) >= 3)
            fake.suback = b"\x01\x01\x80"  # ours alone: the marker, which we can do without
            await home.app.until(lambda: home.bridge.connected)
    assert caplog.text.count("refuses our subscriptions") == 1
    assert home.app.connections == [True, False]


@pytest.mark.usefixtures("quick", "impatient")
@pytest.mark.parametrize("refuses_with", [None, 0x84, 0x01])
async def test_a_broker_without_mqtt_5_gets_3_1_1(store: Store, refuses_with: int | None) -> None:
    """Whether it is silent, as amqtt is, or says so; and the next connect does not ask again."""
    fake = FakeBroker()
    fake.answers_versions = {4}
    fake.refuses_with = refuses_with
    async with fake.serving() as port:
        home = Home(store, BrokerAddress(host="127.0.0.1", port=port))
        async with home.running():
            assert fake.connects == [5, 4]
        async with home.running():
            assert fake.connects == [5, 4, 4]


@pytest.mark.usefixtures("quick", "impatient")
async def test_a_refused_login_is_not_a_matter_of_version(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, without the password, and tried again."""
    caplog.set_level(logging.DEBUG)
    fake = FakeBroker()
    fake.refuses_with = 0x86
    async with fake.serving() as port:
        where = BrokerAddress.from_url(f"mqtt://me@127.0.0.1:{port}", password="hunter2")
        home = Home(store, where)
        async with home.running(wait=False):
            await fake.until(lambda: len(fake.connects) >= 3)
    assert set(fake.connects) == {5}
    assert caplog.text.count("Bad user name or password") == 1
    assert "hunter2" not in caplog.text + repr(where)


@pytest.mark.usefixtures("impatient")
async def test_silence_on_the_real_one(store: Store) -> None:
    """The CONNECT of MQTT 5 that amqtt does not answer leaves nothing open behind it."""
    async with embedded_broker(0, program="amqtt") as broker:
        home = Home(store, BrokerAddress.from_url(broker.url))
        async with home.running():
            assert home.bridge._connector.protocol == "3.1.1"


# --- by itself -----------------------------------------------------------------------------------


def test_the_back_off_grows_and_is_spread() -> None:
    """Half a second, then doubling to half a minute; never all bridges at the same instant."""
    longest = [max(mqtt._backoff_s(failures) for _ in range(200)) for failures in range(9)]
    assert longest == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30, 30], rel=0.1)
    assert min(mqtt._backoff_s(0) for _ in range(200)) == pytest.approx(0.25, rel=0.1)
    assert mqtt._backoff_s(10_000) <= 30


@pytest.mark.parametrize(
    ("url", "host", "port", "username", "tls"),
    [
        ("mqtt://broker", "broker", 1883, None, False),
        ("mqtt://me@broker:1884", "broker", 1884, "me", False),
        ("mqtts://m%40e@[::1]", "::1", 8883, "m@e", True),
    ],
)
def test_addresses(url: str, host: str, port: int, username: str | None, tls: bool) -> None:
    """The URL of the settings (contract section 2); TLS checks the host's certificate."""
    where = BrokerAddress.from_url(url)
    assert (where.host, where.port, where.username) == (host, port, username)
    assert (where.tls is not None and where.tls.check_hostname) == tls


def test_a_certificate_that_is_none_is_a_setting_s_fault(tmp_path: Path) -> None:
    """Missing or not a certificate: the message names the file."""
    (tmp_path / "ca.pem").write_text("hello")
    for name in ("ca.pem", "nowhere.pem"):
        with pytest.raises(ConfigError, match=name):
            BrokerAddress.from_url("mqtts://broker", ca_file=tmp_path / name)
    with pytest.raises(ConfigError, match="http://broker"):
        BrokerAddress.from_url("http://broker")
