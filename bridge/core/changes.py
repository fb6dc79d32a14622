"""Say, wait, then change (S6): the one announced change that is under way or comes next.

A change is announced while the old target still runs; heard, it becomes the governor's permit. One
that nobody heard in time is cancelled, and with it every rise until the next segment. Refuses to
know what is said and who listens.

      none ── announced ──▶ pending ── heard, lead over ──▶ the governor's permit
        ▲                      │  └─── nobody heard it ───▶ cancelled (until the next segment)
        └──── reached ─────────┘
"""

from dataclasses import dataclass

from bridge.core.announcements import Announcements
from bridge.core.governor import Permit


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change that has been announced: where to, from where, and how long to wait."""

    announcement_id: str
    lead_s: float
    from_kmh: float
    speed_kmh: float
    from_pct: float
    incline_pct: float


@dataclass(slots=True)
class Changes:
    """The pending change of one session. ``ahead_said``: the next segment has been announced.

    ``noted`` is the goal (km/h, percent) that has been put on the record as under way.
    """

    pending: Change | None = None
    cancelled: bool = False
    ahead_said: bool = False
    noted: tuple[float, float] | None = None
    falling_to_kmh: float | None = None

    def announce(self, change: Change) -> None:
        """This change has been queued for the voice."""
        self.pending = change
        if change.speed_kmh > change.from_kmh:
            self.falling_to_kmh = None

    def permit(self, announcements: Announcements) -> Permit | None:
        """What the walker has heard, as the governor sees it."""
        change = self.pending
        if change is None:
            return None
        delivered_at_s = announcements.delivered_at_s(change.announcement_id)
        if delivered_at_s is None:
            return None
        return Permit(
            delivered_at_s=delivered_at_s,
            lead_s=change.lead_s,
            from_kmh=change.from_kmh,
            speed_kmh=change.speed_kmh,
            from_pct=change.from_pct,
            incline_pct=change.incline_pct,
        )

    def unheard(self, announcements: Announcements) -> Change | None:
        """The pending change if nobody heard it in time; it is cancelled by that."""
        change = self.pending
        if change is None or not announcements.expired(change.announcement_id):
            return None
        self.pending = None
        self.cancelled = True
        return change

    def goal(self, speed_kmh: float, incline_pct: float) -> tuple[float, float]:
        """Where a drive towards this speed and incline leads now: no further than was announced."""
        change = self.pending
        if change is None:
            return speed_kmh, incline_pct
        return min(speed_kmh, change.speed_kmh), min(incline_pct, change.incline_pct)

    def fall(self) -> None:
        """Slower was wanted in between: a faster that was announced before is off."""
        change = self.pending
        if change is not None and change.speed_kmh > change.from_kmh:
            self.pending = None

    def reached(self, speed_kmh: float, incline_pct: float) -> bool:
        """Cleared has come to where the pending change leads; it is over."""
        change = self.pending
        if change is None or speed_kmh < change.speed_kmh or incline_pct < change.incline_pct:
            return False
        self.pending = None
        return True

    def next_segment(self) -> None:
        """A new segment begins: a change announced for it stays, a cancelled one is forgiven.

        What was announced for the old segment and has not happened yet is not meant for this one.
        """
        if not self.ahead_said:
            self.pending = None
        self.cancelled = False
        self.ahead_said = False

    def clear(self) -> None:
        """Nothing that was said before counts any more (hold, stop, new session)."""
        self.pending = None
        self.cancelled = False
        self.ahead_said = False
        self.noted = None
        self.falling_to_kmh = None
