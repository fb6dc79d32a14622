"""`core.program_rules`: what a program must respect, at, below and above every limit."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.messages import Direction, Level, Segment
from bridge.core.program_rules import Violation, check_segments, speed_cap_kmh

CUES = frozenset({"B1", "F1"})
LEVEL = Level(
    id="L1",
    rank=2,
    name="Comfortable",
    backward_max_kmh=4.0,
    forward_max_kmh=5.5,
    lateral_max_kmh=1.5,
    step_kmh=0.3,
    hold_s=20.0,
    ramp_up_backward_kmh_per_s=0.1,
    ramp_up_forward_kmh_per_s=0.2,
    ramp_down_kmh_per_s=0.15,
    warn_up_s=8.0,
    warn_down_s=5.0,
    incline_max_pct=8.0,
    incline_rate_pct_per_s=0.2,
    assumed_proven_backward_kmh=2.2,
    assumed_proven_forward_kmh=5.5,
    assumed_proven_lateral_kmh=1.0,
)


def walk(
    direction: Direction = Direction.BACKWARD,
    speed_kmh: float = 2.0,
    duration_s: float = 60.0,
    incline_pct: float = 0.0,
    cues: tuple[str, ...] = (),
) -> Segment:
    """A stretch that breaks no rule unless told to."""
    return Segment(
        direction=direction,
        speed_kmh=speed_kmh,
        duration_s=duration_s,
        incline_pct=incline_pct,
        cues=cues,
    )


TURN = walk(Direction.TURN, 1.0, 45.0)
FORWARD = walk(Direction.FORWARD)
BACKWARD = walk()


def found(*segments: Segment | None, level: Level | None = LEVEL) -> list[tuple[int | None, str]]:
    """Which segment breaks a rule with which field."""
    return [(broken.segment, broken.field) for broken in check_segments(segments, level, CUES)]


def test_a_sound_program_breaks_nothing() -> None:
    """Forward, turn, backward on a slope and off it again, turn, sideways."""
    slope = walk(incline_pct=8.0)
    sideways = walk(Direction.LATERAL_LEFT, 1.5)
    segments = (FORWARD, TURN, BACKWARD, slope, BACKWARD, TURN, sideways)
    assert check_segments(segments, LEVEL, CUES) == ()


def test_an_empty_program_is_refused_as_a_whole() -> None:
    """No segment is at fault, the program is."""
    [broken] = check_segments((), LEVEL, CUES)
    assert broken == Violation(
        segment=None, field="segments", message="a program needs at least one segment"
    )


@pytest.mark.parametrize(
    ("direction", "cap_kmh"),
    [
        (Direction.BACKWARD, 4.0),
        (Direction.FORWARD, 5.5),
        (Direction.LATERAL_LEFT, 1.5),
        (Direction.LATERAL_RIGHT, 1.5),
    ],
)
def test_cap_of_the_level_by_direction(direction: Direction, cap_kmh: float) -> None:
    """At the cap is right, a hundredth above it is not (S4)."""
    assert speed_cap_kmh(direction, LEVEL) == cap_kmh
    assert found(walk(direction, cap_kmh, 600)) == []
    assert found(walk(direction, cap_kmh + 0.01, 600)) == [(0, "speed_kmh")]


def test_a_level_may_not_walk_sideways_at_all() -> None:
    """CARE and L0 have no lateral maximum: the direction itself is at fault."""
    level = replace(LEVEL, lateral_max_kmh=None)
    assert found(walk(Direction.LATERAL_RIGHT, 1.0), level=level) == [(0, "direction")]


def test_incline_of_the_level() -> None:
    """At the level's steepest is right, above it is not; for every direction."""
    assert found(walk(incline_pct=8.0)) == []
    assert found(walk(incline_pct=8.1, duration_s=600)) == [(0, "incline_pct")]
    assert found(walk(Direction.FORWARD, incline_pct=8.1, duration_s=600)) == [(0, "incline_pct")]


@pytest.mark.parametrize("first", [Direction.FORWARD, Direction.LATERAL_LEFT])
def test_between_two_directions_lies_a_turn(first: Direction) -> None:
    """Left and right count as two directions, too (S13)."""
    assert found(walk(first, 1.0), BACKWARD) == [(1, "direction")]
    assert found(walk(first, 1.0), TURN, BACKWARD) == []


def test_a_turn_follows_walking() -> None:
    """A program does not begin with a turn, and has no two in a row."""
    assert found(TURN, BACKWARD) == [(0, "direction")]
    assert found(FORWARD, TURN, TURN, BACKWARD) == [(2, "direction")]


def test_nobody_turns_faster_than_one() -> None:
    """1.0 km/h is right, 1.1 is not; the walker's own speed never is (S13)."""
    assert found(FORWARD, walk(Direction.TURN, 1.0)) == []
    assert found(FORWARD, walk(Direction.TURN, 1.1)) == [(1, "speed_kmh")]
    assert found(FORWARD, replace(TURN, relative="comfort")) == [(1, "speed_kmh")]


