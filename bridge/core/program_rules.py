"""What a training program must respect before anybody walks it.

Each rule looks at the segments and the level of the program and names every segment that breaks it.
The governor does not trust this: it holds the same limits again, tick by tick, at the belt. Refuses
to know files, lines and walkers.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from bridge.core.messages import Direction, Level, Segment

TURN_MAX_KMH = 1.0
"""Nobody turns on a belt faster than this (S13)."""

RAMP_SHARE_MAX = 2 / 3
"""The most of a segment that reaching its speed or incline may take: the rest is walked at it."""

_SIDEWAYS = frozenset({Direction.LATERAL_LEFT, Direction.LATERAL_RIGHT})
_ROUNDING = 1e-9  # 40 s of ramp in 60 s of segment are two thirds, whatever binary fractions say


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One rule broken: by which segment (counted from 0; ``None`` is the whole program).

    ``field`` is the name of the `Segment` or `Program` field at fault.
    """

    segment: int | None
    field: str
    message: str


def check_segments(
    segments: Sequence[Segment | None], level: Level | None, cues: Collection[str]
) -> tuple[Violation, ...]:
    """Every rule that the segments break, in the order in which they are walked.

    ``None`` stands for a segment that could not be read: what touches it is not judged. Without a
    ``level`` only the rules that every level shares are judged.
    """
    if not segments:
        empty = "a program needs at least one segment"
        return (Violation(segment=None, field="segments", message=empty),)
    return tuple(_violations(segments, level, cues))


def _violations(
    segments: Sequence[Segment | None], level: Level | None, cues: Collection[str]
) -> Iterator[Violation]:
    for index, segment in enumerate(segments):
        if segment is None:
            continue
        before = segments[index - 1] if index else None
        following = segments[index + 1] if index + 1 < len(segments) else None
        found = [*_direction(segment, before, first=index == 0), *_incline(segment)]
        if following is not None and following.direction is Direction.TURN:
            found += _flat_before_turn(segment)
        found += _known_cues(segment, cues)
        if segment.direction is Direction.TURN:
            found += _turn_speed(segment)
        if level is not None:
            found += _caps(segment, level)
            if index == 0 or before is not None:
                found += _ramps(segment, before, level)
        for field, message in found:
            yield Violation(segment=index, field=field, message=message)


_Found = Iterator[tuple[str, str]]


def _direction(segment: Segment, before: Segment | None, *, first: bool) -> _Found:
    """Between two directions lies a turn (S13), and before a turn there is somebody walking."""
    turning = segment.direction is Direction.TURN
    if turning and (first or (before is not None and before.direction is Direction.TURN)):
        yield "direction", "a turn needs a stretch of walking before it"
    if before is None or turning or before.direction is Direction.TURN:
        return
    if before.direction is not segment.direction:
        yield (
            "direction",
            f"a turn is missing between {before.direction} and {segment.direction}",
        )


def _turn_speed(segment: Segment) -> _Found:
    if segment.relative is not None:
        yield "speed_kmh", f"a turn has a fixed speed, at most {TURN_MAX_KMH:g}"
    elif segment.speed_kmh > TURN_MAX_KMH:
        yield "speed_kmh", f"a turn is at most {TURN_MAX_KMH:g} km/h"


def _incline(segment: Segment) -> _Found:
    if segment.direction is Direction.TURN and segment.incline_pct != 0:
        yield "incline_pct", "a turn is level: the incline must be 0"
    elif segment.direction is Direction.BACKWARD and segment.incline_pct < 0:
        yield "incline_pct", "nobody walks backward downhill: must be at least 0"
    elif segment.direction in _SIDEWAYS and segment.incline_pct != 0:
        yield "incline_pct", "walking sideways is level: the incline must be 0"


def _flat_before_turn(segment: Segment) -> _Found:
    """S14. The incline is gone before the turn begins, so the stretch before it ends level."""
    if segment.direction is not Direction.TURN and segment.incline_pct != 0:
        yield "incline_pct", "the stretch before a turn must be level: end with one at incline 0"


def _known_cues(segment: Segment, cues: Collection[str]) -> _Found:
    for cue in segment.cues:
        if cue not in cues:
            yield "cues", f'there is no cue "{cue}"; there are: {", ".join(sorted(cues))}'


def _caps(segment: Segment, level: Level) -> _Found:
    """S4, as far as it is known without a machine and a walker."""
    cap_kmh = speed_cap_kmh(segment.direction, level)
    if cap_kmh is None:
        yield "direction", f"level {level.id} does not walk sideways"
    elif segment.speed_kmh > cap_kmh and segment.direction is not Direction.TURN:
        yield (
            "speed_kmh",
            f"level {level.id} goes at most {cap_kmh:g} km/h {segment.direction.value}",
        )
    if segment.incline_pct > level.incline_max_pct:
        yield "incline_pct", f"level {level.id} goes at most {level.incline_max_pct:g} % uphill"


def speed_cap_kmh(direction: Direction, level: Level) -> float | None:
    """The fastest this level goes in this direction; ``None`` when it does not go that way."""
    if direction is Direction.TURN:
        return TURN_MAX_KMH
    if direction is Direction.BACKWARD:
        return level.backward_max_kmh
    if direction is Direction.FORWARD:
        return level.forward_max_kmh
    return level.lateral_max_kmh


def _ramps(segment: Segment, before: Segment | None, level: Level) -> _Found:
    """Speed and incline must be reached within two thirds of the segment, at the level's ramps."""
    allowed_s = segment.duration_s * RAMP_SHARE_MAX + _ROUNDING
    from_kmh = 0.0 if before is None else _speed_at_end_kmh(before, level)
    to_kmh = _speed_at_end_kmh(segment, level)
    speed_s = abs(to_kmh - from_kmh) / _ramp_kmh_per_s(segment.direction, from_kmh, to_kmh, level)
    if speed_s > allowed_s:
        change = f"from {from_kmh:g} to {to_kmh:g} km/h"
        yield "duration_s", _too_short(change, speed_s, level)
    from_pct = 0.0 if before is None else before.incline_pct
    incline_s = abs(segment.incline_pct - from_pct) / level.incline_rate_pct_per_s
    if incline_s > allowed_s:
        change = f"from {from_pct:g} to {segment.incline_pct:g} %"
        yield "duration_s", _too_short(change, incline_s, level)


def _too_short(change: str, ramp_s: float, level: Level) -> str:
    needed_s = math.ceil(ramp_s / RAMP_SHARE_MAX - _ROUNDING)
    return (
        f"is too short: {change} takes {ramp_s:.0f} s at level {level.id}, so at least {needed_s} s"
    )


def _speed_at_end_kmh(segment: Segment, level: Level) -> float:
    at_rest = segment.direction is Direction.TURN and level.turn_at_rest
    return 0.0 if at_rest else segment.speed_kmh


def _ramp_kmh_per_s(direction: Direction, from_kmh: float, to_kmh: float, level: Level) -> float:
    """Down is one ramp for all; up, only walking forward may use the quicker one."""
    if to_kmh < from_kmh:
        return level.ramp_down_kmh_per_s
    if direction is Direction.FORWARD:
        return level.ramp_up_forward_kmh_per_s
    return level.ramp_up_backward_kmh_per_s
