"""``retrowalk run`` as a service manager runs it, and what it says when something is missing."""

import asyncio
import io
import json
import os
import pty
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge import daemon
from bridge.bluetooth.backend import Backend
from bridge.bluetooth.scan import Seen
from bridge.broker import EmbeddedBroker
from bridge.cli.app import main
from bridge.cli.exit_codes import exit_code, leading_error
from bridge.core.errors import BridgeError, LinkError
from bridge.ending import Ending
from bridge.settings import Settings
from tests.home import outside
from tests.processes import Command, alive, alone, retrowalk

ADDRESS = "F0:F1:F2:F3:F4:01"
OFF = "F0:F1:F2:F3:F4:09"


def config(folder: Path, transport: str, address: str = ADDRESS) -> str:
    """A settings file for one treadmill behind this transport."""
    file = folder / "retrowalk.toml"
    file.write_text(
        f"""
[bluetooth]
backend = "bumble"
transport = "{transport}"
[store]
path = "record"
[[walker]]
id = "me"
accepted_safety = 1
[[treadmill]]
id = "garage"
address = "{address}"
walker = "me"
""",
        encoding="utf-8",
    )
    return str(file)


async def broker_of(command: Command) -> EmbeddedBroker:
    """The broker that a bridge has started."""
    listens = await command.until(" listens on 127.0.0.1:")
    port = int(listens.rpartition(":")[2])
    if "mosquitto listens" in listens:
        return EmbeddedBroker(port=port, program="mosquitto", protocol="5")
    return EmbeddedBroker(port=port, program="amqtt", protocol="3.1.1")


async def test_two_processes_drive_a_session_and_sigterm_ends_the_belt(tmp_path: Path) -> None:
    """Over a radio behind TCP: armed, started, raised; then S18: walked down, stopped, exit 0."""
    simulate = ("simulate", "--air", "127.0.0.1:0", "--press-start-after", "3", "--json")
    async with retrowalk(tmp_path, *simulate) as simulator:
        ready = json.loads(await simulator.until('"ready"'))
        settings = config(tmp_path, f"tcp-client:{ready['on']}")
        async with alone():
            running = retrowalk(tmp_path, "run", "--config", settings)
            bridge = await running.__aenter__()
            broker = await broker_of(bridge)
            await bridge.until("ready: garage on mqtt://127.0.0.1:")
        try:
            async with outside(broker) as person:
                await person.until("garage/availability", lambda said: said == "online")
                await person.ask("garage", "arm", program="first-minute", walker="me")
                await person.event("garage", "session_started")
                risen = await person.event("garage", "target_changed")
                assert risen["data"]["target_speed_kmh"] == 2.0
                bridge.send(signal.SIGTERM)
                ended = await person.event("garage", "session_ended")
                assert ended["data"]["reason"] == "stop_bridge"
                await person.until("bridge/availability", lambda said: said == "offline")
                numbers = person.numbers("garage")
                assert numbers == list(range(1, len(numbers) + 1))
            assert await bridge.ended() == 0
        finally:
            await running.__aexit__(None, None, None)
        assert "Traceback" not in bridge.text
        written = [json.loads(line) for line in simulator.lines]
        asked = [each["op"] for each in written if each["kind"] == "write"]
        assert "start_or_resume" not in asked
        assert asked[-1] == "stop_or_pause"


async def test_ctrl_c_without_a_treadmill(tmp_path: Path) -> None:
    """Waiting for a machine that is off is no reason to be slow: 130, broker gone."""
    async with retrowalk(tmp_path, "simulate", "--air", "127.0.0.1:0", "--json") as simulator:
        ready = json.loads(await simulator.until('"ready"'))
        settings = config(tmp_path, f"tcp-client:{ready['on']}", OFF)
        async with alone(), retrowalk(tmp_path, "run", "--config", settings) as bridge:
            await bridge.until("ready: garage")
            children = bridge.children()
            bridge.send(signal.SIGINT)
            async with asyncio.timeout(5):
                assert await bridge.ended() == 130
    assert "Traceback" not in bridge.text
    assert alive(children) == []