def test_level_before_and_during_a_turn() -> None:
    """S14: the stretch before a turn ends level, and the turn is level."""
    assert found(walk(incline_pct=1.0), TURN, FORWARD) == [(0, "incline_pct")]
    assert found(FORWARD, replace(TURN, incline_pct=1.0), BACKWARD) == [(1, "incline_pct")]


def test_downhill_and_sideways_slopes() -> None:
    """Backward never goes downhill, forward may; sideways is level."""
    assert found(walk(incline_pct=-1.0)) == [(0, "incline_pct")]
    assert found(walk(Direction.FORWARD, incline_pct=-1.0)) == []
    assert found(walk(Direction.LATERAL_LEFT, 1.0, incline_pct=1.0)) == [(0, "incline_pct")]


def test_unknown_cues_are_named() -> None:
    """Each unknown cue is a finding of its own."""
    segments = (walk(cues=("B1", "B8", "X")),)
    messages = [broken.message for broken in check_segments(segments, LEVEL, CUES)]
    assert messages == [
        'there is no cue "B8"; there are: B1, F1',
        'there is no cue "X"; there are: B1, F1',
    ]


@pytest.mark.parametrize(
    ("before", "segment", "needed_s"),
    [
        (None, walk(speed_kmh=2.0), 30),  # 20 s at 0.1 backward
        (None, walk(Direction.FORWARD, 2.0), 15),  # 10 s at 0.2 forward
        (None, walk(Direction.LATERAL_LEFT, 1.0), 15),  # 10 s at 0.1, as backward
        (walk(speed_kmh=4.0, duration_s=600), walk(speed_kmh=1.0), 30),  # 20 s down at 0.15
        (BACKWARD, walk(speed_kmh=2.4), 6),  # only the difference counts
        (walk(), walk(incline_pct=4.0), 30),  # 20 s at 0.2 %/s
        (walk(incline_pct=8.0), walk(incline_pct=0.0), 60),  # 40 s down as well
    ],
)
def test_ramps_take_at_most_two_thirds(
    before: Segment | None, segment: Segment, needed_s: float
) -> None:
    """Exactly two thirds is right; a second less time for it is too short, and says how long."""
    segments = (segment,) if before is None else (before, segment)
    enough = (*segments[:-1], replace(segment, duration_s=float(needed_s)))
    assert found(*enough) == []
    short = (*segments[:-1], replace(segment, duration_s=needed_s - 1.0))
    [broken] = check_segments(short, LEVEL, CUES)
    assert (broken.segment, broken.field) == (len(short) - 1, "duration_s")
    assert broken.message.endswith(f"so at least {needed_s} s")


def test_a_turn_at_rest_begins_and_ends_at_rest() -> None:
    """CARE turns on a standing belt: the stretch after it ramps from 0."""
    after = walk(speed_kmh=2.0, duration_s=18.0)
    assert found(FORWARD, TURN, after) == []  # 1.0 to 2.0: 10 s of 18
    resting = replace(LEVEL, turn_at_rest=True)
    assert found(FORWARD, TURN, after, level=resting) == [(2, "duration_s")]  # 0 to 2.0: 20 s


def test_unreadable_segments_are_skipped_and_silence_their_neighbours() -> None:
    """What cannot be known is not judged; what can be, is."""
    broken = walk(speed_kmh=9.0, duration_s=1.0, incline_pct=-1.0)
    assert found(FORWARD, None, broken) == [(2, "incline_pct"), (2, "speed_kmh")]
    assert found(TURN, None) == [(0, "direction")]


def test_without_a_level_only_the_common_rules_are_judged() -> None:
    """An unknown level is one finding of whoever reads the file, not one for each segment."""
    assert found(walk(speed_kmh=20.0, duration_s=1.0), level=None) == []
    assert found(walk(incline_pct=-1.0), level=None) == [(0, "incline_pct")]


_SEGMENTS = st.lists(
    st.none()
    | st.builds(
        walk,
        st.sampled_from(Direction),
        st.floats(0.1, 25),
        st.floats(1, 7200),
        st.floats(-15, 40),
        st.lists(st.sampled_from(["B1", "X"]), max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=8,
)


@given(_SEGMENTS)
def test_what_passes_is_within_every_limit(segments: list[Segment | None]) -> None:
    """Two-sided: a finding names a real segment, and a segment without one is within its caps."""
    broken = check_segments(segments, LEVEL, CUES)
    at_fault = {each.segment for each in broken}
    for index, segment in enumerate(segments):
        if segment is None:
            assert index not in at_fault
        elif index not in at_fault:
            cap_kmh = speed_cap_kmh(segment.direction, LEVEL)
            assert cap_kmh is not None
            assert segment.speed_kmh <= cap_kmh
            assert segment.incline_pct <= LEVEL.incline_max_pct
            assert set(segment.cues) <= CUES
    assert at_fault <= set(range(len(segments)))
