"""An MQTT broker of our own, for homes that have none: Mosquitto as a child, else amqtt inside.

Mosquitto is used where it is installed: it speaks MQTT 5 and keeps sessions over a restart. amqtt
is a Python package (the ``broker`` extra) that speaks 3.1.1 only: enough for a demo. Both listen on
loopback only, without passwords. What this module refuses to know: topics, and who connects.
"""

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from bridge.core.errors import BridgeError

HOST = "127.0.0.1"
DEFAULT_PORT = 1883

_READY_S = 10.0
"""Mosquitto answers within 0.1 s on a PC; a Raspberry Pi that reads a large record is slower."""

_STOP_S = 5.0
"""Time to write its sessions to disk before it is killed."""

_POLL_S = 0.02
"""There is no readiness signal but the port itself."""

_PORTS_TRIED = 50
"""How far above the wanted port to look for a free one."""

_log = logging.getLogger(__name__)

Program = Literal["mosquitto", "amqtt"]


class BrokerError(BridgeError):
    """No broker could be started or reached; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedBroker:
    """A broker that runs: where, what it is, and the newest MQTT version it speaks."""

    port: int
    program: Program
    protocol: Literal["5", "3.1.1"]

    @property
    def url(self) -> str:
        """``mqtt://127.0.0.1:1883``."""
        return f"mqtt://{HOST}:{self.port}"


@asynccontextmanager
async def embedded_broker(
    port: int = DEFAULT_PORT, *, data_dir: Path | None = None, program: Program | None = None
) -> AsyncIterator[EmbeddedBroker]:
    """Run a broker for the length of the block, on ``port`` or the next free one (0: any).

    ``data_dir`` is where Mosquitto keeps sessions and retained messages between runs; without it
    they are forgotten. ``program`` insists on one of the two. Raises `BrokerError` when it is not
    installed or does not start.
    """
    mosquitto = _mosquitto()
    if program != "amqtt" and mosquitto is not None:
        async with _mosquitto_child(mosquitto, _free_port(port), data_dir) as broker:
            yield broker
    elif program != "mosquitto" and find_spec("amqtt") is not None:
        async with _amqtt_inside(_free_port(port)) as broker:
            yield broker
    else:
        raise BrokerError(
            f"there is no {program or 'broker'} to start: install Mosquitto (apt install mosquitto)"
            " or the extra (pip install 'retrowalk[broker]'), or set mqtt.url to a broker of yours"
        )


def _mosquitto() -> str | None:
    # Debian installs it where only root's PATH looks.
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _free_port(wanted: int) -> int:
    last = min(wanted + _PORTS_TRIED, 65536) if wanted else 1
    for port in range(wanted, last):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            free = int(probe.getsockname()[1])
            if wanted and free != wanted:
                _log.warning("port %d is taken; the broker listens on %d", wanted, free)
            return free
    raise BrokerError(f"no free port between {wanted} and {last - 1} for the broker")


# --- Mosquitto -----------------------------------------------------------------------------------

_CONFIG = """\
listener {port} {host}
allow_anonymous true
# Without it a last will or an echo waits 40 ms for the network (Nagle).
set_tcp_nodelay true
# The default keeps the oldest 1000 messages for a client that is away and drops the rest.
max_queued_messages 0
persistence true
persistence_location {folder}/
autosave_interval 300
log_dest stderr
log_type error
log_type warning
"""


@asynccontextmanager
async def _mosquitto_child(
    mosquitto: str, port: int, data_dir: Path | None
) -> AsyncIterator[EmbeddedBroker]:
    with _folder(data_dir) as folder:
        config = folder / "mosquitto.conf"
        config.write_text(_mosquitto_config(port, folder), encoding="utf-8")
        with (folder / "mosquitto.log").open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                *_dying_with_us(),
                mosquitto,
                "-c",
                str(config),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: the broker must outlive our goodbye
            )
        try:
            await _ready(child, port, folder / "mosquitto.log")
            _log.info("mosquitto listens on %s:%d", HOST, port)
            yield EmbeddedBroker(port=port, program="mosquitto", protocol="5")
        finally:
            await _end(child)


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is None:
        with TemporaryDirectory(prefix="retrowalk-broker-") as name:
            yield Path(name)
    else:
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BrokerError(f"the broker's folder cannot be made: {error}") from error
        yield data_dir


def _mosquitto_config(port: int, folder: Path) -> str:
    config = _CONFIG.format(port=port, host=HOST, folder=folder)
    # Started by root it would become user "mosquitto", who may not write to our folder.
    return config + "user root\n" if os.geteuid() == 0 else config


def _dying_with_us() -> tuple[str, ...]:
    """After ``kill -9`` of the bridge an orphan would keep the port, and its clients."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "TERM") if setpriv else ()


async def _ready(child: asyncio.subprocess.Process, port: int, log: Path) -> None:
    try:
        async with asyncio.timeout(_READY_S):
            while child.returncode is None:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection(HOST, port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise BrokerError(f"mosquitto did not listen within {_READY_S:g} s") from None
    raise BrokerError(f"mosquitto ended at once ({child.returncode}): {_said(log)}")


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace").strip()


async def _end(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        child.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await child.wait()
        except TimeoutError:
            child.kill()
    await child.wait()


# --- amqtt ---------------------------------------------------------------------------------------


@asynccontextmanager
async def _amqtt_inside(port: int) -> AsyncIterator[EmbeddedBroker]:
    # Imported here: 0.3 s that only its users should pay.
    from amqtt.broker import Broker  # type: ignore[import-untyped]  # noqa: PLC0415 - see above
    from amqtt.errors import BrokerError as AmqttError  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

    writers: set[asyncio.StreamWriter] = set()

    class ClosingBroker(Broker):  # type: ignore[misc]
        """It leaves a connection open when the client was cut off, or never said CONNECT."""

        async def stream_connected(
            self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
        ) -> None:
            writers.add(writer)
            try:
                await super().stream_connected(reader, writer, listener_name)
            finally:
                writer.close()
                writers.discard(writer)

    with _quiet("amqtt", "transitions"):
        broker = ClosingBroker(_amqtt_config(port))
        try:
            await broker.start()
        except AmqttError as error:
            raise BrokerError(f"amqtt does not start on port {port}: {error}") from error
        try:
            _log.info("amqtt listens on %s:%d", HOST, port)
            yield EmbeddedBroker(port=port, program="amqtt", protocol="3.1.1")
        finally:
            # It would go on accepting clients while it ends, and then wait for them.
            for server in broker._servers.values():  # noqa: SLF001 - the version is pinned
                server.instance.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await broker.shutdown()
            for writer in writers:
                writer.close()
            await asyncio.sleep(0)  # the turn in which transports close


def _amqtt_config(port: int) -> dict[str, object]:
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """It logs every client that leaves as an error."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
