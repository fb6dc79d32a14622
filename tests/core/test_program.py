"""Where a program stands, and how fast this walker may be taken to at once."""

import pytest

from bridge.core.messages import Direction, Program, Segment, Walker
from bridge.core.program import ProgramRun, proven_kmh
from tests.core.values import LEVEL, level

SEGMENTS = (
    Segment(direction=Direction.FORWARD, duration_s=60.0, speed_kmh=2.0),
    Segment(direction=Direction.TURN, duration_s=45.0, speed_kmh=1.0),
    Segment(direction=Direction.BACKWARD, duration_s=30.0, speed_kmh=1.2, relative="comfort"),
)


def a_run(walker: Walker | None = None) -> ProgramRun:
    """Three segments, at the first."""
    program = Program(id="p", name="P", level="T", segments=SEGMENTS)
    return ProgramRun(program=program, walker=walker or Walker(id="me", level=LEVEL))


def test_a_program_is_walked_segment_by_segment() -> None:
    """What runs, what comes next, and the end."""
    run = a_run()
    for here, following in zip(SEGMENTS, (*SEGMENTS[1:], None), strict=True):
        assert run.segment is here
        assert run.next_segment is following
        assert not run.finished
        run.go_on()
    assert run.finished
    assert run.segment is SEGMENTS[-1]
    assert run.next_segment is None


def test_time_passes_only_when_it_is_passed() -> None:
    """Seconds left never go below zero, and every segment starts with all of its own."""
    run = a_run()
    run.pass_time(59.0)
    assert run.remaining_s == 1.0
    run.pass_time(5.0)
    assert run.remaining_s == 0.0
    run.go_on()
    assert run.remaining_s == 45.0


@pytest.mark.parametrize(
    ("comfort_kmh", "index", "expected_kmh"), [(None, 2, 1.2), (1.9, 2, 1.9), (1.9, 0, 2.0)]
)
def test_a_segment_may_ask_for_the_walkers_comfort(
    comfort_kmh: float | None, index: int, expected_kmh: float
) -> None:
    """Until it is known, and where it is not asked for, the segment's own number counts."""
    run = a_run(Walker(id="me", level=LEVEL, comfort_kmh=comfort_kmh))
    assert run.ceiling_kmh(SEGMENTS[index]) == expected_kmh


@pytest.mark.parametrize(
    ("direction", "assumed_kmh"),
    [
        (Direction.BACKWARD, 2.2),
        (Direction.TURN, 2.2),
        (Direction.FORWARD, 5.5),
        (Direction.LATERAL_LEFT, 1.0),
        (Direction.LATERAL_RIGHT, 1.0),
    ],
)
def test_what_is_proven_by_the_level_or_by_walking(
    direction: Direction, assumed_kmh: float
) -> None:
    """S20: the higher of the two, and only what was held in this direction."""
    others = tuple((other, 9.0) for other in Direction if other is not direction)
    assert proven_kmh(Walker(id="me", level=LEVEL), direction) == assumed_kmh
    assert proven_kmh(Walker(id="me", level=LEVEL, proven_kmh=others), direction) == assumed_kmh
    for held_kmh, expected_kmh in ((0.5, assumed_kmh), (7.0, 7.0)):
        walker = Walker(id="me", level=LEVEL, proven_kmh=(*others, (direction, held_kmh)))
        assert proven_kmh(walker, direction) == expected_kmh


def test_nothing_proven_is_zero() -> None:
    """S20: then every rise is one step."""
    novice = level(assumed_proven_backward_kmh=0.0)
    assert proven_kmh(Walker(id="me", level=novice), Direction.BACKWARD) == 0.0
