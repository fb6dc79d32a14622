"""The record keeper: order, a disk that fails, how often a moment is kept, when all is on disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from bridge.clock import LoopClock, PacedClock
from bridge.core.errors import StoreError
from bridge.core.messages import EventType, Phase, SessionEvent
from bridge.recorder import RETRY_S, SAMPLE_S, Recorder
from bridge.store import Sample, Store
from tests.test_state_pacing import NOTHING_YET

MOVING = replace(NOTHING_YET, session="s-1", elapsed_s=1.0)
STARTED = SessionEvent(
    type=EventType.SESSION_STARTED, session="s-1", at_s=0.0, data={"program": "p", "walker": "me"}
)


def event(number: int) -> SessionEvent:
    """One of many."""
    return SessionEvent(type=EventType.PAUSED, session="s-1", at_s=0.0, data={"n": number})


class Disk:
    """Stands in for the store: keeps what it gets, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.kept: list[object] = []
        self.failures = 0
        self.bug: Exception | None = None
        self.flushes = 0

    async def append(self, treadmill: str, item: SessionEvent) -> None:
        """An event."""
        await asyncio.sleep(0.01)
        self._fail()
        self.kept.append((treadmill, item))

    async def add_sample(self, sample: Sample) -> None:
        """A moment."""
        self._fail()
        self.kept.append(sample)

    async def flush(self) -> None:
        """All of it."""
        self.flushes += 1

    def _fail(self) -> None:
        if self.bug is not None:
            bug, self.bug = self.bug, None
            raise bug
        if self.failures:
            self.failures -= 1
            raise StoreError("disk full")


@asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[None]:
    """The recorder runs for the length of the block."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(recorder.run())
        yield
        task.cancel()


def on(disk: Disk) -> Recorder:
    """A recorder on this disk."""
    return Recorder(cast("Store", disk), LoopClock())


@pytest.mark.looptime
async def test_events_are_kept_in_the_order_in_which_they_happened() -> None:
    """Of all treadmills together: one after the other, each on disk before the next."""
    disk = Disk()
    recorder = on(disk)
    wanted = [(f"t{number % 2}", event(number)) for number in range(20)]
    async with running(recorder):
        for treadmill, each in wanted:
            recorder.event(treadmill, each)
        await recorder.flushed()
    assert disk.kept == wanted
    assert disk.flushes == 1


@pytest.mark.looptime
async def test_a_disk_that_fails_is_tried_again_and_nothing_is_lost() -> None:
    """Order is kept too; nobody but the record waits."""
    disk = Disk()
    disk.failures = 3
    recorder = on(disk)
    async with running(recorder):
        began_s = asyncio.get_running_loop().time()
        for number in range(3):
            recorder.event("garage", event(number))
        assert asyncio.get_running_loop().time() == began_s
        await recorder.flushed()
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(3 * RETRY_S, abs=0.1)
    assert disk.kept == [("garage", event(number)) for number in range(3)]


@pytest.mark.looptime
async def test_what_cannot_be_stored_at_all_does_not_hold_up_the_end() -> None:
    """A bug ends `run`, for its supervisor to start again; what comes after it is kept."""
    disk = Disk()
    disk.bug = ValueError("NaN is not JSON")
    recorder = on(disk)
    recorder.event("garage", event(1))
    recorder.event("garage", event(2))
    with pytest.raises(ValueError, match="NaN"):
        await recorder.run()
    async with running(recorder), asyncio.timeout(1):
        await recorder.flushed()
    assert disk.kept == [("garage", event(2))]


@pytest.mark.looptime
async def test_one_moment_a_second_is_kept_of_each_treadmill() -> None:
    """Machines notify up to four times a second; treadmills do not take each other's turn."""
    disk = Disk()
    recorder = on(disk)
    async with running(recorder):
        for step in range(41):
            for treadmill in ("garage", "attic"):
                state = replace(MOVING, session=treadmill, elapsed_s=step * 0.25)
                recorder.state(treadmill, state)
            await asyncio.sleep(0.25)
    for treadmill in ("garage", "attic"):
        times = [
            each.t_s for each in disk.kept if isinstance(each, Sample) and each.session == treadmill
        ]
        assert len(times) == 11
        assert all(later - earlier == SAMPLE_S for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    "state",
    [
        replace(MOVING, session=None),
        replace(MOVING, elapsed_s=None),
        replace(MOVING, phase=Phase.ENDED),
        replace(MOVING, phase=Phase.IDLE),
        replace(MOVING, phase=Phase.ARMED),
    ],
)
@pytest.mark.looptime
async def test_outside_a_session_nothing_is_sampled(state: object) -> None:
    """There is nothing to file it under."""
    disk = Disk()
    recorder = on(disk)
    async with running(recorder):
        recorder.state("garage", state)  # type: ignore[arg-type]
        await recorder.flushed()
    assert disk.kept == []


async def test_a_whole_session_on_a_real_disk(tmp_path: Path) -> None:
    """The four speeds arrive under their own names; the summary and the samples are there."""
    clock = PacedClock(50)
    async with Store.open(tmp_path / "record.db") as store, clock.running():
        recorder = Recorder(store, clock)
        async with running(recorder):
            recorder.event("garage", STARTED)
            moment = replace(
                MOVING,
                requested_speed_kmh=4.0,
                target_speed_kmh=3.0,
                acknowledged_speed_kmh=2.0,
                speed_kmh=1.0,
            )
            recorder.state("garage", moment)
            await recorder.flushed()
        [kept] = await store.samples("s-1")
        speeds = (
            kept.requested_speed_kmh,
            kept.target_speed_kmh,
            kept.acknowledged_speed_kmh,
            kept.speed_kmh,
        )
        assert speeds == (4.0, 3.0, 2.0, 1.0)
        assert [each.type for each in await store.events("garage")] == [EventType.SESSION_STARTED]


@pytest.mark.looptime
async def test_a_recorder_that_does_not_run_is_waited_for() -> None:
    """`flushed` tells the truth; bounding the wait is its caller's business."""
    recorder = on(Disk())
    recorder.event("garage", event(1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await recorder.flushed()
