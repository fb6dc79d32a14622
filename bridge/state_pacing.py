"""How often the state of one treadmill is worth a message: a pure rule, without a clock of its own.

A decision (phase, target, prompt, problem...) goes out at once; measurements, and what merely
counts up or down, once a second at most; no change at all only as a heartbeat, since Home Assistant
keeps about a kilobyte of every message it gets. What this module refuses to know: MQTT.
"""

import math
from dataclasses import fields
from operator import attrgetter

from bridge.core.messages import State

STATE_PERIOD_S = 1.0
"""Measurements go out this often at most (contract section 3)."""

HEARTBEAT_S = 30.0
"""A state that does not change is repeated this often, so that consumers can let it expire."""

_COUNTED = {
    "speed_kmh", "incline_pct", "heart_rate_bpm", "distance_m", "backward_distance_m", "elapsed_s",
    "backward_time_s", "energy_kcal", "energy_low_kcal", "energy_high_kcal", "segment_remaining_s",
    "next_change",
}  # fmt: skip
_told = attrgetter(*(f.name for f in fields(State) if f.name not in _COUNTED))


class StatePacing:
    """When the state of one treadmill goes out: changes at once, mere measurements in turn."""

    def __init__(self) -> None:
        self._sent: State | None = None
        self._sent_at_s = -math.inf

    def delay_s(self, state: State, now_s: float) -> float | None:
        """In how many seconds ``state`` should go out: 0 for now, ``None`` for not at all."""
        last = self._sent
        if last is None or _decisions(state) != _decisions(last):
            return 0.0
        since_s = now_s - self._sent_at_s
        if state != last:
            return max(0.0, STATE_PERIOD_S - since_s)
        return 0.0 if since_s >= HEARTBEAT_S else None

    def sent(self, state: State, now_s: float) -> None:
        """``state`` has gone out."""
        self._sent = state
        self._sent_at_s = now_s


def _decisions(state: State) -> tuple[object, ...]:
    """Everything but measurements and what merely counts down."""
    change = state.next_change
    planned = change and (change.direction, change.speed_kmh, change.incline_pct)
    return (_told(state), planned)
