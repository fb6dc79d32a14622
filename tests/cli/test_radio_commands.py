"""`bridge.cli.scan`, `simulate` and `running`: arguments go to the room that does the work."""

import json
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bleak.backends.device import BLEDevice

import bridge.bluetooth.backend
import bridge.bluetooth.scan
from bridge import data
from bridge.bluetooth.scan import FITNESS_MACHINE, Seen
from bridge.cli.app import main
from bridge.config import load_settings


@pytest.fixture(autouse=True)
def _no_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "own_folder", lambda: tmp_path / "own")
    monkeypatch.delenv("RETROWALK_CONFIG", raising=False)


def ran(words: list[str]) -> int:
    """The exit code of a command line, in a thread of its own.

    These commands start an event loop (`asyncio.run`); in the main thread the virtual-time plugin
    keeps one around every test.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(main, words).result()


def air(monkeypatch: pytest.MonkeyPatch, *found: Seen) -> list[tuple[object, ...]]:
    """A radio that hears ``found``; the list tells how it was asked."""
    asked: list[tuple[object, ...]] = []

    @asynccontextmanager
    async def open_backend(backend: str, transport: str) -> AsyncIterator[str]:
        asked.append((backend, transport))
        yield "opened"

    async def scan(backend: object, timeout_s: float, *, everything: bool) -> list[Seen]:
        assert everything  # many treadmills advertise nothing but a name
        asked.append((backend, timeout_s))
        return list(found)

    monkeypatch.setattr(bridge.bluetooth.backend, "open_backend", open_backend)
    monkeypatch.setattr(bridge.bluetooth.scan, "scan", scan)
    return asked


GARAGE = Seen(
    address="AA:BB:CC:DD:EE:FF",
    name="Garage",
    rssi_dbm=-50,
    service_uuids=(FITNESS_MACHINE,),
    machine_types=("treadmill",),
    available=True,
    device=BLEDevice("AA:BB:CC:DD:EE:FF", "Garage", None),
)


def test_scan_uses_the_radio_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Backend and transport come from the settings; one row a machine."""
    asked = air(monkeypatch, GARAGE)
    file = tmp_path / "config.toml"
    file.write_text('[bluetooth]\nbackend = "bumble"\ntransport = "usb:0"\n')
    assert ran(["scan", "--timeout", "3", "--config", str(file)]) == 0
    assert asked == [("bumble", "usb:0"), ("opened", 3.0)]
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "AA:BB:CC:DD:EE:FF",
        "Garage",
        "-50",
        "treadmill",
        "standard",
    ]


def test_scan_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One list, without bleak's own handle."""
    air(monkeypatch, GARAGE)
    assert ran(["scan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "address": "AA:BB:CC:DD:EE:FF",
            "name": "Garage",
            "rssi_dbm": -50,
            "machine_types": ["treadmill"],
            "available": True,
            "device_profile": "standard",
            "other_family": None,
        }
    ]


def test_scan_names_what_is_not_ftms(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is listed with what speaks it; alone it is no machine to use (exit code 3)."""
    pad = Seen(address="AA", name="WalkingPad", device=BLEDevice("AA", "WalkingPad", None))
    phone = Seen(address="BB", name="Phone", device=BLEDevice("BB", "Phone", None))
    air(monkeypatch, pad, phone)
    assert ran(["scan"]) == 3
    out, err = capsys.readouterr()
    assert "WalkingPad" in out
    assert "Phone" not in out
    assert "ph4-walkingpad" in err
    air(monkeypatch, GARAGE, pad)
    assert ran(["scan", "--json"]) == 0
    garage, other = json.loads(capsys.readouterr().out)
    assert (garage["device_profile"], garage["other_family"]) == ("standard", None)
    assert other["device_profile"] is None
    assert other["other_family"]["name"] == "KingSmith WalkingPad (WiLink)"


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_nothing_in_reach_is_3(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3 and what to look at; with ``--json`` an empty list."""
    air(monkeypatch)
    assert ran(["scan", *words]) == 3
    out, err = capsys.readouterr()
    assert out == ("[]\n" if words else "")
    assert "is it on" in err


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    """Put a module in the place of one that needs a radio, a broker or a treadmill."""
    module = ModuleType(name)
    for key, value in content.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


def test_simulate_hands_its_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option of contract section 1, faults repeated."""
    from bridge.simulator import command

    seen: list[command.Options] = []

    async def simulate(options: command.Options) -> None:
        seen.append(options)

    monkeypatch.setattr(command, "simulate", simulate)
    words = "simulate --air 127.0.0.1:0 --model standard --fault silent:5 --fault lazy-belt"
    assert ran([*words.split(), "--name", "X", "--count", "3"]) == 0
    assert ran(["simulate", "--transport", "usb:0", "--address", "F0:F1:F2:F3:F4:09"]) == 0
    assert seen[0] == command.Options(
        air="127.0.0.1:0", faults=("silent:5", "lazy-belt"), name="X", count=3
    )
    assert seen[1] == command.Options(transport="usb:0", address="F0:F1:F2:F3:F4:09")


def test_simulate_needs_one_place_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a radio nor a controller: usage, exit code 2."""
    assert ran(["simulate"]) == 2
    assert "exactly one" in capsys.readouterr().err


def test_run_reads_the_settings_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bridge gets checked settings; wrong ones never start it (exit code 2)."""
    started: list[object] = []
    stand_in(monkeypatch, "bridge.daemon", run_bridge=lambda settings, _: started.append(settings))
    file = tmp_path / "config.toml"
    file.write_text('language = "de"\n')
    assert ran(["run", "--config", str(file)]) == 0
    assert started == [load_settings(file, {})]
    file.write_text("language = 3\n")
    assert ran(["run", "--config", str(file)]) == 2
    assert len(started) == 1


def test_demo_hands_its_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Program, speed, seed and page; and the demo's own exit code comes back."""
    seen: list[dict[str, object]] = []

    def run_demo(**options: object) -> int:
        seen.append(options)
        return len(seen) - 1

    stand_in(monkeypatch, "bridge.demo", run_demo=run_demo)
    assert ran(["demo"]) == 0
    assert (
        ran(["demo", "--program", "retro-ten", "--speedup", "30", "--no-web", "--seed", "7"]) == 1
    )
    assert seen[0] == {"program": "first-minute", "speedup": 10.0, "seed": 1, "web": True}
    assert seen[1] == {"program": "retro-ten", "speedup": 30.0, "seed": 7, "web": False}
