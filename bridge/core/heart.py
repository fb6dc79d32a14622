"""Heart rate only ever slows (S22): a strap and a limit, or nothing at all.

Above the limit the walk eases off one level step every 20 s; a strap that falls silent, or says
that it lost the skin, freezes rises. A low heart rate is no reason for anything. Refuses to know
where the strap is and how it is read.
"""

from dataclasses import dataclass

from bridge.core.neighbours import HeartRate

SILENT_AFTER_S = 5.0
"""A strap tells its measurement once a second (HRS v1.0); five missed ones are an outage."""

EASE_EVERY_S = 20.0
"""S22; the gentler table of a medical treadmill (h/p/cosmos) moves every 20 to 25 s."""


@dataclass(slots=True)
class Heart:
    """What a strap said, against one walker's limit in beats per minute (``None``: no limit)."""

    limit_bpm: int | None = None
    bpm: int | None = None
    heard_at_s: float | None = None
    eased_at_s: float | None = None

    def read(self, measurement: HeartRate, now_s: float) -> None:
        """One measurement. Without contact the number is a frozen one, so it is not believed."""
        if measurement.sensor_contact is False or not measurement.heart_rate_bpm:
            return
        self.bpm = measurement.heart_rate_bpm
        self.heard_at_s = now_s

    def silent(self, now_s: float) -> bool:
        """A strap that has been heard is not heard any more."""
        return self.heard_at_s is not None and now_s - self.heard_at_s > SILENT_AFTER_S

    def freezes_rises(self, now_s: float) -> bool:
        """S22: above the limit, or nobody knows."""
        if self.limit_bpm is None or self.bpm is None:
            return False
        return self.bpm > self.limit_bpm or self.silent(now_s)

    def ease_now(self, now_s: float) -> bool:
        """Whether it is time for one step down; counts as taken when it says so."""
        if self.limit_bpm is None or self.bpm is None or self.silent(now_s):
            return False
        if self.bpm <= self.limit_bpm:
            self.eased_at_s = None
            return False
        if self.eased_at_s is not None and now_s - self.eased_at_s < EASE_EVERY_S:
            return False
        self.eased_at_s = now_s
        return True

    def known_bpm(self, now_s: float) -> int | None:
        """The heart rate, for people; ``None`` once it is old."""
        return None if self.silent(now_s) else self.bpm
