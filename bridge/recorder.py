"""Puts what happened on the durable record, in order, without making anybody wait.

Events queue here and are stored one by one, each on disk before the next; samples go along about
once a second. A disk that fails is tried again, and what waits for it is kept.
Refuses to know what events mean.
"""

import asyncio
import logging

from bridge.clock import Clock
from bridge.control import Outlet
from bridge.core.errors import StoreError
from bridge.core.messages import SessionEvent, State
from bridge.core.session import IN_SESSION
from bridge.store import Sample, Store

SAMPLE_S = 1.0
"""One sample a second: what most machines send."""

RETRY_S = 1.0
"""How soon a failed write is tried again."""

_log = logging.getLogger(__name__)


class Recorder(Outlet):
    """The record of every treadmill of this bridge, from `run` until that is cancelled."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: asyncio.Queue[tuple[str, SessionEvent] | Sample] = asyncio.Queue()
        self._sampled_at_s: dict[str, float] = {}

    def event(self, treadmill: str, event: SessionEvent) -> None:
        """Queue an event for the disk."""
        self._waiting.put_nowait((treadmill, event))

    def state(self, treadmill: str, state: State) -> None:
        """Queue a sample when one is due."""
        if state.session is None or state.phase not in IN_SESSION or state.elapsed_s is None:
            return
        now_s = self._clock.now_s()
        if now_s - self._sampled_at_s.get(treadmill, -SAMPLE_S) < SAMPLE_S:
            return
        self._sampled_at_s[treadmill] = now_s
        self._waiting.put_nowait(
            Sample(
                session=state.session,
                t_s=round(state.elapsed_s, 1),
                direction=state.direction,
                segment=state.segment,
                requested_speed_kmh=state.requested_speed_kmh,
                target_speed_kmh=state.target_speed_kmh,
                acknowledged_speed_kmh=state.acknowledged_speed_kmh,
                speed_kmh=state.speed_kmh,
                target_incline_pct=state.target_incline_pct,
                incline_pct=state.incline_pct,
                distance_m=state.distance_m,
                backward_distance_m=state.backward_distance_m,
                energy_kcal=state.energy_kcal,
                heart_rate_bpm=state.heart_rate_bpm,
            )
        )

    async def run(self) -> None:
        """Store what waits, until cancelled."""
        while True:
            item = await self._waiting.get()
            try:
                await self._store_one(item)
            finally:
                self._waiting.task_done()  # whatever became of it: others are waiting for the end

    async def flushed(self) -> None:
        """Return once everything that waited is on disk."""
        await self._waiting.join()
        await self._store.flush()

    async def _store_one(self, item: tuple[str, SessionEvent] | Sample) -> None:
        while True:
            try:
                if isinstance(item, Sample):
                    await self._store.add_sample(item)
                else:
                    await self._store.append(*item)
            except StoreError as error:
                _log.error("the record cannot be written, trying again: %s", error)
                await asyncio.sleep(RETRY_S)
            else:
                return
