"""The choice of the stack, and the scan that everybody shares."""

import asyncio
import socket

import pytest
from bleak.backends.device import BLEDevice

from bridge.bluetooth.backend import SCAN_RENEW_S, Backend, open_backend
from bridge.bluetooth.scan import FITNESS_MACHINE, find, scan
from bridge.core.errors import ConfigError, LinkError
from tests.bluetooth.peripheral import ADDRESS, on_air

looptime = pytest.mark.looptime


@looptime
async def test_everybody_shares_one_scan() -> None:
    """BlueZ refuses a second scanner in a process: three at once hear the machine, on one."""
    async with on_air() as air, asyncio.TaskGroup() as tasks:
        scans = [tasks.create_task(scan(air.backend, 0.2)) for _ in range(2)]
        found = tasks.create_task(find(air.backend, "Tread-01"))
    assert [[seen.address for seen in task.result()] for task in scans] == [[ADDRESS]] * 2
    assert found.result().address == ADDRESS


@looptime
async def test_late_listeners_are_told_what_was_heard() -> None:
    """BlueZ 5.82 reports a constant advertisement once: who joins later hears of it too."""
    assert await _heard_after_silence_of(0.2) == [ADDRESS]


@looptime
async def test_an_old_scan_begins_anew() -> None:
    """Joined after a minute, the scan forgets what has gone silent since."""
    assert await _heard_after_silence_of(SCAN_RENEW_S) == []


async def _heard_after_silence_of(silence_s: float) -> list[str]:
    heard: list[str] = []
    async with on_air() as air, air.backend.listening(lambda *_: None):
        await asyncio.sleep(0.2)
        await air.machine.device.stop_advertising()
        await asyncio.sleep(silence_s)
        async with air.backend.listening(lambda device, _: heard.append(device.address)):
            pass
    return heard


@looptime
async def test_the_scan_ends_with_the_last_listener() -> None:
    """Nothing scans while nobody listens, and the next listener starts it again."""
    async with on_air() as air:
        controllers = [c for c in air.radio.controllers if c.name == "bridge"]
        for _ in range(2):
            await find(air.backend, ADDRESS)
            assert [c.le_scan_enable for c in controllers] == [False]


async def test_unreachable_transport_is_a_link_error() -> None:
    """A controller that cannot be opened is reported, not raised as whatever Bumble raises."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        spec = f"tcp-client:127.0.0.1:{free.getsockname()[1]}"
    async with open_backend("bumble", spec) as backend:
        with pytest.raises(LinkError, match="cannot open Bluetooth transport"):
            await scan(backend, 0.1)


@pytest.mark.parametrize(
    ("kind", "words"), [("bumble", r"bluetooth\.transport"), ("pigeon", "system and bumble")]
)
async def test_impossible_settings_are_refused(kind: str, words: str) -> None:
    """The message names the setting and what is allowed."""
    with pytest.raises(ConfigError, match=words):
        async with open_backend(kind):
            pass


async def test_the_system_backend_is_bleaks_own() -> None:
    """No class is put in the place of bleak's, and a named adapter is passed on."""
    async with open_backend("system", "hci1") as backend:
        assert backend.client_options == {"bluez": {"adapter": "hci1"}}
    async with open_backend("system") as backend:
        assert backend.client_options == {}


async def test_no_bluetooth_at_all_is_a_link_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without D-Bus bleak raises `FileNotFoundError`, which is no `BleakError`."""

    async def no_bus(_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("bleak.BleakScanner.start", no_bus)
    async with open_backend("system") as backend:
        with pytest.raises(LinkError, match="no usable Bluetooth adapter"):
            await scan(backend, 0.1)


async def test_connected_devices_count_as_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine the system is connected to does not advertise: it is asked for, then found."""
    device = BLEDevice("AA:BB:CC:DD:EE:FF", "Belt", None)

    async def connected(_: Backend, service: str) -> list[BLEDevice]:
        assert service == FITNESS_MACHINE
        return [device]

    monkeypatch.setattr(Backend, "connected_devices", connected)
    async with open_backend("system") as backend:
        assert (await find(backend, "Belt")).device is device
