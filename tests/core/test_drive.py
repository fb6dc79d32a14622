"""How a goal becomes one cleared target after the other, and what the machine's answers mean."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.belt import Belt
from bridge.core.control_point import ControlPoint, Kind, Procedure, Settled, Verdict
from bridge.core.drive import UNKNOWN_SETTLES_S, Drive
from bridge.core.governor import View
from bridge.core.messages import (
    ClearedIncline,
    ClearedSpeed,
    Machine,
    Reading,
    Reason,
    Refused,
)
from tests.core.values import HALVES, TENTHS, permit, speeds, view


def a_belt(speed_kmh: float | None = 2.0, incline_pct: float | None = 1.0) -> Belt:
    """A connected machine and its latest record."""
    belt = Belt()
    belt.connect(Machine(speed_range=TENTHS, incline_range=HALVES))
    belt.read(Reading(speed_kmh=speed_kmh, incline_pct=incline_pct), 1000.0)
    return belt


def a_drive(belt: Belt | None = None, at_s: float = 990.0) -> Drive:
    """A drive that has adopted a belt at 2.0 km/h and 1 %."""
    drive = Drive(control_point=ControlPoint(speed_range=TENTHS, incline_range=HALVES))
    drive.adopt(a_belt() if belt is None else belt, at_s)
    return drive


def seen(drive: Drive, **changes: object) -> View:
    """The governor's view of this drive: everything allows a rise."""
    return view(
        cleared_speed_kmh=drive.cleared_speed_kmh,
        cleared_incline_pct=drive.cleared_incline_pct,
        written_at_s=drive.written_at_s,
        changed_at_s=drive.changed_at_s,
        **changes,
    )


def settled(kind: Kind, verdict: Verdict, value: float | None = None) -> Settled:
    """A procedure that has ended like this."""
    procedure = Procedure(kind=kind, write_id=1, sent_at_s=0.0, value=value)
    return Settled(procedure=procedure, verdict=verdict)


# --- where a drive begins ------------------------------------------------------------------------


def test_adopting_takes_the_belt_as_it_runs_and_writes_nothing() -> None:
    """S8, S11: what is measured becomes what is cleared and acknowledged; doubts are over."""
    belt = a_belt(1.83, 2.5)
    belt.unknown_outcome = True
    drive = a_drive(belt)
    assert (drive.cleared_speed_kmh, drive.cleared_incline_pct) == (1.83, 2.5)
    assert (belt.acknowledged_speed_kmh, belt.acknowledged_incline_pct) == (1.83, 2.5)
    assert not belt.unknown_outcome
    assert drive.steady_since_s == drive.changed_at_s == 990.0
    assert drive.watch.cleared_kmh == 1.83
    assert drive.control_point.next_write(990.0) is None


def test_adopting_an_unknown_speed_is_adopting_rest() -> None:
    """A machine that tells no incline is taken as level."""
    drive = a_drive(a_belt(None, None))
    assert (drive.cleared_speed_kmh, drive.cleared_incline_pct) == (0.0, 0.0)


def test_at_rest_nothing_is_requested_and_nothing_cleared() -> None:
    """S1: nothing is left that could be sent again."""
    drive = a_drive()
    drive.towards(3.0, 1.0, seen(drive), 1000.0)
    drive.at_rest()
    assert drive.requested_speed_kmh is drive.requested_incline_pct is None
    assert drive.cleared_speed_kmh == 0.0
    assert drive.steady_since_s is None


def test_a_ramp_grows_from_the_later_of_write_and_due() -> None:
    """S5: a change that became due after the last write has no time saved up."""
    drive = a_drive()
    drive.written_at_s = 995.0
    assert drive.changed_at_s == 995.0
    drive.change_due(998.0)
    assert drive.changed_at_s == 998.0


# --- S14: one of two, in order -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ((3.0, 3.0), ClearedIncline(incline_pct=1.5)),
        ((3.0, 1.0), ClearedSpeed(speed_kmh=2.2)),
        ((1.0, 0.0), ClearedSpeed(speed_kmh=1.6)),
        ((1.0, 3.0), ClearedSpeed(speed_kmh=1.6)),
        ((2.0, 0.0), ClearedIncline(incline_pct=0.5)),
        ((3.0, 0.0), ClearedIncline(incline_pct=0.5)),
        ((2.0, 1.0), None),
    ],
)
def test_one_thing_moves_at_a_time(
    goal: tuple[float, float], expected: ClearedSpeed | ClearedIncline | None
) -> None:
    """S14: up the incline first, down the speed first; at the goal nothing."""
    drive = a_drive()
    assert drive.towards(*goal, seen(drive), 1000.0) == expected
    assert (drive.requested_speed_kmh, drive.requested_incline_pct) == goal
    assert (drive.control_point.speed, drive.control_point.incline) == (
        expected if isinstance(expected, ClearedSpeed) else None,
        expected if isinstance(expected, ClearedIncline) else None,
    )


