"""The simulated person: what they do and how long they take, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bridge.clock import LoopClock
from bridge.core.messages import Phase, Urgency
from bridge.simulator.walker import Manner, Walker

pytestmark = pytest.mark.looptime


class Life:
    """A walker and the record of what they did, with times."""

    def __init__(self, seed: int = 1, manner: Manner | None = None) -> None:
        self.did: list[tuple[str, float]] = []
        self.walker = Walker(
            LoopClock(),
            acknowledge=self._record("spoke"),
            confirm=self._record("confirmed"),
            press_start=lambda: self._record("pressed")("start"),
            seed=seed,
            manner=manner,
        )

    def _record(self, what: str) -> Callable[[str], Awaitable[None]]:
        async def record(which: str) -> None:
            self.did.append((f"{what} {which}", asyncio.get_running_loop().time()))

        return record

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Walker]:
        """Alive for the length of the block."""
        async with asyncio.TaskGroup() as tasks:
            life = tasks.create_task(self.walker.run())
            yield self.walker
            life.cancel()


async def test_announcements_are_spoken_one_after_the_other() -> None:
    """Five words take two seconds; the second begins when the first has ended."""
    life = Life()
    async with life.running() as walker:
        walker.on_announcement("a1", "In ten seconds we slow")
        walker.on_announcement("a2", "Now we slow down, well")
        await asyncio.sleep(10)
    assert [what for what, _ in life.did] == ["spoke a1", "spoke a2"]
    assert [at_s for _, at_s in life.did] == pytest.approx([2, 4])


async def test_alarms_and_warnings_go_first() -> None:
    """Whatever has not been begun waits for what is more urgent."""
    life = Life()
    async with life.running() as walker:
        for name, urgency in (("i", Urgency.INFO), ("w", Urgency.WARN), ("a", Urgency.ALARM)):
            walker.on_announcement(name, "One two", urgency)
        await asyncio.sleep(10)
    assert [what for what, _ in life.did] == ["spoke a", "spoke w", "spoke i"]


async def test_the_tether_is_confirmed_and_then_start_is_pressed() -> None:
    """About 4 s to clip it on, about 3 s more to the button; each by a third either way."""
    life = Life()
    async with life.running() as walker:
        walker.on_prompt("p1", Phase.ARMED)
        walker.on_prompt("p1", Phase.ARMED)  # shown again with the next state
        await asyncio.sleep(30)
    (confirmed, confirmed_s), (pressed, pressed_s) = life.did
    assert (confirmed, pressed) == ("confirmed p1", "pressed start")
    assert 4 * 2 / 3 <= confirmed_s <= 4 * 4 / 3
    assert 3 * 2 / 3 <= pressed_s - confirmed_s <= 3 * 4 / 3


@pytest.mark.parametrize(("phase", "about_s"), [(Phase.TURNING, 12), (Phase.HOLDING, 4)])
async def test_other_prompts_are_confirmed_without_a_press(phase: Phase, about_s: float) -> None:
    """A turn takes about 12 s, going on about 4 s."""
    life = Life()
    async with life.running() as walker:
        walker.on_prompt("p2", phase)
        await asyncio.sleep(60)
    [(what, at_s)] = life.did
    assert what == "confirmed p2"
    assert about_s * 2 / 3 <= at_s <= about_s * 4 / 3


async def test_the_same_seed_is_the_same_person() -> None:
    """Delays repeat with the seed and differ without it."""
    runs = []
    for seed in (5, 5, 6):
        life = Life(seed)
        start_s = asyncio.get_running_loop().time()
        async with life.running() as walker:
            walker.on_prompt("p", Phase.TURNING)
            await asyncio.sleep(60)
        runs.append(life.did[0][1] - start_s)
    assert runs[0] == pytest.approx(runs[1])
    assert runs[0] != pytest.approx(runs[2])


async def test_manners_can_be_changed() -> None:
    """A person of another pace."""
    life = Life(manner=Manner(tether_s=40, press_start_s=0))
    async with life.running() as walker:
        walker.on_prompt("p", Phase.ARMED)
        await asyncio.sleep(26)
        assert life.did == []
        await asyncio.sleep(30)
    assert [what for what, _ in life.did] == ["confirmed p", "pressed start"]
