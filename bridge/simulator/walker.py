"""A simulated person: hears announcements, answers prompts, presses Start. For demos and tests.

Stands in for the speaker too: an announcement is acknowledged once it would have been spoken.
Everything it does goes through the callables it is given. Refuses to know where they lead.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bridge.clock import Clock
from bridge.core.messages import Phase, Urgency

_log = logging.getLogger(__name__)

WORDS_PER_S = 2.5
"""Unhurried speech, 150 words a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How long this person takes, in seconds, each varied at random by a third either way."""

    tether_s: float = 4.0
    turn_s: float = 12.0
    resume_s: float = 4.0
    press_start_s: float = 3.0


class Walker:
    """Reacts from `run` until that is cancelled; what comes before waits for it.

    ``acknowledge`` gets the id of an announcement that was spoken, ``confirm`` the id of a prompt
    that was answered, ``press_start`` is the hand on the console. The same seed and the same
    questions give the same delays.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        acknowledge: Callable[[str], Awaitable[None]],
        confirm: Callable[[str], Awaitable[None]],
        press_start: Callable[[], Awaitable[None]],
        seed: int = 0,
        manner: Manner | None = None,
    ) -> None:
        self._clock = clock
        self._acknowledge = acknowledge
        self._confirm = confirm
        self._press_start = press_start
        self._manner = manner or Manner()
        self._random = random.Random(seed)  # noqa: S311 - a person's dawdling, not a secret
        self._to_say: asyncio.PriorityQueue[tuple[int, int, str, str]] = asyncio.PriorityQueue()
        self._prompts: asyncio.Queue[tuple[str, Phase]] = asyncio.Queue()
        self._heard = 0
        self._asked: set[str] = set()

    def on_announcement(
        self, announcement_id: str, text: str, urgency: Urgency = Urgency.INFO
    ) -> None:
        """Something is to be spoken: one at a time, in order, warnings and alarms first."""
        rank = list(Urgency)[::-1].index(urgency)
        self._heard += 1
        self._to_say.put_nowait((rank, self._heard, announcement_id, text))

    def on_prompt(self, prompt_id: str, phase: Phase) -> None:
        """A prompt is open in this phase of the session; one that is known is not news."""
        if prompt_id not in self._asked:
            self._asked.add(prompt_id)
            self._prompts.put_nowait((prompt_id, phase))

    async def run(self) -> None:
        """Speak and answer."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._speak(), name="walker-ears")
            tasks.create_task(self._answer(), name="walker-hands")

    async def _speak(self) -> None:
        while True:
            _, _, announcement_id, text = await self._to_say.get()
            await self._clock.sleep(len(text.split()) / WORDS_PER_S)
            await self._acknowledge(announcement_id)

    async def _answer(self) -> None:
        """One prompt after the other, as only one is open at a time."""
        while True:
            prompt_id, phase = await self._prompts.get()
            await self._clock.sleep(self._delay_s(phase))
            _log.debug("the walker answers %s", prompt_id)
            await self._confirm(prompt_id)
            if phase is Phase.ARMED:
                await self._clock.sleep(self._vary(self._manner.press_start_s))
                await self._press_start()

    def _delay_s(self, phase: Phase) -> float:
        if phase is Phase.ARMED:
            return self._vary(self._manner.tether_s)
        if phase is Phase.TURNING:
            return self._vary(self._manner.turn_s)
        return self._vary(self._manner.resume_s)

    def _vary(self, seconds: float) -> float:
        return seconds * self._random.uniform(2 / 3, 4 / 3)