def test_a_machine_without_incline_is_not_asked_for_one() -> None:
    """A program with slopes is walked flat on it."""
    drive = a_drive()
    flat = seen(drive, incline_range=None)
    assert drive.towards(2.0, 5.0, flat, 1000.0) is None
    assert drive.towards(3.0, 5.0, flat, 1000.0) == ClearedSpeed(speed_kmh=2.2)


def test_what_was_handed_out_is_cleared_watched_and_dated() -> None:
    """S5, S12: the next ramp grows from now, and steadiness has to be shown again."""
    drive = a_drive()
    drive.towards(3.0, 1.0, seen(drive), 1000.0)
    assert drive.cleared_speed_kmh == drive.watch.cleared_kmh == 2.2
    assert drive.written_at_s == drive.changed_at_s == 1000.0
    assert drive.steady_since_s is None
    drive = a_drive()
    drive.towards(2.0, 3.0, seen(drive), 1000.0)
    assert drive.cleared_incline_pct == 1.5
    assert drive.written_at_s == 1000.0


def test_while_an_answer_is_awaited_nothing_is_handed_out() -> None:
    """S5, S11: not even slower; it would leave late, and a stop overtakes it all anyway."""
    drive = a_drive()
    drive.towards(3.0, 1.0, seen(drive), 1000.0)
    for goal in ((3.0, 1.0), (1.0, 1.0)):
        assert drive.towards(*goal, seen(drive, now_s=1005.0), 1005.0) is None
        assert drive.requested_speed_kmh == goal[0]
        assert drive.cleared_speed_kmh == 2.2
    drive.control_point.next_write(1000.0)
    assert drive.towards(1.0, 1.0, seen(drive, now_s=1005.0), 1005.0) is None


def test_a_refusal_changes_nothing() -> None:
    """S3: only a cleared value is ever handed out."""
    drive = a_drive()
    answer = drive.towards(3.0, 1.0, seen(drive, permit=None), 1000.0)
    assert answer == Refused(reason=Reason.NOT_DELIVERED)
    assert drive.cleared_speed_kmh == 2.0
    assert drive.steady_since_s == drive.changed_at_s == 990.0
    assert drive.control_point.next_write(1000.0) is None


@settings(max_examples=40)
@given(
    goal_kmh=st.integers(5, 40).map(lambda tenths: tenths / 10),
    goal_pct=st.integers(0, 16).map(lambda halves: halves / 2),
    lag_s=st.integers(0, 3),
)
def test_a_goal_is_reached_without_moving_both_at_once(
    goal_kmh: float, goal_pct: float, lag_s: int
) -> None:
    """S14, S5: whatever the goal, each write moves one of the two, and it gets there."""
    drive, now_s = a_drive(), 1000.0
    for _ in range(200):
        before = (drive.cleared_speed_kmh, drive.cleared_incline_pct)
        world = seen(
            drive,
            now_s=now_s,
            measured_speed_kmh=drive.cleared_speed_kmh,
            measured_incline_pct=drive.cleared_incline_pct,
            permit=permit(speed_kmh=9.0, delivered_at_s=900.0),
            proven_kmh=9.0,
        )
        drive.towards(goal_kmh, goal_pct, world, now_s)
        drive.control_point.forget_targets()  # as if written and answered
        after = (drive.cleared_speed_kmh, drive.cleared_incline_pct)
        assert before[0] == after[0] or before[1] == after[1]
        now_s += 1.0 + lag_s
    assert (drive.cleared_speed_kmh, drive.cleared_incline_pct) == (goal_kmh, goal_pct)


# --- what is measured ----------------------------------------------------------------------------


def measure(drive: Drive, belt: Belt, speed_kmh: float | None, at_s: float) -> bool:
    """A record comes; whether it shows the target reached for the first time."""
    belt.read(Reading(speed_kmh=speed_kmh), at_s)
    return drive.measured(belt, at_s)


