"""``retrowalk run``: the bridge as a program that is started, waits for its end, and ends in order.

Knows patience and the terminal's question; what a bridge is made of is `bridge.app`'s.
"""

import asyncio
import logging
import sys
from pathlib import Path

from bridge.app import Bridge, open_bridge
from bridge.bluetooth.backend import open_backend
from bridge.bluetooth.scan import Seen, scan
from bridge.core.errors import LinkError
from bridge.ending import Ending, run_until_signal
from bridge.settings import Settings, TreadmillSettings

PATIENCE_S = 10.0
"""How long the broker, and then the adapter, may take at the start before `run` gives up (exit 3):
what starts together with the bridge is there within seconds."""

ADAPTER_RETRY_S = 1.0

SCAN_S = 10.0
"""How long an unconfigured bridge looks for the one treadmill in reach."""

_log = logging.getLogger(__name__)


def run_bridge(settings: Settings, capture: Path | None = None) -> int:
    """Until SIGTERM (0) or Ctrl-C (130). Raises `LinkError` when something is out of reach.

    Either signal walks the belts down and stops them; a second one leaves at once.
    """
    return run_until_signal(lambda ending: _run(settings, ending, capture))


async def _run(settings: Settings, ending: Ending, capture: Path | None = None) -> int:
    if not settings.treadmill:
        settings = await _find_the_one(settings)
    async with open_bridge(settings, capture=capture) as bridge:
        await _reach_broker(bridge)
        await _reach_adapter(bridge)
        _log.info("ready: %s on %s", ", ".join(bridge.loops), _where(bridge))
        await ending.awaited()
        _log.info("ending: walking belts down")
    return ending.code


def _where(bridge: Bridge) -> str:
    return bridge.settings.mqtt.url if bridge.broker is None else bridge.broker.url


async def _reach_broker(bridge: Bridge) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await bridge.mqtt.reached.wait()
    except TimeoutError:
        raise LinkError(
            f"no MQTT broker at {_where(bridge)}: is it running, and is mqtt.url right? "
            'mqtt.url = "embedded" starts one'
        ) from None


async def _reach_adapter(bridge: Bridge) -> None:
    """There must be a radio; a treadmill may come later, it is off most of the day."""
    problem = "the Bluetooth adapter does not answer"
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    async with bridge.backend.listening(lambda *_: None):
                        return
                except LinkError as error:
                    problem = str(error)
                await asyncio.sleep(ADAPTER_RETRY_S)
    except TimeoutError:
        raise LinkError(problem) from None


async def _find_the_one(settings: Settings) -> Settings:
    """No treadmill is configured: look for the one in reach, and ask before it is used."""
    bluetooth = settings.bluetooth
    async with open_backend(bluetooth.backend, bluetooth.transport) as backend:
        found = await scan(backend, SCAN_S)
    if len(found) != 1:
        names = ", ".join(f"{seen.name or '?'} ({seen.address})" for seen in found)
        raise LinkError(
            f"no treadmill is configured, and there are several in reach: {names}; name one in a "
            "[[treadmill]] table of the settings file"
            if found
            else "no treadmill is configured and none is in reach: switch it on, close other apps "
            "that use it, and look with `retrowalk scan`"
        )
    seen = found[0]
    if not await _agreed(seen):
        raise LinkError(
            f"{seen.name or seen.address} is in reach, but nobody agreed to use it: add a "
            f'[[treadmill]] table with address = "{seen.address}" to the settings file'
        )
    treadmill = TreadmillSettings(id="treadmill", address=seen.address)
    return settings.model_copy(update={"treadmill": (treadmill,)})


async def _agreed(seen: Seen) -> bool:
    """Ask at the terminal; without one the answer is no."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"Use {seen.name or 'the treadmill'} ({seen.address})? [y/N] ")
    sys.stderr.flush()
    # Not in a thread: nothing could end one that waits for a person, not even Ctrl-C.
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