async def test_a_signal_during_the_start_is_not_kept_waiting(tmp_path: Path) -> None:
    """No broker yet: the patience is for the broker, not for whoever ends the bridge."""
    settings = config(tmp_path, "tcp-client:127.0.0.1:1")
    more = {"RETROWALK_MQTT__URL": "mqtt://127.0.0.1:1"}
    async with retrowalk(tmp_path, "run", "--config", settings, **more) as bridge:
        await bridge.until("no MQTT broker")
        bridge.send(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await bridge.ended() == 0
    assert "Traceback" not in bridge.text


async def test_without_an_adapter_or_a_treadmill(tmp_path: Path) -> None:
    """Nothing configured: exit 3 with what to do, and no traceback."""
    broken = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/none"}
    async with retrowalk(tmp_path, "run", **broken) as bridge:
        assert await bridge.ended() == 3
    assert "plug one in or switch Bluetooth on" in bridge.text
    assert "Traceback" not in bridge.text


def test_wrong_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2: file, key and the nearest right one."""
    file = tmp_path / "wrong.toml"
    file.write_text('[mqtt]\nurll = "embedded"\n', encoding="utf-8")
    assert main(["run", "--config", str(file)]) == 2
    said = capsys.readouterr().err
    assert "wrong.toml" in said
    assert "url" in said


class TestOutOfReach:
    """What is missing is named, with what to do; exit 3."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(daemon, "PATIENCE_S", 0.5)
        monkeypatch.setattr(daemon, "ADAPTER_RETRY_S", 0.1)

    @staticmethod
    async def said(folder: Path, **more: dict[str, object]) -> str:
        """What `run` ends with."""
        settings = Settings.model_validate(
            {
                "bluetooth": {"backend": "bumble", "transport": "tcp-client:127.0.0.1:1"},
                "store": {"path": str(folder)},
                "treadmill": [{"id": "garage", "address": ADDRESS}],
                **more,
            }
        )
        with pytest.raises(ExceptionGroup) as raised:
            await daemon._run(settings, Ending({}))
        leader = leading_error(raised.value)
        assert isinstance(leader, BridgeError)
        assert exit_code(leader) == 3
        return str(leader)

    async def test_a_broker(self, tmp_path: Path) -> None:
        """Its address, and the way without one."""
        said = await self.said(tmp_path, mqtt={"url": "mqtt://127.0.0.1:1"})
        assert said.startswith("no MQTT broker at mqtt://127.0.0.1:1: is it running")
        assert 'mqtt.url = "embedded"' in said

    async def test_a_controller(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A treadmill is configured, but the way to the radio refuses."""

        async def reached(_: object) -> None:
            return

        monkeypatch.setattr(daemon, "_reach_broker", reached)
        said = await self.said(tmp_path, mqtt={"url": "mqtt://127.0.0.1:1"})
        assert "'tcp-client:127.0.0.1:1'" in said
        assert "bluetooth.transport" in said


GARAGE = Seen(address=ADDRESS, name="Garage", device=None)  # type: ignore[arg-type]
ATTIC = Seen(address="F0:F1:F2:F3:F4:02", name="", device=None)  # type: ignore[arg-type]
UNCONFIGURED = Settings.model_validate(
    {"bluetooth": {"backend": "bumble", "transport": "never-opened"}}
)


@pytest.fixture
def in_reach(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say what a scan finds."""

    def found(*seen: Seen) -> None:
        async def scan(_: Backend, __: float) -> list[Seen]:
            return list(seen)

        monkeypatch.setattr(daemon, "scan", scan)

    return found


class TestNothingConfigured:
    """Contract section 2: look for the one treadmill in reach, and ask before it is used."""

    @pytest.mark.parametrize(
        ("seen", "words"),
        [
            ((), ["none is in reach", "retrowalk scan"]),
            ((GARAGE, ATTIC), ["several in reach", "Garage", "? (F0:F1:F2:F3:F4:02)"]),
            ((GARAGE,), ["nobody agreed", f'address = "{ADDRESS}"']),
        ],
    )
    async def test_without_a_person_nothing_is_used(
        self,
        seen: tuple[Seen, ...],
        words: list[str],
        in_reach: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """None, several, or one but nobody at a terminal: each says what to do."""
        in_reach(*seen)
        monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
        with pytest.raises(LinkError) as raised:
            await daemon._find_the_one(UNCONFIGURED)
        for word in words:
            assert word in str(raised.value)

    @pytest.mark.parametrize(("typed", "used"), [(b"y\n", True), (b"\n", False), (b"no\n", False)])
    async def test_a_person_is_asked(
        self,
        typed: bytes,
        *,
        used: bool,
        in_reach: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Only a yes is a yes; the question goes to stderr."""
        in_reach(GARAGE)
        person, terminal = pty.openpty()
        with os.fdopen(terminal, encoding="ascii") as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            asyncio.get_running_loop().call_later(0.05, os.write, person, typed)
            if used:
                settings = await daemon._find_the_one(UNCONFIGURED)
                [treadmill] = settings.treadmill
                assert (treadmill.id, treadmill.address) == ("treadmill", ADDRESS)
            else:
                with pytest.raises(LinkError, match="nobody agreed"):
                    await daemon._find_the_one(UNCONFIGURED)
        os.close(person)
        assert capsys.readouterr().err == f"Use Garage ({ADDRESS})? [y/N] "

    async def test_an_unanswered_question_can_be_left(
        self, in_reach: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C at the question: a thread in `input` would have kept the process."""
        in_reach(GARAGE)
        person, terminal = pty.openpty()
        with os.fdopen(terminal, encoding="ascii") as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await daemon._find_the_one(UNCONFIGURED)
            assert asyncio.get_running_loop().remove_reader(stdin) is False
        os.close(person)
