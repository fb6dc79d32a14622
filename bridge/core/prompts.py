"""Questions that wait for a person: one open at a time (S14), each with its own end.

A confirmation counts only when it carries the id of the prompt that is open (S13), so that an old
button press cannot answer a new question. Refuses to know what follows from an answer.

             confirm with its id
    ┌──────┐ ─────────────────▶ confirmed
    │ open │ ── its time ran out ──▶ expired
    └──────┘ ── no longer asked ───▶ withdrawn
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.messages import OpenPrompt


class PromptKind(StrEnum):
    """What is asked."""

    TETHER = "tether"
    TURN = "turn"
    RESUME = "resume"


PROMPT_TIMES_S: Mapping[PromptKind, float] = {
    PromptKind.TETHER: 120.0,
    PromptKind.TURN: 60.0,  # S13
    PromptKind.RESUME: 120.0,
}
"""How long each question waits. Unanswered, tether disarms; the others end with the belt at rest
(S13, S18)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One open question."""

    id: str
    kind: PromptKind
    text: str
    expires_at_s: float

    def public(self) -> OpenPrompt:
        """What others may see of it."""
        return OpenPrompt(id=self.id, text=self.text, expires_at_s=self.expires_at_s)


@dataclass(slots=True)
class Prompts:
    """The one open question of one treadmill."""

    prefix: str
    open: Prompt | None = None
    last_number: int = 0

    def ask(self, kind: PromptKind, text: str, now_s: float) -> Prompt:
        """Open a question; the one that was open is withdrawn."""
        self.last_number += 1
        self.open = Prompt(
            id=f"{self.prefix}-ask-{self.last_number}",
            kind=kind,
            text=text,
            expires_at_s=now_s + PROMPT_TIMES_S[kind],
        )
        return self.open

    def confirm(self, prompt_id: str) -> Prompt | None:
        """The question this id answers, now closed; ``None`` when it is not the open one."""
        prompt = self.open
        if prompt is None or prompt.id != prompt_id:
            return None
        self.open = None
        return prompt

    def expire(self, now_s: float) -> Prompt | None:
        """The question whose time has run out, now closed."""
        prompt = self.open
        if prompt is None or now_s < prompt.expires_at_s:
            return None
        self.open = None
        return prompt

    def withdraw(self) -> None:
        """Nobody needs the answer any more."""
        self.open = None
