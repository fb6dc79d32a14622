"""The table of phases holds what its docstring claims, and totals come from what was measured."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.messages import Direction, Phase
from bridge.core.session import (
    DRIVING,
    IN_SESSION,
    LONGEST_STEP_S,
    TRANSITIONS,
    Session,
    Totals,
    Trigger,
)

MAY_MOVE = frozenset({Phase.MOVING, Phase.TURNING, Phase.HOLDING})
"""The phases in which a belt runs and nobody is stopping it."""
AT_REST = frozenset(Phase) - MAY_MOVE - {Phase.STOPPING}
ROWS = [(before, trigger, after) for (before, trigger), after in TRANSITIONS.items()]


# --- the theory of the table ---------------------------------------------------------------------


def test_only_adopt_leads_from_rest_into_driving() -> None:
    """S1, S2: and only from armed or paused, where a person has just asked for it."""
    into = {(before, trigger) for before, trigger, after in ROWS if after in DRIVING}
    from_rest = {(before, trigger) for before, trigger in into if before in AT_REST}
    assert from_rest == {(Phase.ARMED, Trigger.ADOPT), (Phase.PAUSED, Trigger.ADOPT)}
    assert {before for before, trigger, _ in ROWS if trigger is Trigger.ADOPT} == {
        Phase.ARMED,
        Phase.PAUSED,
    }


def test_only_a_person_arms() -> None:
    """S9: from idle or ended, by ARM alone; an ended session has no other way on."""
    into = {(before, trigger) for before, trigger, after in ROWS if after is Phase.ARMED}
    assert into == {(Phase.IDLE, Trigger.ARM), (Phase.ENDED, Trigger.ARM)}
    for latched in (Phase.IDLE, Phase.ENDED):
        assert [trigger for before, trigger, _ in ROWS if before is latched] == [Trigger.ARM]


@pytest.mark.parametrize("phase", sorted(MAY_MOVE | {Phase.PAUSED}))
def test_every_phase_of_a_session_can_be_stopped(phase: Phase) -> None:
    """S7, S18: from wherever the belt may move, one row to stopping."""
    assert TRANSITIONS[phase, Trigger.STOP] is Phase.STOPPING


@pytest.mark.parametrize("phase", sorted(IN_SESSION))
def test_every_phase_of_a_session_can_be_ended_by_the_machine(phase: Phase) -> None:
    """S9: key out or Stop at the console is the end, also of stopping and pausing."""
    assert TRANSITIONS[phase, Trigger.MACHINE_STOPPED] is Phase.ENDED


def test_the_machine_disarms_too() -> None:
    """S9: a key pulled while armed takes the arming back."""
    assert TRANSITIONS[Phase.ARMED, Trigger.MACHINE_STOPPED] is Phase.IDLE


def test_stopping_leads_only_to_rest() -> None:
    """S7: no row back into motion, nor into anything that could resume by itself."""
    assert {after for before, _, after in ROWS if before is Phase.STOPPING} == {
        Phase.ENDED,
        Phase.PAUSED,
    }


def test_holding_is_left_upward_only_by_a_persons_word() -> None:
    """S8, S11: and a hold is entered only from a session that has begun."""
    upward = {
        trigger for before, trigger, after in ROWS if before is Phase.HOLDING and after in DRIVING
    }
    assert upward == {Trigger.RELEASE, Trigger.RELEASE_INTO_TURN}
    assert {before for before, _, after in ROWS if after is Phase.HOLDING} <= IN_SESSION
    assert {before for before, trigger, _ in ROWS if trigger in upward} == {Phase.HOLDING}


def test_no_phase_is_a_dead_end_and_every_phase_can_be_reached() -> None:
    """Searched from idle; and back to idle or ended from everywhere."""
    reached, edge = {Phase.IDLE}, {Phase.IDLE}
    while edge:
        edge = {after for before, _, after in ROWS if before in edge} - reached
        reached |= edge
    assert reached == set(Phase)
    ends, grown = {Phase.IDLE, Phase.ENDED}, True
    while grown:
        more = {before for before, _, after in ROWS if after in ends} - ends
        ends, grown = ends | more, bool(more)
    assert ends == set(Phase)


def test_the_groups_of_phases_are_what_they_say() -> None:
    """Driving is within a session; a session is everything but idle, armed and ended."""
    assert frozenset(Phase) - IN_SESSION == {Phase.IDLE, Phase.ARMED, Phase.ENDED}
    assert DRIVING <= MAY_MOVE <= IN_SESSION
    assert set(Trigger) == {trigger for _, trigger, _ in ROWS}


# --- walking through it --------------------------------------------------------------------------


@pytest.mark.parametrize(("phase", "trigger"), list(product(Phase, Trigger)))
def test_a_trigger_without_a_row_does_nothing(phase: Phase, trigger: Trigger) -> None:
    """The safe answer: a second arm does not arm twice, a stray adopt adopts nothing."""
    session = Session(phase=phase, id="s")
    moved = session.move(trigger)
    assert moved is ((phase, trigger) in TRANSITIONS)
    assert session.phase is TRANSITIONS.get((phase, trigger), phase)
    assert session.id == "s"
    assert session.running is (session.phase in IN_SESSION)


@given(triggers=st.lists(st.sampled_from(Trigger), max_size=60))
def test_no_walk_drives_without_having_adopted_since_rest(triggers: list[Trigger]) -> None:
    """S1, S2, S9: in any order of events, driving after rest has an adopt or a release between."""
    session = Session()
    for trigger in triggers:
        before = session.phase
        if not session.move(trigger):
            continue
        after = session.phase
        if after in DRIVING and before not in DRIVING:
            assert trigger in {Trigger.ADOPT, Trigger.RELEASE, Trigger.RELEASE_INTO_TURN}
        if before in {Phase.IDLE, Phase.ENDED}:
            assert (after, trigger) == (Phase.ARMED, Trigger.ARM)


# --- totals --------------------------------------------------------------------------------------


def test_a_known_walk_adds_up() -> None:
    """One minute forward at 3.6 km/h is 60 m; half a minute backward at 1.8 km/h is 15 m."""
    totals = Totals()
    totals.add(3.6, 60.0, Direction.FORWARD)
    totals.add(1.8, 20.0, Direction.BACKWARD)
    totals.add(1.8, 10.0, Direction.BACKWARD)
    totals.add(0.9, 4.0, Direction.LATERAL_LEFT)
    assert totals.summary() == {
        "elapsed_s": 94.0,
        "distance_m": 76.0,
        "backward_time_s": 30.0,
        "backward_distance_m": 15.0,
        "top_backward_kmh": 1.8,
    }


def test_a_summary_is_rounded_as_people_read_it() -> None:
    """Tenths of seconds and metres, hundredths of km/h."""
    totals = Totals()
    totals.add(1.2345, 10.04, Direction.BACKWARD)
    assert totals.summary() == {
        "elapsed_s": 10.0,
        "distance_m": 3.4,
        "backward_time_s": 10.0,
        "backward_distance_m": 3.4,
        "top_backward_kmh": 1.23,
    }


def test_the_top_speed_is_backward_only() -> None:
    """A forward warm-up is no record; a slower stretch does not lower one."""
    totals = Totals()
    for speed_kmh, direction in (
        (5.0, Direction.FORWARD),
        (2.0, Direction.BACKWARD),
        (1.0, Direction.BACKWARD),
    ):
        totals.add(speed_kmh, 1.0, direction)
    assert totals.top_backward_kmh == 2.0


def test_time_is_counted_between_records_of_a_moving_belt() -> None:
    """Not before the first, not at rest, and not over a gap in which nobody knows what happened."""
    session = Session()
    counted = []
    for at_s, speed_kmh in (
        (10.0, 3.6),
        (11.0, 3.6),
        (12.0, 0.0),
        (13.0, 3.6),
        (13.0 + LONGEST_STEP_S, 3.6),
        (16.1 + LONGEST_STEP_S, 3.6),
        (17.1 + LONGEST_STEP_S, 3.6),
    ):
        session.count(speed_kmh, Direction.BACKWARD, at_s)
        counted.append(round(session.totals.elapsed_s, 6))
    assert counted == [0.0, 1.0, 1.0, 2.0, 5.0, 5.0, 6.0]
    assert session.totals.distance_m == pytest.approx(6.0)
    assert session.totals.backward_distance_m == pytest.approx(6.0)


@given(
    records=st.lists(
        st.tuples(st.floats(0, 20), st.floats(0, 10), st.sampled_from(Direction)), max_size=40
    )
)
def test_totals_only_grow_and_backward_is_part_of_the_whole(
    records: list[tuple[float, float, Direction]],
) -> None:
    """Two-sided: never less than before, never more than time and speed allow."""
    session, now_s = Session(), 0.0
    before = Totals()
    for speed_kmh, gap_s, direction in records:
        now_s += gap_s
        session.count(speed_kmh, direction, now_s)
        totals = session.totals
        assert before.elapsed_s <= totals.elapsed_s <= now_s + 1e-6
        assert before.distance_m <= totals.distance_m <= totals.elapsed_s * 20 / 3.6 + 1e-6
        assert totals.backward_time_s <= totals.elapsed_s + 1e-6
        assert totals.backward_distance_m <= totals.distance_m + 1e-6
        before = Totals(elapsed_s=totals.elapsed_s, distance_m=totals.distance_m)