def test_a_target_is_reached_once() -> None:
    """S20: the hold counts from the first record that shows it, and anew after leaving it."""
    belt = a_belt()
    drive = a_drive(belt)
    drive.towards(3.0, 1.0, seen(drive), 1000.0)
    assert not measure(drive, belt, 2.1, 1001.0)
    assert measure(drive, belt, 2.15, 1002.0)
    assert not measure(drive, belt, 2.2, 1003.0)
    assert drive.steady_since_s == 1002.0
    assert not measure(drive, belt, 2.4, 1004.0)
    assert measure(drive, belt, 2.25, 1005.0)


def test_a_coarse_machine_reaches_its_target_within_half_a_step() -> None:
    """Where the machine's step is 0.5, 0.25 beside is there."""
    belt = Belt()
    belt.connect(Machine(speed_range=speeds(0.5, 9.0, 0.5)))
    belt.read(Reading(speed_kmh=2.0), 0.0)
    drive = a_drive(belt)
    drive.steady_since_s = None
    assert not measure(drive, belt, 2.26, 1.0)
    assert measure(drive, belt, 2.25, 2.0)


def test_nothing_measured_is_nothing_reached() -> None:
    """A record without speed says nothing about a target."""
    belt = Belt()
    assert not a_drive().measured(belt, 1000.0)


# --- S17: doubt ----------------------------------------------------------------------------------


def in_doubt() -> tuple[Drive, Belt]:
    """2.0 was acknowledged, 2.2 was written and never answered."""
    belt = a_belt()
    drive = a_drive(belt)
    drive.towards(3.0, 1.0, seen(drive), 1000.0)
    drive.settled(settled(Kind.SPEED, Verdict.UNKNOWN, 2.2), belt)
    assert belt.unknown_outcome
    return drive, belt


@pytest.mark.parametrize("really_kmh", [2.0, 2.2])
def test_the_measurement_settles_a_doubt(really_kmh: float) -> None:
    """S17: two seconds at one of the two, and that is what the machine has."""
    drive, belt = in_doubt()
    belt.measured_incline_pct = 1.5
    measure(drive, belt, really_kmh, 1003.0)
    measure(drive, belt, really_kmh, 1003.0 + UNKNOWN_SETTLES_S - 0.1)
    doubts = [belt.unknown_outcome]
    measure(drive, belt, really_kmh, 1003.0 + UNKNOWN_SETTLES_S)
    assert [*doubts, belt.unknown_outcome] == [True, False]
    assert drive.cleared_speed_kmh == belt.acknowledged_speed_kmh == really_kmh
    assert drive.cleared_incline_pct == belt.acknowledged_incline_pct == 1.5
    assert drive.doubt_kmh is drive.doubt_since_s is None


def test_a_machine_that_tells_no_incline_settles_by_speed_alone() -> None:
    """S17: nothing is invented about the incline."""
    drive, belt = in_doubt()
    belt.measured_incline_pct = None
    for at_s in (1003.0, 1005.0):
        measure(drive, belt, 2.2, at_s)
    assert not belt.unknown_outcome
    assert drive.cleared_incline_pct == belt.acknowledged_incline_pct == 1.0


def test_between_the_two_nothing_is_settled() -> None:
    """S17: neither a third speed nor a belt that passes from one to the other."""
    drive, belt = in_doubt()
    for number, speed_kmh in enumerate([2.1] * 9 + [2.0, 2.0, 2.2, 2.2, 2.0, 1.0]):
        measure(drive, belt, speed_kmh, 1003.0 + number)
        assert belt.unknown_outcome


def test_a_doubt_without_anything_acknowledged_has_one_candidate() -> None:
    """S17: what was cleared; there is nothing older to fall back to."""
    drive, belt = in_doubt()
    belt.acknowledged_speed_kmh = None
    doubts = []
    for at_s, speed_kmh in ((1003.0, 2.0), (1006.0, 2.0), (1007.0, 2.2), (1010.0, 2.2)):
        measure(drive, belt, speed_kmh, at_s)
        doubts.append(belt.unknown_outcome)
    assert doubts == [True, True, True, False]


