"""A client that somebody else wrote drives the simulated treadmill, over real packets.

pyftms wants Python 3.12 or 3.13 and brings packages of its own, so it is not among the locked ones:
`make test-pyftms` gives it an environment and runs this file there.
"""

import asyncio
from typing import Any

import bleak
import pytest

from bridge.bluetooth.backend import open_backend
from bridge.bluetooth.bumble_client import BumbleClient
from bridge.bluetooth.scan import find
from bridge.clock import LoopClock
from bridge.radio import VirtualRadio
from bridge.simulator.ftms_server import FtmsServer
from bridge.simulator.gatt import GattTreadmill

TREADMILL, CLIENT = "F0:F1:F2:F3:F4:21", "F0:F1:F2:F3:F4:22"
DATA_S = 60.0
"""Seconds of data that it must read without an error."""

pyftms = pytest.importorskip("pyftms", reason="not run: pyftms is not here (make test-pyftms)")


@pytest.mark.looptime
async def test_pyftms_reads_sets_starts_pauses_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features, ranges, speed, incline, start, pause, stop, and a minute of data: no error."""
    clock, radio = LoopClock(), VirtualRadio()
    server = FtmsServer(now_s=clock.now_s())
    device = await radio.device("Treadmill", TREADMILL)
    treadmill = GattTreadmill(device, server, clock)
    told: list[Any] = []
    async with (
        asyncio.TaskGroup() as tasks,
        open_backend("bumble", "test", device=await radio.device("client", CLIENT)) as backend,
    ):
        running = tasks.create_task(treadmill.run())
        seen = await find(backend, TREADMILL)

        class Bound(BumbleClient):
            """bleak's client for everybody, on this radio."""

            def __init__(self, *args: Any, **values: Any) -> None:
                super().__init__(*args, **{**backend.client_options, **values})

        monkeypatch.setattr(bleak, "get_platform_client_backend_type", lambda *_: (Bound, "bumble"))
        client = pyftms.get_client(
            seen.device, pyftms.MachineType.TREADMILL, on_ftms_event=told.append
        )
        await client.connect()
        assert "speed_instant" in client.supported_properties
        ranges = client.supported_ranges
        assert (ranges["target_speed"].min_value, ranges["target_speed"].max_value) == (0.5, 12.0)
        success = pyftms.ResultCode.SUCCESS
        assert await client.start_resume() == success
        await asyncio.sleep(3)
        assert await client.set_target_speed(2.3) == success
        assert await client.set_target_inclination(1.5) == success
        await asyncio.sleep(DATA_S)
        # pyftms cuts 2.3 to 2.29 on the way out; the machine takes its own step below.
        assert server.belt.speed_kmh == pytest.approx(2.2, abs=0.011)
        assert server.belt.incline_pct == 1.5
        assert await client.pause() == success
        await asyncio.sleep(10)
        assert server.belt.speed_kmh == 0
        assert await client.start_resume() == success
        await asyncio.sleep(5)
        assert await client.stop() == success
        await asyncio.sleep(10)
        assert server.belt.speed_kmh == 0
        await client.disconnect()
        running.cancel()
    updates = [event for event in told if event.event_id == "update"]
    assert len(updates) >= DATA_S / 2
