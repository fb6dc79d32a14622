"""A strap on the same radio: its bytes reach the inbox as they are, and it comes back when lost."""

import asyncio

import pytest

from bridge.bluetooth.backend import open_backend
from bridge.bluetooth.heart_rate import HEART_RATE, StrapLink
from bridge.bluetooth.inbox import Inbox
from bridge.clock import LoopClock
from bridge.core.messages import Notification
from bridge.core.neighbours import HeartRate, decode_heart_rate
from bridge.radio import VirtualRadio
from bridge.simulator.ftms_server import FtmsServer
from bridge.simulator.gatt import GattTreadmill

pytestmark = pytest.mark.looptime

PATIENCE_S = 60.0
STRAP, BRIDGE = "F0:F1:F2:F3:F4:11", "F0:F1:F2:F3:F4:12"


async def test_measurements_arrive_and_come_back_after_a_loss() -> None:
    """The strap is subscribed by pycycling over the real stack, and decoded by the core."""
    clock, radio, inbox = LoopClock(), VirtualRadio(), Inbox()
    device = await radio.device("Strap", STRAP)
    strap = GattTreadmill(device, FtmsServer(heart_rate_bpm=131, now_s=clock.now_s()), clock)
    bridge = await radio.device("bridge", BRIDGE)
    async with open_backend("bumble", "test", device=bridge) as backend:
        link = StrapLink(backend, STRAP, inbox, clock)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(strap.run()), tasks.create_task(link.run())]
            first = await asyncio.wait_for(inbox.get(), PATIENCE_S)
            radio.drop_links(device)
            again = await asyncio.wait_for(inbox.get(), PATIENCE_S)
            for task in running:
                task.cancel()
    for at_s, item in (first, again):
        assert isinstance(item, Notification)
        assert item.characteristic == HEART_RATE
        assert decode_heart_rate(item.payload) == HeartRate(heart_rate_bpm=131)
        assert at_s > 0
    assert again[0] > first[0]