# --- what the machine answers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Kind.SPEED, 2.2, (2.2, 1.0, False)),
        (Kind.INCLINE, 3.0, (2.0, 3.0, False)),
        (Kind.CONTROL, None, (2.0, 1.0, True)),
        (Kind.START, None, (2.0, 1.0, False)),
        (Kind.STOP, None, (2.0, 1.0, False)),
    ],
)
def test_done_is_acknowledged(
    kind: Kind, value: float | None, expected: tuple[float, float, bool]
) -> None:
    """S3: acknowledged is what the machine said yes to, and nothing else."""
    belt = a_belt()
    drive = a_drive(belt)
    drive.settled(settled(kind, Verdict.DONE, value), belt)
    assert (
        belt.acknowledged_speed_kmh,
        belt.acknowledged_incline_pct,
        belt.control_held,
    ) == expected
    assert drive.cleared_speed_kmh == 2.0


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("kind", [Kind.SPEED, Kind.CONTROL])
def test_taken_is_not_acknowledged(kind: Kind, held: bool) -> None:
    """S17: a machine that never says yes has only been told; control is taken for granted there."""
    belt = a_belt()
    drive = a_drive(belt)
    belt.control_held = held
    drive.settled(settled(kind, Verdict.TAKEN, 2.2), belt)
    assert belt.acknowledged_speed_kmh == 2.0
    assert not belt.unknown_outcome
    assert belt.control_held is (held or kind is Kind.CONTROL)


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.NO_CONTROL])
def test_a_refused_target_is_taken_back(verdict: Verdict) -> None:
    """S3: what the machine had before still stands; without control nothing more is asked."""
    belt = a_belt()
    drive = a_drive(belt)
    belt.control_held = True
    drive.towards(3.0, 1.0, seen(drive), 1000.0)
    drive.control_point.next_write(1000.0)
    drive.settled(settled(Kind.SPEED, verdict, 2.2), belt)
    assert drive.cleared_speed_kmh == drive.watch.cleared_kmh == 2.0
    drive.cleared_incline_pct = 3.0
    drive.settled(settled(Kind.INCLINE, verdict, 3.0), belt)
    assert drive.cleared_incline_pct == 1.0
    assert belt.control_held is (verdict is Verdict.REFUSED)


def test_a_refused_target_does_not_take_back_the_newer_one() -> None:
    """S3: what waits will still be written, so it is what is cleared."""
    belt = a_belt()
    drive = a_drive(belt)
    drive.towards(1.0, 1.0, seen(drive), 1000.0)
    assert drive.control_point.speed is not None
    newer_kmh = drive.control_point.speed.speed_kmh
    drive.settled(settled(Kind.SPEED, Verdict.REFUSED, 1.9), belt)
    assert drive.cleared_speed_kmh == drive.watch.cleared_kmh == newer_kmh
    slope = a_drive(belt)
    slope.towards(2.0, 3.0, seen(slope), 1000.0)
    slope.settled(settled(Kind.INCLINE, Verdict.REFUSED, 1.0), belt)
    assert slope.cleared_incline_pct == 1.5


@pytest.mark.parametrize("kind", [Kind.CONTROL, Kind.START, Kind.STOP])
def test_a_refusal_of_anything_else_takes_no_target_back(kind: Kind) -> None:
    """Only targets were cleared."""
    belt = a_belt()
    drive = a_drive(belt)
    before = replace(drive)
    drive.settled(settled(kind, Verdict.REFUSED), belt)
    assert drive == before


def test_with_nothing_acknowledged_there_is_nothing_to_go_back_to() -> None:
    """A machine that never said yes keeps the last target that was cleared."""
    belt = a_belt()
    drive = a_drive(belt)
    belt.acknowledged_speed_kmh = belt.acknowledged_incline_pct = None
    for kind in (Kind.SPEED, Kind.INCLINE):
        drive.settled(settled(kind, Verdict.REFUSED, 3.0), belt)
    assert (drive.cleared_speed_kmh, drive.cleared_incline_pct) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "doubt"),
    [
        (Kind.SPEED, True),
        (Kind.INCLINE, True),
        (Kind.START, True),
        (Kind.STOP, False),
        (Kind.PAUSE, False),
        (Kind.CONTROL, False),
    ],
)
def test_no_answer_is_a_doubt_only_where_the_belt_could_move(kind: Kind, doubt: bool) -> None:
    """S17: a target or a start may have been taken; a stop is judged by the measured speed."""
    belt = a_belt()
    a_drive(belt).settled(settled(kind, Verdict.UNKNOWN), belt)
    assert belt.unknown_outcome is doubt
