"""Which record a simulated treadmill sends next: what that takes to remember from one to the next.

`records` says how it looks, `ftms_server` when it is due. Refuses to know both, and Bluetooth.
"""

import math
from dataclasses import replace

from bridge.simulator import records
from bridge.simulator.belt import Belt, Motion
from bridge.simulator.habits import Habits

SPURIOUS_EVERY = 20
"""Every so manieth record of a machine with spurious zeros is one; how often is known of none."""

FRAGMENT_DELAY_S = 0.03
"""How late the step counter follows its record: 0 to 48 ms were seen (FitShow FS-D9D0A1)."""


class Telemetry:
    """The records of one machine, from its power-on."""

    def __init__(self) -> None:
        self._told = 0
        self._running_kmh = 0.0
        self._stops_since_s: float | None = None

    def next(
        self, belt: Belt, habits: Habits, now_s: float, mtu: int
    ) -> tuple[tuple[float, bytes], ...]:
        """The notifications of the record that is due now, each with its delay in seconds.

        None at all while this machine says nothing.
        """
        self._told += 1
        if self._is_silent(belt, habits, now_s):
            return ()
        told = records.reading(belt, habits)
        if not belt.pausing:
            self._running_kmh = told.speed_kmh or 0.0
        elif habits.speed_while_paused:
            told = replace(told, speed_kmh=self._running_kmh)
        if self._is_spurious(belt, habits):
            told = replace(told, speed_kmh=0.0)
        delay_s = habits.data_delay_s
        frames = tuple((delay_s, frame) for frame in records.frames(told, belt, habits, mtu))
        if habits.steps_apart:
            frames += ((delay_s + FRAGMENT_DELAY_S, records.steps_fragment()),)
        return frames

    def _is_silent(self, belt: Belt, habits: Habits, now_s: float) -> bool:
        if belt.motion is Motion.RUNNING:
            self._stops_since_s = None
        elif self._stops_since_s is None:
            # Before the first start nothing stops.
            stops = belt.motion is Motion.STOPPING or belt.distance_m > 0
            self._stops_since_s = now_s if stops else -math.inf
        if habits.silent_at_rest and belt.motion in (Motion.REST, Motion.PAUSED):
            return True
        since_s = -math.inf if self._stops_since_s is None else self._stops_since_s
        return now_s < since_s + habits.rest_silence_s

    def _is_spurious(self, belt: Belt, habits: Habits) -> bool:
        turn = self._told % SPURIOUS_EVERY == 0
        return habits.spurious_zeros and turn and belt.motion is Motion.RUNNING
