"""One connection to an MQTT broker: address, TLS, protocol version, and what aiomqtt leaves open.

Each connection is a new client object (only then does a refused login show) that continues the
broker's session of the same name. MQTT 5 is tried first; a broker that does not answer it gets
3.1.1. What this module refuses to know: topics and payloads, when to connect again.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import unquote, urlsplit

import aiomqtt
from aiomqtt import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from bridge.core.errors import ConfigError

CONNACK_S = 5.0
"""For the answer to a CONNECT. amqtt never answers one of MQTT 5, so this is also the price of
finding that out."""

PUBACK_S = 3.0
"""For the acknowledgement of a message; aiomqtt does not notice by itself that the link is gone."""

KEEPALIVE_S = 15
"""The broker publishes the last will after 1.5 times this; with the usual 60 s people would
see a dead bridge as alive for a minute and a half."""

SESSION_EXPIRY_S = 3600
"""How long the broker keeps our session. Commands older than 5 s are refused anyway."""

_INFLIGHT = 20
"""Messages under way at once: the client library's default, and what brokers are tested with."""

_WRONG_VERSION = {0x01, 0x84}
"""CONNACK codes for "I do not speak this version", of 3.1.1 and of 5."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the broker is and how to log in. ``protocol`` is given when it is known beforehand."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    protocol: Literal["5", "3.1.1"] | None = None

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        password: str | None = None,
        ca_file: Path | None = None,
        cert_file: Path | None = None,
        key_file: Path | None = None,
        protocol: Literal["5", "3.1.1"] | None = None,
    ) -> Self:
        """From ``mqtt://user@host:1883`` or ``mqtts://``, as in the settings.

        Raises `ConfigError` when the URL or a certificate is of no use.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
            raise ConfigError(f"mqtt.url is {url!r}; it must be mqtt://[user@]host[:port] or mqtts")
        secure = parts.scheme == "mqtts"
        return cls(
            host=parts.hostname,
            port=parts.port or (8883 if secure else 1883),
            username=unquote(parts.username) if parts.username else None,
            password=password,
            tls=_tls(ca_file, cert_file, key_file) if secure else None,
            protocol=protocol,
        )


def _tls(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(file) for file in (ca_file, cert_file, key_file) if file)
        raise ConfigError(f"mqtt: a certificate cannot be used ({files}): {error}") from error
    return context


class Client(aiomqtt.Client):
    """aiomqtt's client, with three of its gaps closed."""

    reached = False
    """A socket to the broker was opened."""

    def abandon(self) -> None:
        """Close what a failed connect left open: aiomqtt keeps the socket and its task."""
        self._client.on_socket_register_write = None  # write now, not in a later turn of the loop
        self._client.disconnect()

    async def _wait_for(self, fut: Awaitable[_T], timeout: float | None) -> _T:  # noqa: ASYNC109 - aiomqtt's signature
        # Until Python 3.12 asyncio.wait_for, which aiomqtt uses, swallows a cancellation that comes
        # with the result (python/cpython#86296): the sending task would then never end.
        try:
            async with asyncio.timeout(self.timeout if timeout is None else timeout):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

    def _on_socket_open(self, *args: Any) -> None:
        self.reached = True
        super()._on_socket_open(*args)

    def _on_publish(
        self,
        client: Any,
        userdata: Any,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        if reason_code.is_failure:
            # aiomqtt would take it for success. Left unanswered, publish() fails in time.
            _log.error("the broker refuses what we publish (%s); check its ACL", reason_code)
            return
        super()._on_publish(client, userdata, mid, reason_code, properties)


class Connector:
    """Makes connections to one broker, under one name, with one last will."""

    def __init__(self, address: BrokerAddress, identifier: str, will: aiomqtt.Will) -> None:
        self._address = address
        self._identifier = identifier
        self._will = will
        self.protocol: Literal["5", "3.1.1"] | None = address.protocol
        """The version that is spoken; ``None`` until the first connection."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Client]:
        """A connection for the length of the block. Raises `aiomqtt.MqttError`."""
        async with AsyncExitStack() as stack:
            yield await self._enter(stack)

    async def _enter(self, stack: AsyncExitStack) -> Client:
        if self.protocol is None:
            client = self._client("5")
            try:
                return await self._open(stack, client, "5")
            except aiomqtt.MqttError as error:
                if not client.reached or not _may_be_the_version(error):
                    raise
                _log.info("the broker does not answer MQTT 5 (%s); trying 3.1.1", error)
        protocol = self.protocol or "3.1.1"
        return await self._open(stack, self._client(protocol), protocol)

    async def _open(
        self, stack: AsyncExitStack, client: Client, protocol: Literal["5", "3.1.1"]
    ) -> Client:
        try:
            await stack.enter_async_context(client)
        except BaseException:
            client.abandon()
            raise
        self.protocol = protocol
        return client

    def _client(self, protocol: Literal["5", "3.1.1"]) -> Client:
        if protocol == "5":
            # Never clean: Mosquitto does not save a session that began with a clean start.
            version: dict[str, Any] = {
                "protocol": ProtocolVersion.V5,
                "clean_start": False,
                "properties": properties(
                    PacketTypes.CONNECT, SessionExpiryInterval=SESSION_EXPIRY_S
                ),
            }
        else:
            version = {"protocol": ProtocolVersion.V311, "clean_session": False}
        client = Client(
            self._address.host,
            self._address.port,
            username=self._address.username,
            password=self._address.password,
            identifier=self._identifier,
            tls_context=self._address.tls,
            will=self._will,
            timeout=CONNACK_S,
            keepalive=KEEPALIVE_S,
            max_inflight_messages=_INFLIGHT,
            # Without it an answer that follows an acknowledgement waits 40 ms (Nagle).
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            **version,
        )
        client.pending_calls_threshold = 10_000  # one for each treadmill is no cause for alarm
        return client


def properties(packet: int, **values: int) -> Properties:
    """MQTT 5 properties of a packet, under their names in the standard (section 2.2.2.2)."""
    made = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return made


def _may_be_the_version(error: aiomqtt.MqttError) -> bool:
    """No answer at all may be about the version; of the refusals only two are."""
    code = getattr(error, "rc", None)
    return code is None or getattr(code, "value", code) in _WRONG_VERSION
