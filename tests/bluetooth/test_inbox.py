"""The queue into the pilot: order, what is dropped when it is full, and what never is."""

import asyncio

from bridge.bluetooth.inbox import Inbox
from bridge.core.messages import Command, LinkDown, Notification, Source, Verb, WriteOutcome


def _data(number: int) -> Notification:
    return Notification(0x2ACD, bytes((number,)))


async def _drain(inbox: Inbox) -> list[object]:
    return [(await inbox.get())[1] for _ in range(len(inbox))]


async def test_order_and_stamps_are_kept() -> None:
    """First in, first out, each with the time it was put."""
    inbox = Inbox()
    inbox.put(1.0, _data(1))
    inbox.put(1.5, LinkDown())
    assert [await inbox.get(), await inbox.get()] == [(1.0, _data(1)), (1.5, LinkDown())]


async def test_full_drops_the_oldest_measurement_and_counts() -> None:
    """Treadmill Data give way, oldest first; everything else stays, in order."""
    inbox = Inbox(capacity=4)
    status = Notification(0x2ADA, b"\x03")
    answer = Notification(0x2AD9, b"\x80\x02\x01")
    for item in (status, _data(1), answer, _data(2), _data(3), WriteOutcome(write_id=1)):
        inbox.put(0.0, item)
    assert await _drain(inbox) == [status, answer, _data(3), WriteOutcome(write_id=1)]
    assert inbox.dropped == 2


async def test_what_is_no_measurement_is_never_dropped() -> None:
    """With nothing to give up the queue grows beyond its capacity; a new measurement goes first."""
    inbox = Inbox(capacity=2)
    stop = Command(id="1", verb=Verb.STOP, source=Source.MQTT)
    for item in (LinkDown(), stop, WriteOutcome(write_id=1), _data(1)):
        inbox.put(0.0, item)
    assert await _drain(inbox) == [LinkDown(), stop, WriteOutcome(write_id=1)]
    assert inbox.dropped == 1


async def test_get_waits() -> None:
    """A reader that came first gets what is put later, and waits again after that."""
    inbox = Inbox()
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(inbox.get())
        await asyncio.sleep(0)
        inbox.put(2.0, LinkDown())
    assert reader.result() == (2.0, LinkDown())
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(inbox.get())
        await asyncio.sleep(0)
        assert not reader.done()
        inbox.put(3.0, LinkDown())
