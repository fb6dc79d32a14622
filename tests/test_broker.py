"""The embedded broker, both of them: listens, is alone on its port, and leaves nothing behind."""

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import aiomqtt
import pytest

from bridge import broker as broker_module
from bridge.broker import HOST, BrokerError, EmbeddedBroker, Program, embedded_broker

needs_mosquitto = [
    pytest.mark.broker,
    pytest.mark.skipif(broker_module._mosquitto() is None, reason="mosquitto is not installed"),
]
both = pytest.mark.parametrize(
    "program", ["amqtt", pytest.param("mosquitto", marks=needs_mosquitto)]
)
CLOSED_S = 5.0  # for the kernel and Mosquitto to let go of a port


def client(broker: EmbeddedBroker, name: str, *, clean: bool = True) -> aiomqtt.Client:
    """A client that speaks the newest version the broker is said to speak."""
    if broker.protocol == "5":
        return aiomqtt.Client(
            HOST, broker.port, identifier=name, protocol=aiomqtt.ProtocolVersion.V5
        )
    return aiomqtt.Client(HOST, broker.port, identifier=name, clean_session=clean)


def bound_to(port: int) -> set[str]:
    """The addresses, in hex, on which this computer listens for ``port`` over IPv4 and IPv6."""
    tables = [Path(f"/proc/net/{name}").read_text(encoding="ascii") for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    local = [row[1].split(":") for row in rows if row[3] == "0A"]
    return {address for address, listening in local if int(listening, 16) == port}


def listens(port: int) -> bool:
    """Somebody accepts connections on ``port``."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@both
async def test_messages_pass_and_nothing_stays(
    program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    """A message goes round; after the block the port is closed, no task runs, no noise was made."""
    caplog.set_level(logging.INFO)
    tasks_before = asyncio.all_tasks()
    async with embedded_broker(0, program=program) as broker:
        assert (broker.program, broker.url) == (program, f"mqtt://127.0.0.1:{broker.port}")
        async with client(broker, "one") as one:
            await one.subscribe("hello", 1)
            await one.publish("hello", b"world", qos=1)
            async with asyncio.timeout(2):
                assert (await anext(one.messages)).payload == b"world"
    assert not listens(broker.port)
    assert asyncio.all_tasks() == tasks_before
    assert [record.name for record in caplog.records] == ["bridge.broker"]


@both
async def test_it_stops_with_clients_connected(program: Program) -> None:
    """The bridge may end before a phone does: the client sees the connection go."""
    async with embedded_broker(0, program=program) as broker:
        phone = client(broker, "phone")
        await phone.__aenter__()
    with pytest.raises(aiomqtt.MqttError):
        async with asyncio.timeout(2):
            await anext(phone.messages)
    await phone.__aexit__(None, None, None)
    assert not listens(broker.port)


@both
async def test_a_taken_port_gives_the_next(program: Program) -> None:
    """Somebody's own broker on 1883 is no reason to fail; the port in the URL is the real one."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with embedded_broker(port, program=program) as broker:
            assert port < broker.port <= port + broker_module._PORTS_TRIED
            async with client(broker, "one"):
                pass


@both
async def test_only_loopback_can_reach_it(program: Program) -> None:
    """It has no password, so it must not be on the network."""
    async with embedded_broker(0, program=program) as broker:
        assert bound_to(broker.port) == {"0100007F"}


async def test_without_any_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both ways are named, and the setting that avoids them."""
    monkeypatch.setattr(broker_module, "_mosquitto", lambda: None)
    monkeypatch.setattr(broker_module, "find_spec", lambda _: None)
    with pytest.raises(BrokerError, match=r"apt install mosquitto.*retrowalk\[broker\].*mqtt\.url"):
        async with embedded_broker(0):
            pass


async def test_without_mosquitto_it_is_amqtt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback says that it speaks 3.1.1 only, so that nobody tries 5 on it."""
    monkeypatch.setattr(broker_module, "_mosquitto", lambda: None)
    async with embedded_broker(0) as broker:
        assert (broker.program, broker.protocol) == ("amqtt", "3.1.1")


async def test_a_broker_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Mosquitto said is in the message; nothing waits for the timeout."""
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\necho 'Error: out of cheese' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(broker_module, "_mosquitto", lambda: str(program))
    with pytest.raises(BrokerError, match=r"at once \(3\): Error: out of cheese"):
        async with embedded_broker(0):
            pass


async def test_a_broker_that_hangs_is_given_up_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that neither listens nor ends on SIGTERM costs the two named timeouts, no more."""
    program = tmp_path / "mosquitto"
    program.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.05; done\n")
    program.chmod(0o755)
    monkeypatch.setattr(broker_module, "_mosquitto", lambda: str(program))
    monkeypatch.setattr(broker_module, "_READY_S", 0.3)
    monkeypatch.setattr(broker_module, "_STOP_S", 0.2)
    with pytest.raises(BrokerError, match="did not listen within"):
        async with embedded_broker(0):
            pass


_OWNER = """
import asyncio
from bridge.broker import embedded_broker

async def main():
    async with embedded_broker(0, program="mosquitto") as broker:
        print(broker.port, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.broker
@pytest.mark.skipif(broker_module._mosquitto() is None, reason="mosquitto is not installed")
class TestMosquitto:
    """What only the real one can do."""

    async def test_it_keeps_messages_between_runs(self, tmp_path: Path) -> None:
        """With a folder of its own, what was retained is there after a restart."""
        async with (
            embedded_broker(0, data_dir=tmp_path / "broker") as broker,
            client(broker, "one") as one,
        ):
            await one.publish("kept", b"yes", qos=1, retain=True)
        async with (
            embedded_broker(0, data_dir=tmp_path / "broker") as broker,
            client(broker, "two") as two,
        ):
            await two.subscribe("kept", 1)
            async with asyncio.timeout(2):
                assert (await anext(two.messages)).payload == b"yes"

    async def test_it_dies_with_its_owner(self) -> None:
        """After kill -9 of the bridge no orphan keeps the port and the house's clients."""
        owner = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _OWNER, stdout=asyncio.subprocess.PIPE
        )
        assert owner.stdout is not None
        port = int(await owner.stdout.readline())
        assert listens(port)
        os.kill(owner.pid, signal.SIGKILL)
        await owner.wait()
        async with asyncio.timeout(CLOSED_S):
            while listens(port):  # noqa: ASYNC110 - another process tells us nothing
                await asyncio.sleep(0.02)
