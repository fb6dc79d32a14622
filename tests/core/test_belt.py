"""What is believed about the machine: only what it said, and only as long as that is fresh."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.belt import STALE_AFTER_S, STEADY_SPREAD_KMH, UNKNOWN_RANGE, Belt
from bridge.core.messages import Machine, MachineStatus, Reading, StatusCode
from tests.core.values import TENTHS


def connected() -> Belt:
    """A belt with a link and no record yet."""
    belt = Belt()
    belt.connect(Machine(speed_range=TENTHS))
    return belt


def test_before_the_first_link_nothing_is_known() -> None:
    """Unknown is None: neither at rest nor moving, neither fresh nor of any age."""
    belt = Belt()
    assert not belt.at_rest
    assert not belt.moving
    assert belt.data_age_s(5.0) is None
    assert not belt.fresh(5.0)
    assert belt.speed_range is UNKNOWN_RANGE


@pytest.mark.parametrize(
    ("speed_kmh", "at_rest"), [(0.0, True), (0.05, True), (0.06, False), (6.0, False)]
)
def test_at_rest_and_moving_are_opposites_once_measured(speed_kmh: float, at_rest: bool) -> None:
    """At the limit of what counts as standing."""
    belt = connected()
    belt.read(Reading(speed_kmh=speed_kmh), 0.0)
    assert belt.at_rest is at_rest
    assert belt.moving is not at_rest


def test_a_record_replaces_only_what_it_tells() -> None:
    """A fragment without incline or pulse leaves the last ones; a pulse of 0 is no pulse."""
    belt = connected()
    belt.read(Reading(speed_kmh=1.0, incline_pct=2.0, heart_rate_bpm=99), 0.0)
    belt.read(Reading(heart_rate_bpm=0), 1.0)
    assert (belt.measured_speed_kmh, belt.measured_incline_pct, belt.heart_rate_bpm) == (1, 2, 99)
    assert belt.data_age_s(1.5) == 0.5


def test_falling_is_between_two_records() -> None:
    """Not at the first record, not at an equal one, not when it rises."""
    belt = connected()
    falling = []
    for number, speed_kmh in enumerate((2.0, 1.9, 1.9, 1.8, 2.0)):
        belt.read(Reading(speed_kmh=speed_kmh), number)
        falling.append(belt.falling)
    assert falling == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("speeds_kmh", "steady_for_s"),
    [
        ([1.0], 0.0),
        ([1.0, 1.0, 1.0], 2.0),
        ([1.0, 1.0 + STEADY_SPREAD_KMH, 1.0 - STEADY_SPREAD_KMH], 2.0),
        ([1.0, 1.0, 1.01 + STEADY_SPREAD_KMH], 0.0),
        ([0.2, 0.4, 0.6, 0.6], 1.0),
    ],
)
def test_a_belt_is_steady_since_it_last_changed_its_speed(
    speeds_kmh: list[float], steady_for_s: float
) -> None:
    """S2: judged by the measurements themselves, so a belt that has fallen silent gets no older."""
    belt = connected()
    assert not belt.steady(0.0)
    for number, speed_kmh in enumerate(speeds_kmh):
        belt.read(Reading(speed_kmh=speed_kmh), float(number))
    assert belt.steady(steady_for_s)
    assert not belt.steady(steady_for_s + 0.01)


# --- S10 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age_s", "fresh"), [(0.0, True), (3.0, True), (3.1, False)])
def test_three_seconds_are_fresh(age_s: float, fresh: bool) -> None:
    """S10, at its limit, for a machine that reports every second."""
    belt = connected()
    belt.read(Reading(speed_kmh=1.0), 10.0)
    assert belt.fresh(10.0 + age_s) is fresh


def test_identical_records_are_data() -> None:
    """S10: a steady belt says the same for hours."""
    belt = connected()
    for number in range(100):
        belt.read(Reading(speed_kmh=1.0), float(number))
    assert belt.fresh(99.5)


def test_a_record_without_speed_proves_life() -> None:
    """S10: the link lives; what ran before is still the last that was said."""
    belt = connected()
    belt.read(Reading(speed_kmh=1.0), 0.0)
    belt.read(Reading(steps=7), 5.5)
    assert belt.fresh(6.0)
    assert belt.measured_speed_kmh == 1.0


@given(period_s=st.floats(0.05, 4.9))
def test_the_limit_follows_the_machines_own_period(period_s: float) -> None:
    """S10: three periods or three seconds, whichever is longer; learnt from the records."""
    belt = connected()
    for number in range(60):
        belt.read(Reading(speed_kmh=1.0), number * period_s)
    assert belt.stale_after_s == pytest.approx(max(STALE_AFTER_S, 3 * period_s), abs=0.01)


@given(gaps_s=st.lists(st.floats(0, 1000), max_size=30))
def test_no_machine_stretches_the_limit_for_ever(gaps_s: list[float]) -> None:
    """S10: an outage is no period; the limit stays between 3 and 15 s."""
    belt, now_s = connected(), 0.0
    for gap_s in gaps_s:
        now_s += gap_s
        belt.read(Reading(speed_kmh=1.0), now_s)
        assert STALE_AFTER_S <= belt.stale_after_s <= 15.0


def test_data_of_a_lost_link_is_not_fresh() -> None:
    """S11: however young it is."""
    belt = connected()
    belt.read(Reading(speed_kmh=1.0), 0.0)
    belt.link_up = False
    assert not belt.fresh(0.1)


# --- links ---------------------------------------------------------------------------------------


def test_old_beliefs_do_not_cross_a_link() -> None:
    """S11: after a reconnect only the key, which nobody has put back, is still believed."""
    belt = connected()
    belt.read(Reading(speed_kmh=2.0, incline_pct=1.0, heart_rate_bpm=80), 0.0)
    belt.read(Reading(speed_kmh=1.0), 4.0)
    belt.control_held = belt.unknown_outcome = True
    belt.acknowledged_speed_kmh, belt.acknowledged_incline_pct = 1.0, 1.0
    belt.key = "out"
    machine = Machine(speed_range=replace(TENTHS, max_speed_kmh=9.0))
    belt.connect(machine)
    fresh = Belt(link_up=True, machine=machine, key="out")
    for item in fields(Belt):
        if item.name == "steady_since_s":  # means nothing without a steady speed
            continue
        assert getattr(belt, item.name) == getattr(fresh, item.name), item.name
    belt.forget()
    assert not belt.link_up
    assert belt.key == "out"
    assert belt.speed_range.max_speed_kmh == 9.0


# --- status events -------------------------------------------------------------------------------


def test_the_key_is_what_the_machine_says() -> None:
    """S9: out by its own event, in only when somebody starts; unknown before."""
    belt = connected()
    keys: list[str] = [belt.key]
    for opcode in (
        StatusCode.STOPPED_BY_SAFETY_KEY,
        StatusCode.STOPPED_OR_PAUSED_BY_USER,
        StatusCode.STARTED_OR_RESUMED_BY_USER,
    ):
        belt.status(MachineStatus(opcode=opcode))
        keys.append(belt.key)
    assert keys == ["unknown", "out", "out", "in"]


@pytest.mark.parametrize("opcode", [StatusCode.CONTROL_PERMISSION_LOST, StatusCode.RESET])
def test_control_can_be_taken_away(opcode: StatusCode) -> None:
    """The machine's word; nothing else in the belief changes."""
    belt = connected()
    belt.control_held = True
    belt.status(MachineStatus(opcode=opcode))
    assert not belt.control_held
    assert belt.key == "unknown"


@pytest.mark.parametrize("opcode", [0x05, 0x06, 0x15, 0x99])
def test_other_events_change_no_belief(opcode: int) -> None:
    """A target that was asked is not a speed that runs."""
    belt, same = connected(), connected()
    belt.status(MachineStatus(opcode=opcode, target_speed_kmh=9.0))
    assert belt == same
