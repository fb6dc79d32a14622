"""`core.snapshot`: what everybody may see. Unknown is ``None``, never zero."""

from dataclasses import fields

import pytest

from bridge.core.messages import Direction, Phase, Verb
from tests.core.conftest import Walking
from tests.virtual import program, stretch

MADE = program(
    stretch("forward", 1.0, 40.0), stretch("turn", 1.0, 30.0), stretch("backward", 1.0, 60.0)
)


def test_before_anything_is_known(connected: Walking) -> None:
    """A link and nothing else: everything that is not known is None."""
    walk = connected(configured=MADE)
    state = walk.state
    known = {each.name for each in fields(state) if getattr(state, each.name) is not None}
    assert known == {"link", "stale", "phase", "walker", "safety_key"}
    assert (state.link, state.stale, state.safety_key) == ("up", True, "unknown")
    walk.disconnect()
    assert (walk.state.link, walk.state.stale) == ("down", False)


def test_armed(connected: Walking) -> None:
    """The program and its length are known; where it stands is not."""
    walk = connected(configured=MADE)
    walk.ask(Verb.ARM)
    walk.run_for(2.0)
    state = walk.state
    assert (state.program, state.segments, state.segment) == ("made", 3, None)
    assert state.segment_remaining_s is None
    assert state.direction is None
    assert state.target_speed_kmh is None
    assert state.session is None
    assert state.distance_m is None
    assert state.speed_kmh == 0.0
    assert state.prompt is not None


def test_in_a_session(walking: Walking) -> None:
    """Segment by segment, with totals from the measured speed."""
    walk = walking(configured=MADE)
    walk.run_until(lambda each: each.state.segment == 3, 120)
    walk.run_for(30.0)
    state = walk.state
    assert (state.phase, state.direction) == (Phase.MOVING, Direction.BACKWARD)
    assert (state.segment, state.segments) == (3, 3)
    assert state.segment_remaining_s == pytest.approx(30.0, abs=1.0)
    assert state.target_speed_kmh == state.acknowledged_speed_kmh == state.speed_kmh == 1.0
    assert state.requested_speed_kmh == 1.0
    assert (state.target_incline_pct, state.incline_pct) == (0.0, 0.0)
    assert state.backward_time_s == pytest.approx(30.0, abs=2.0)
    assert state.backward_distance_m == pytest.approx(30 / 3.6, abs=1.0)
    assert state.elapsed_s == pytest.approx(100.0, abs=3.0)
    assert state.distance_m == pytest.approx(walk.server.belt.distance_m, abs=2.0)
    assert state.session == "session-1"


def test_afterwards(walking: Walking) -> None:
    """The totals stay; the program and the targets are gone."""
    walk = walking(configured=MADE)
    walk.run_to(Phase.ENDED, 300)
    state = walk.state
    assert state.session == "session-1"
    assert state.elapsed_s is not None
    assert (state.program, state.segment, state.segments, state.next_change) == (None,) * 4
    assert (state.target_speed_kmh, state.requested_speed_kmh, state.direction) == (None,) * 3
    assert state.problem is None


def test_the_last_segment_stays_the_last_while_stopping(walking: Walking) -> None:
    """3 of 3, not 4 of 3; and without a link no speed is shown."""
    walk = walking(configured=MADE)
    walk.run_to(Phase.STOPPING, 300)
    assert (walk.state.segment, walk.state.segments) == (3, 3)
    walk.disconnect()
    assert walk.state.speed_kmh is None
