"""What is said to the walker, and whether it was heard (S6).

An announcement is queued, then delivered by a voice channel or expired. A channel counts only when
the settings name it. Refuses to know why something is said and how it sounds.

                 delivered by a channel that counts
      ┌────────┐ ───────────────────────────────────▶ ┌───────────┐
      │ queued │                                      │ delivered │
      └────────┘ ──────────────┐                      └───────────┘
                  its time ran │                      ┌─────────┐
                  out          └────────────────────▶ │ expired │
                                                      └─────────┘
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bridge.core.messages import Announcement, Delivered, Language, Urgency

EXPIRES_AFTER_S = 15.0
"""An announcement that nobody spoke by then is about a moment that has passed."""

FORGOTTEN_AFTER_S = 600.0
"""How long it is remembered what was heard. A change that was announced must be over by then: the
longest ramp of any level takes less than a minute, but the belt may be slow to follow."""


class Delivery(StrEnum):
    """Where an announcement stands."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    EXPIRED = "expired"


DELIVERY_TRANSITIONS: Mapping[tuple[Delivery, str], Delivery] = {
    (Delivery.QUEUED, "delivered"): Delivery.DELIVERED,
    (Delivery.QUEUED, "time ran out"): Delivery.EXPIRED,
}
"""Delivered and expired are final: a late or second acknowledgement changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One announcement and its delivery. ``delivered_at_s`` and ``channel`` once delivered."""

    announcement: Announcement
    said_at_s: float
    delivery: Delivery = Delivery.QUEUED
    delivered_at_s: float | None = None
    channel: str | None = None


@dataclass(slots=True)
class Announcements:
    """The announcements of one treadmill: composes them, and remembers what was heard.

    ``counting`` are the channels whose delivery counts, ``listening`` those with somebody at the
    other end now.
    """

    prefix: str
    language: Language
    counting: frozenset[str]
    listening: frozenset[str] = frozenset()
    last_number: int = 0
    open: dict[str, Spoken] = field(default_factory=dict)

    @property
    def voice(self) -> bool:
        """Somebody can hear."""
        return bool(self.counting & self.listening)

    def say(
        self,
        phrase: str,
        now_s: float,
        *,
        urgency: Urgency = Urgency.INFO,
        lead_s: float = 0.0,
        values: Mapping[str, str | float] | None = None,
    ) -> Announcement:
        """Compose a phrase of the language and queue it. Numbers are written as they are spoken."""
        self.last_number += 1
        announcement = Announcement(
            id=f"{self.prefix}-say-{self.last_number}",
            text=self.compose(phrase, values or {}),
            language=self.language.id,
            urgency=urgency,
            lead_s=lead_s,
            expires_in_s=EXPIRES_AFTER_S,
        )
        self.open[announcement.id] = Spoken(announcement=announcement, said_at_s=now_s)
        return announcement

    def compose(self, phrase: str, values: Mapping[str, str | float]) -> str:
        """The words of a phrase. An unknown phrase is spoken as its own name, never silently."""
        words = {name: self._spoken(value) for name, value in values.items()}
        return self.language.phrases.get(phrase, phrase).format_map(words)

    def _spoken(self, value: str | float) -> str:
        """A number as it is said: ``2``, ``1 point 4``."""
        if isinstance(value, str):
            return value
        mark = self.language.phrases.get("number.decimal", ".")
        return f"{value:.1f}".removesuffix(".0").replace(".", mark)

    def delivered(self, delivered: Delivered, now_s: float) -> Spoken | None:
        """A channel says that it spoke. ``None`` when that changes nothing."""
        spoken = self.open.get(delivered.announcement_id)
        if spoken is None or delivered.channel not in self.counting:
            return None
        state = DELIVERY_TRANSITIONS.get((spoken.delivery, "delivered"))
        if state is None:
            return None
        heard = replace(spoken, delivery=state, delivered_at_s=now_s, channel=delivered.channel)
        self.open[delivered.announcement_id] = heard
        return heard

    def expire(self, now_s: float) -> list[Spoken]:
        """Those whose time ran out since the last look, and forget what is long over."""
        ran_out = []
        for key, spoken in list(self.open.items()):
            age_s = now_s - spoken.said_at_s
            if age_s >= FORGOTTEN_AFTER_S:
                del self.open[key]
            elif age_s >= EXPIRES_AFTER_S:
                state = DELIVERY_TRANSITIONS.get((spoken.delivery, "time ran out"))
                if state is not None:
                    self.open[key] = replace(spoken, delivery=state)
                    ran_out.append(self.open[key])
        return ran_out

    def delivered_at_s(self, announcement_id: str) -> float | None:
        """When it was heard, or ``None``."""
        spoken = self.open.get(announcement_id)
        return None if spoken is None else spoken.delivered_at_s

    def expired(self, announcement_id: str) -> bool:
        """Nobody heard it in time."""
        spoken = self.open.get(announcement_id)
        return spoken is None or spoken.delivery is Delivery.EXPIRED
