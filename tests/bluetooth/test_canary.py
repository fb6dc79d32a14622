"""What is relied on in the installed bleak and its connector, so that upgrades break here."""

import inspect
from typing import Any

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import BaseBleakScanner
from bleak.exc import BleakError, BleakGATTProtocolError, BleakGATTProtocolErrorCode
from bleak_retry_connector import BLEAK_TIMEOUT, establish_connection

from bridge.bluetooth.connection import CONNECT_TIMEOUT_S

DEVICE = BLEDevice("AA:BB:CC:DD:EE:FF", "Belt", None)


def test_a_backend_must_implement_exactly_this() -> None:
    """A new abstract method would make `BumbleClient` impossible to build."""
    assert BaseBleakClient.__abstractmethods__ == {
        *("mtu_size", "connect", "disconnect", "pair", "unpair", "is_connected"),
        *("read_gatt_char", "read_gatt_descriptor", "write_gatt_char", "write_gatt_descriptor"),
        *("start_notify", "stop_notify"),
    }
    assert BaseBleakScanner.__abstractmethods__ == {"start", "stop"}


class _Scanner(BaseBleakScanner):
    def __init__(self, callback: Any, uuids: Any, mode: str, *, extra: int, **_: Any) -> None:
        super().__init__(callback, uuids)
        self.got = (mode, extra)

    async def start(self) -> None:
        """Nothing."""

    async def stop(self) -> None:
        """Nothing."""


def test_unknown_options_reach_a_scanner_backend() -> None:
    """That is how the Bumble scanner gets its adapter."""
    scanner: Any = BleakScanner(backend=_Scanner, extra=7)
    assert scanner._backend.got == ("active", 7)


class _Client:
    def __init__(self, device: BLEDevice, **options: Any) -> None:
        self.device = device
        self.options = options
        self.calls: list[tuple[bool, dict[str, Any]]] = []
        self.services = None
        self.is_connected = False

    async def connect(self, pair: bool, **options: Any) -> None:
        """Remember how."""
        self.calls.append((pair, options))
        if len(self.calls) < self.options["fail"]:
            raise BleakError("not yet")


async def test_the_connector_passes_options_and_tries_again() -> None:
    """`backend=` and what it does not know reach bleak; ``max_attempts`` counts failures."""
    options: dict[str, Any] = {"backend": _Client, "fail": 2}
    client: Any = await establish_connection(
        BleakClient, DEVICE, "Belt", max_attempts=2, use_services_cache=False, **options
    )
    made = client._backend
    assert made.options["fail"] == 2
    assert (
        made.calls == [(False, {"timeout": BLEAK_TIMEOUT, "dangerous_use_bleak_cache": False})] * 2
    )
    assert BLEAK_TIMEOUT < CONNECT_TIMEOUT_S


async def test_disconnection_is_told_with_the_client() -> None:
    """The backend's callback takes nothing, the caller's takes the client."""
    told: list[BleakClient] = []
    options: dict[str, Any] = {"backend": _Client, "fail": 0}
    client: Any = BleakClient(DEVICE, told.append, **options)
    client._backend.options["disconnected_callback"]()
    assert told == [client]


def test_services_are_refused_without_a_link() -> None:
    """Reads and writes by UUID then fail with a plain `BleakError`."""
    options: dict[str, Any] = {"backend": _Client, "fail": 0}
    with pytest.raises(BleakError, match="Service Discovery"):
        _ = BleakClient(DEVICE, **options).services


@pytest.mark.parametrize("code", [0x0E, 0x80, 0xFD, 0xFE])
def test_protocol_errors_carry_their_code(code: int) -> None:
    """Also codes that have no name."""
    assert int(BleakGATTProtocolError(code).code) == code
    assert int(BleakGATTProtocolErrorCode.UNLIKELY_ERROR) == 0x0E


def test_a_plain_callback_is_called_directly() -> None:
    """A task is made for each notification only if the callback is a coroutine function."""
    assert "iscoroutinefunction(callback)" in inspect.getsource(BleakClient.start_notify)
