"""The bridge on MQTT: publishes what the store and the pilot hold, brings in what people ask.

Events go out from a saved cursor, in order, each until the broker has acknowledged it. State,
availability and session are latest values. Results and announcements wait in a small outbox.
Commands go straight to the app. A lost broker never disturbs a session: everything here is told,
never asked. What this module refuses to know: what a command may do, Home Assistant, Bluetooth.
"""

import asyncio
import logging
import math
import random
import re
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.clock import Clock, utc_now
from bridge.core.errors import StoreError
from bridge.core.messages import (
    Announcement,
    Command,
    CommandResult,
    Delivered,
    Source,
    State,
    Verb,
)
from bridge.mqtt_connection import PUBACK_S, BrokerAddress, Client, Connector, properties
from bridge.payloads import (
    announce_payload,
    event_payload,
    find_id,
    parse_command,
    parse_spoken,
    result_payload,
    session_payload,
    state_payload,
    unknown_verb_payload,
)
from bridge.state_pacing import StatePacing
from bridge.store import Store, StoredEvent

CONSUMER = "mqtt"
"""Our name among the store's cursors."""

_BACKOFF_FIRST_S = 0.5
_BACKOFF_MAX_S = 30.0
_STABLE_S = 30.0
"""Reconnecting starts quickly and slows down; a connection that lasted this long starts afresh."""

_BACKLOG_S = 2.0
"""For the marker that ends what the broker kept for us; an ACL may swallow it."""

_GOODBYE_S = 2.0
"""At shutdown, for what is still to be sent; events that remain are sent after the next start."""

_OUTBOX = 1000
"""Results and announcements kept while the broker is away; then the oldest go."""

_TOLD = 100
"""Different complaints that are logged; whoever sends more knows by now."""

_REFUSED = range(0x80, 0x100)
"""SUBACK codes that say no, in every version of MQTT."""

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Letter:
    topic: str
    payload: bytes
    expires_s: float | None = None


