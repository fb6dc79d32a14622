"""The pacing of state messages, by itself and as a property over random histories."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.messages import Direction, NextChange, Phase, Reason, State
from bridge.state_pacing import HEARTBEAT_S, STATE_PERIOD_S, StatePacing

NOTHING_YET = State(
    link="up",
    stale=False,
    phase=Phase.MOVING,
    direction=Direction.BACKWARD,
    requested_speed_kmh=None,
    target_speed_kmh=1.4,
    acknowledged_speed_kmh=None,
    speed_kmh=None,
    target_incline_pct=None,
    incline_pct=None,
    heart_rate_bpm=None,
    distance_m=None,
    backward_distance_m=None,
    elapsed_s=None,
    backward_time_s=None,
    energy_kcal=None,
    energy_low_kcal=None,
    energy_high_kcal=None,
    program=None,
    walker=None,
    segment=None,
    segments=None,
    segment_remaining_s=None,
    next_change=None,
    prompt=None,
    safety_key="unknown",
    problem=None,
    session=None,
)
TURN = NextChange(in_s=40.0, direction=Direction.TURN, speed_kmh=1.0, incline_pct=0.0)


def test_the_first_state_goes_at_once() -> None:
    """Whoever subscribed first should not wait."""
    assert StatePacing().delay_s(NOTHING_YET, 0.0) == 0.0


def test_a_measurement_waits_for_its_second() -> None:
    """Contract section 3: at most one a second unless something other changed."""
    pacing = StatePacing()
    pacing.sent(NOTHING_YET, 10.0)
    faster = replace(NOTHING_YET, speed_kmh=1.3, distance_m=2.0, elapsed_s=3.0)
    assert pacing.delay_s(faster, 10.25) == STATE_PERIOD_S - 0.25
    assert pacing.delay_s(faster, 11.0) == 0.0


def test_a_decision_does_not_wait() -> None:
    """A problem, a target, a phase: people must see it now."""
    pacing = StatePacing()
    pacing.sent(NOTHING_YET, 10.0)
    for change in (
        {"problem": Reason.STALE_DATA},
        {"target_speed_kmh": 1.5},
        {"phase": Phase.STOPPING},
        {"stale": True},
        {"next_change": TURN},
    ):
        assert pacing.delay_s(replace(NOTHING_YET, **change), 10.01) == 0.0


def test_a_countdown_is_no_decision() -> None:
    """The next change coming nearer counts down; another next change is news."""
    pacing = StatePacing()
    pacing.sent(replace(NOTHING_YET, next_change=TURN), 10.0)
    nearer = replace(NOTHING_YET, next_change=replace(TURN, in_s=39.0))
    other = replace(NOTHING_YET, next_change=replace(TURN, speed_kmh=0.8))
    assert pacing.delay_s(nearer, 10.5) == 0.5
    assert pacing.delay_s(other, 10.5) == 0.0


def test_no_change_is_a_heartbeat() -> None:
    """The same state again is silence, until the heartbeat is due."""
    pacing = StatePacing()
    pacing.sent(NOTHING_YET, 10.0)
    assert pacing.delay_s(NOTHING_YET, 10.0 + HEARTBEAT_S - 0.1) is None
    assert pacing.delay_s(NOTHING_YET, 10.0 + HEARTBEAT_S) == 0.0


changes = st.tuples(
    st.floats(min_value=0.01, max_value=3.0),
    st.sampled_from([None, 1.0, 1.1, 1.2]),
    st.sampled_from([Phase.MOVING, Phase.HOLDING]),
)


@given(st.lists(changes, max_size=60))
def test_the_rule_over_any_history(history: list[tuple[float, float | None, Phase]]) -> None:
    """Never two measurements within a second, never a decision held back, nothing forgotten."""
    pacing, now_s, due_s = StatePacing(), 0.0, None
    sent: list[tuple[float, State]] = []
    state = NOTHING_YET
    for passed_s, speed_kmh, phase in [*history, (5.0, 1.0, Phase.MOVING)]:
        if due_s is not None and due_s <= now_s + passed_s:
            sent.append((due_s, state))
            pacing.sent(state, due_s)
            due_s = None
        now_s += passed_s
        state = replace(state, speed_kmh=speed_kmh, phase=phase)
        delay_s = pacing.delay_s(state, now_s)
        if delay_s == 0.0:
            sent.append((now_s, state))
            pacing.sent(state, now_s)
            due_s = None
        elif delay_s is not None and due_s is None:
            due_s = now_s + delay_s
        assert sent[-1][1].phase == phase
    for (before_s, before), (after_s, after) in pairwise(sent):
        assert after_s - before_s >= STATE_PERIOD_S - 1e-9 or before.phase != after.phase
    assert sent[-1][1] == state or due_s is not None