class MqttBridge:
    """All treadmills of one bridge on one broker. `run` it in a task; cancel it to say goodbye.

    ``receive`` is called with a treadmill's id and a `Command` or `Delivered`, ``on_connection``
    with True when the broker is there and False when it is lost; both from the event loop, and
    both must return at once. ``clock`` is the core's.
    """

    def __init__(
        self,
        address: BrokerAddress,
        treadmills: Iterable[str],
        store: Store,
        clock: Clock,
        receive: Callable[[str, Command | Delivered], None],
        *,
        base_topic: str = "retrowalk",
        on_connection: Callable[[bool], None] = lambda _: None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._base = base_topic
        self._treadmills = tuple(treadmills)
        self._store = store
        self._clock = clock
        self._deliver = receive
        self._on_connection = on_connection
        self._now = now
        self._availability = self._topic("bridge", "availability")
        self._connector = Connector(
            address,
            identifier=f"{base_topic.replace('/', '-')}-bridge",
            will=aiomqtt.Will(self._availability, "offline", qos=1, retain=True),
        )
        self._connected = False
        self.reached = asyncio.Event()
        """Set once the broker has been there at all."""
        self._marker = b""
        self._backlog_over = asyncio.Event()
        self._outbox: deque[_Letter] = deque(maxlen=_OUTBOX)
        self._outbox_filled = asyncio.Event()
        self._latest: dict[str, tuple[bytes, int]] = {}
        self._dirty: dict[str, None] = {}
        self._dirtied = asyncio.Event()
        self._pacing = {treadmill: StatePacing() for treadmill in self._treadmills}
        self._states: dict[str, State] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._complaints: set[str] = set()
        for treadmill in self._treadmills:
            self.publish_link(treadmill, up=False)

    @property
    def connected(self) -> bool:
        """The broker is there and knows that we are online."""
        return self._connected

    # --- what the app tells ----------------------------------------------------------------------

    def publish_state(self, treadmill: str, state: State) -> None:
        """The newest state; goes out when `StatePacing` says so."""
        self._states[treadmill] = state
        now_s = asyncio.get_running_loop().time()
        delay_s = self._pacing[treadmill].delay_s(state, now_s)
        if delay_s == 0.0:
            self._release_state(treadmill)
        elif delay_s is not None and treadmill not in self._timers:
            self._timers[treadmill] = asyncio.get_running_loop().call_later(
                delay_s, self._release_state, treadmill
            )

    def publish_link(self, treadmill: str, *, up: bool) -> None:
        """Whether the Bluetooth link of ``treadmill`` is up."""
        payload = b"online" if up else b"offline"
        self._set_latest(self._topic(treadmill, "availability"), payload, qos=1)

    def publish_session(self, treadmill: str, session: str, summary: Mapping[str, object]) -> None:
        """The summary of the running or last session."""
        payload = session_payload(session, treadmill, summary)
        self._set_latest(self._topic(treadmill, "session"), payload, qos=1)

    def publish_result(self, treadmill: str, result: CommandResult) -> None:
        """What became of a command; kept until the broker has it."""
        self._post(self._topic(treadmill, "result"), result_payload(result, self._now()))

    def publish_announcement(self, treadmill: str, announcement: Announcement) -> None:
        """Something for a speaker to say; dropped when it expires before the broker has it."""
        self._post(
            self._topic(treadmill, "announce"),
            announce_payload(announcement, self._now()),
            self._clock.now_s() + announcement.expires_in_s,
        )

    def _release_state(self, treadmill: str) -> None:
        timer = self._timers.pop(treadmill, None)
        if timer is not None:
            timer.cancel()
        state = self._states[treadmill]
        self._pacing[treadmill].sent(state, asyncio.get_running_loop().time())
        payload = state_payload(state, treadmill, self._now(), self._clock.now_s())
        self._set_latest(self._topic(treadmill, "state"), payload, qos=0)

    def _set_latest(self, topic: str, payload: bytes, qos: int) -> None:
        self._latest[topic] = (payload, qos)
        self._dirty[topic] = None
        self._dirtied.set()

    def _post(self, topic: str, payload: bytes, expires_s: float | None = None) -> None:
        self._outbox.append(_Letter(topic, payload, expires_s))
        self._outbox_filled.set()

    def _topic(self, *parts: str) -> str:
        return "/".join((self._base, *parts))

    # --- the connection --------------------------------------------------------------------------

    async def run(self) -> None:
        """Stay connected until cancelled; then say goodbye. Raises what ``receive`` raises."""
        failures = 0
        while True:
            started_s = asyncio.get_running_loop().time()
            try:
                async with self._connector.connection() as client:
                    await self._serve(client)
            except* (aiomqtt.MqttError, OSError) as errors:
                self._complain(f"no MQTT broker: {_why(errors)}")
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # it came together with an error, which hid it
            lasted_s = asyncio.get_running_loop().time() - started_s
            failures = 0 if lasted_s > _STABLE_S else failures + 1
            await asyncio.sleep(_backoff_s(failures))

    async def _serve(self, client: Client) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(client), name="mqtt-read")
                await self._enter(client)
                self._set_connected(True)
                tasks.create_task(self._send_latest(client), name="mqtt-latest")
                tasks.create_task(self._send_outbox(client), name="mqtt-outbox")
                for treadmill in self._treadmills:
                    tasks.create_task(
                        self._send_events(client, treadmill), name=f"mqtt-events-{treadmill}"
                    )
                # Waiting here and not in the group's end: there it loses count of cancellations.
                await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await self._say_goodbye(client)
            raise
        finally:
            self._set_connected(False)

    async def _enter(self, client: Client) -> None:
        """Subscribe, let the backlog pass, and only then be online.

        The broker may have kept commands for us for an hour. It delivers in order, so they have
        passed once a marker comes back that we send to ourselves; until then a command without a
        date counts as expired.
        """
        echo = self._topic("bridge", "echo")
        self._marker = uuid.uuid4().hex.encode()
        self._backlog_over.clear()
        topics = (self._topic("+", "command", "+"), self._topic("+", "announced"), echo)
        granted = await client.subscribe([(topic, 1) for topic in topics])
        if any(getattr(code, "value", code) in _REFUSED for code in granted[:-1]):
            # Better not online at all than online and deaf to a stop.
            raise aiomqtt.MqttError("the broker refuses our subscriptions; check its ACL")
        await client.publish(echo, self._marker, qos=1, timeout=PUBACK_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(_BACKLOG_S):
                await self._backlog_over.wait()
        self._backlog_over.set()
        await client.publish(self._availability, b"online", qos=1, retain=True, timeout=PUBACK_S)
        self._dirty = dict.fromkeys(self._latest)

    async def _say_goodbye(self, client: Client) -> None:
        """What is left, then offline: a clean disconnect sends no last will."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await self._drain(client)
            for treadmill in self._treadmills:
                topic = self._topic(treadmill, "availability")
                await client.publish(topic, b"offline", qos=1, retain=True, timeout=PUBACK_S)
            await client.publish(
                self._availability, b"offline", qos=1, retain=True, timeout=PUBACK_S
            )
        except (aiomqtt.MqttError, StoreError) as error:
            _log.warning("the broker was not told that we leave: %s", error)

    async def _drain(self, client: Client) -> None:
        for treadmill in self._treadmills:
            cursor = await self._store.cursor(CONSUMER, treadmill)
            for event in await self._store.events(treadmill, cursor):
                await self._send_event(client, event)
        await self._post_letters(client)
        await self._publish_dirty(client)

    def _set_connected(self, connected: bool) -> None:
        if connected:
            self.reached.set()
        if connected != self._connected:
            self._connected = connected
            self._complaints.clear()
            _log.info("MQTT broker %s", "connected" if connected else "lost")
            self._on_connection(connected)

    # --- out -------------------------------------------------------------------------------------

    async def _send_events(self, client: Client, treadmill: str) -> None:
        cursor = await self._store.cursor(CONSUMER, treadmill)
        async with aclosing(self._store.follow(treadmill, cursor)) as events:
            async for event in events:
                await self._send_event(client, event)

    async def _send_event(self, client: Client, event: StoredEvent) -> None:
        topic = self._topic(event.treadmill, "event")
        await client.publish(topic, event_payload(event), qos=1, timeout=PUBACK_S)
        await self._store.set_cursor(CONSUMER, event.treadmill, event.seq)  # acknowledged by now

    async def _send_latest(self, client: Client) -> None:
        while True:
            await self._publish_dirty(client)
            self._dirtied.clear()
            await self._dirtied.wait()

    async def _publish_dirty(self, client: Client) -> None:
        while self._dirty:
            topic = next(iter(self._dirty))
            del self._dirty[topic]
            payload, qos = self._latest[topic]
            await client.publish(topic, payload, qos=qos, retain=True, timeout=PUBACK_S)

    async def _send_outbox(self, client: Client) -> None:
        while True:
            await self._post_letters(client)
            self._outbox_filled.clear()
            await self._outbox_filled.wait()

    async def _post_letters(self, client: Client) -> None:
        while self._outbox:
            letter = self._outbox[0]
            left_s = math.inf
            if letter.expires_s is not None:
                left_s = letter.expires_s - self._clock.now_s()
            if left_s > 0:
                await client.publish(
                    letter.topic,
                    letter.payload,
                    qos=1,
                    properties=self._expiry(left_s),
                    timeout=PUBACK_S,
                )
            if self._outbox and self._outbox[0] is letter:  # a full outbox may have dropped it
                self._outbox.popleft()

    def _expiry(self, left_s: float) -> Properties | None:
        if math.isinf(left_s) or self._connector.protocol != "5":
            return None
        return properties(PacketTypes.PUBLISH, MessageExpiryInterval=math.ceil(left_s))

    # --- in --------------------------------------------------------------------------------------

    async def _read(self, client: Client) -> None:
        async for message in client.messages:
            self._take(message)

    def _take(self, message: aiomqtt.Message) -> None:
        payload = bytes(message.payload)
        match message.topic.value.removeprefix(f"{self._base}/").split("/"):
            case ["bridge", "echo"]:
                if payload == self._marker:
                    self._backlog_over.set()
            case [treadmill, "announced"]:
                spoken = parse_spoken(payload)
                if treadmill in self._pacing and spoken and not message.retain:
                    self._deliver(treadmill, Delivered(announcement_id=spoken, channel="mqtt"))
                else:
                    self._complain(f"of no use: announced on {treadmill[:64]}: {payload[:64]!r}")
            case [treadmill, "command", verb] if treadmill in self._pacing and verb in _VERBS:
                command = parse_command(
                    Verb(verb),
                    payload,
                    retained=message.retain,
                    source=Source.MQTT,
                    now=self._now(),
                    waited=not self._backlog_over.is_set(),
                )
                self._deliver(treadmill, command)
            case [treadmill, "command", verb]:
                self._refuse_unknown(treadmill, verb, payload)
            case _:
                pass

    def _refuse_unknown(self, treadmill: str, verb: str, payload: bytes) -> None:
        self._complain(f"there is no command {verb[:64]!r} on treadmill {treadmill[:64]!r}")
        command_id = find_id(payload)
        if command_id is not None and _ID.fullmatch(treadmill):
            answer = unknown_verb_payload(command_id, verb[:64], self._now())
            self._post(self._topic(treadmill, "result"), answer)

    def _complain(self, text: str) -> None:
        """Log ``text`` once for each time that the connection changes."""
        if text not in self._complaints and len(self._complaints) < _TOLD:
            self._complaints.add(text)
            _log.warning("%s", text)


_VERBS = frozenset(verb.value for verb in Verb)


def _why(errors: BaseExceptionGroup[BaseException]) -> str:
    error = errors.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        return _why(error)
    return f"{error} ({error.__cause__})" if error.__cause__ else str(error)


def _backoff_s(failures: int) -> float:
    """Growing, and spread so that a hundred bridges do not return in the same instant."""
    longest_s = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2.0 ** min(failures, 10))
    return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret about it
