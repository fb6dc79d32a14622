"""What the watch sees: silence, runaways, a belt that does not follow, and the console."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.belt import Belt
from bridge.core.messages import Machine, Reading
from bridge.core.watch import (
    BEHIND_S,
    CONSOLE_S,
    OWN_TARGETS_S,
    RUNAWAY_S,
    STALE_HOLD_S,
    Finding,
    Watch,
)
from tests.core.values import TENTHS, speeds


def a_belt(speed_kmh: float | None = None, at_s: float = 0.0) -> Belt:
    """A connected machine with steps of 0.1, and its first record."""
    belt = Belt()
    belt.connect(Machine(speed_range=TENTHS))
    if speed_kmh is not None:
        belt.read(Reading(speed_kmh=speed_kmh), at_s)
    return belt


def watching(
    speeds_kmh: list[float], *, cleared_kmh: float = 2.0, period_s: float = 0.5
) -> list[Finding | None]:
    """What is found at each of these records, for a belt that was adopted at the cleared speed."""
    belt, watch = a_belt(), Watch()
    watch.adopt(cleared_kmh, 0.0)
    found = []
    for number, speed_kmh in enumerate(speeds_kmh):
        belt.read(Reading(speed_kmh=speed_kmh), number * period_s)
        found.append(watch.look(belt, number * period_s))
    return found


def test_a_belt_that_runs_as_cleared_is_fine() -> None:
    """No finding is the usual finding; nor is there one before the first record."""
    assert watching([2.0] * 100) == [None] * 100
    assert Watch().look(a_belt(), 0.0) is None


# --- S10: silence --------------------------------------------------------------------------------


@pytest.mark.parametrize(("age_s", "stale"), [(0.0, False), (9.9, False), (10.0, True)])
def test_ten_seconds_of_silence(age_s: float, stale: bool) -> None:
    """S10, at its limit; a link without any record yet is not stale but new."""
    assert Watch().stale(a_belt(1.0), age_s) is stale
    assert not Watch().stale(a_belt(), 1e9)


def test_a_slow_machine_gets_three_of_its_periods() -> None:
    """S10: one that reports every 4.5 s is not silent after ten."""
    belt = a_belt()
    for number in range(60):
        belt.read(Reading(speed_kmh=1.0), number * 4.5)
    last_s = 59 * 4.5
    assert belt.stale_after_s > STALE_HOLD_S
    assert not Watch().stale(belt, last_s + STALE_HOLD_S)
    assert Watch().stale(belt, last_s + belt.stale_after_s)


# --- S12: runaway --------------------------------------------------------------------------------


def test_too_fast_for_two_seconds_is_a_runaway() -> None:
    """S12: 0.31 above, from the first record that shows it; not a moment before."""
    found = watching([2.0, *[2.31] * 5])
    assert found[:5] == [None] * 5
    assert found[5] is Finding.RUNAWAY
    assert RUNAWAY_S == 2.0


def test_a_belt_that_ignores_a_walk_down_is_a_runaway() -> None:
    """S12: each step lowers what was cleared; the excess counts from the first of them."""
    belt, watch = a_belt(3.0), Watch()
    watch.adopt(3.0, 0.0)
    found = []
    for number in range(1, 8):
        watch.cleared(3.0 - number / 10, 3.0, float(number))
        belt.read(Reading(speed_kmh=3.0), float(number))
        found.append(watch.look(belt, float(number)))
    assert found == [None] * 5 + [Finding.RUNAWAY] * 2


def test_up_to_three_tenths_above_is_none() -> None:
    """S12: at the limit for long (but then somebody else has chosen it: S8)."""
    assert Finding.RUNAWAY not in watching([2.3] * 100)


def test_a_belt_back_in_time_starts_the_clock_anew() -> None:
    """S12: two short excesses are not one long one."""
    assert Finding.RUNAWAY not in watching([2.5, 2.5, 2.5, 2.0, 2.5, 2.5, 2.5, 2.0])


def test_too_fast_but_slowing_is_obedience() -> None:
    """A belt that takes long to slow down does what it was told."""
    belt, watch = a_belt(5.0), Watch()
    watch.adopt(5.0, 0.0)
    watch.cleared(1.0, 5.0, 0.0)
    for number in range(1, 40):
        belt.read(Reading(speed_kmh=round(5.0 - number / 10, 1)), number * 1.0)
        assert watch.look(belt, number * 1.0) is None


def test_faster_after_a_decrease_is_a_runaway_at_once() -> None:
    """S12: as the 3G Cardio did (0.6, 1.3, 2.4, 4.2, 6.1 km/h while told to slow down)."""
    belt, watch = a_belt(0.6), Watch()
    watch.adopt(0.6, 0.0)
    watch.cleared(0.5, 0.6, 0.0)
    belt.read(Reading(speed_kmh=0.9), 1.0)
    assert watch.look(belt, 1.0) is None
    belt.read(Reading(speed_kmh=1.3), 1.1)
    assert watch.look(belt, 1.1) is Finding.RUNAWAY


def test_faster_after_an_increase_is_what_was_asked() -> None:
    """Only a decrease makes a rise suspicious at once; a new target forgets the old one."""
    belt, watch = a_belt(2.0), Watch()
    watch.adopt(2.0, 0.0)
    watch.cleared(1.9, 2.0, 0.0)
    watch.cleared(2.5, 1.9, 1.0)
    assert watch.lowered_from_kmh is None
    belt.read(Reading(speed_kmh=2.5), 2.0)
    assert watch.look(belt, 2.0) is None


@given(
    excess_kmh=st.floats(0.3001, 15),
    period_s=st.floats(0.1, 3.0),
    cleared_kmh=st.floats(0.5, 8),
)
def test_no_runaway_lasts_longer_than_two_seconds_and_a_record(
    excess_kmh: float, period_s: float, cleared_kmh: float
) -> None:
    """S12, two-sided: found by the first record after two seconds, never by an earlier one."""
    found = watching([cleared_kmh + excess_kmh] * 40, cleared_kmh=cleared_kmh, period_s=period_s)
    first = next(number for number, finding in enumerate(found) if finding is Finding.RUNAWAY)
    assert first * period_s >= RUNAWAY_S - 1e-5
    assert (first - 1) * period_s < RUNAWAY_S + 1e-5


# --- S12: not following --------------------------------------------------------------------------


def test_a_belt_that_lags_for_twenty_seconds_does_not_follow() -> None:
    """S12: 0.31 below since a new target; not a moment before, and not at 0.3."""
    for lag_kmh, expected in ((0.31, Finding.NOT_FOLLOWING), (0.3, None)):
        belt, watch = a_belt(1.0), Watch()
        watch.adopt(1.0, 0.0)
        watch.cleared(1.0 + lag_kmh, 1.0, 0.0)
        belt.read(Reading(speed_kmh=1.0), 0.0)
        assert watch.look(belt, 0.0) is None
        assert watch.look(belt, BEHIND_S - 0.1) is None
        assert watch.look(belt, BEHIND_S) is expected


def test_a_belt_that_catches_up_follows() -> None:
    """S12: the clock starts anew, and with every new target."""
    belt, watch = a_belt(1.0), Watch()
    watch.adopt(1.0, 0.0)
    watch.cleared(2.0, 1.0, 0.0)
    for at_s, speed_kmh in ((0.0, 1.0), (19.0, 1.8), (20.0, 1.2), (39.0, 1.2)):
        belt.read(Reading(speed_kmh=speed_kmh), at_s)
        assert watch.look(belt, at_s) is None
    watch.cleared(2.1, 1.2, 39.5)
    assert watch.look(belt, 41.0) is None


# --- S8: the console -----------------------------------------------------------------------------


@pytest.mark.parametrize("other_kmh", [1.9, 1.8, 2.1, 2.3])
def test_a_settled_belt_that_leaves_its_speed_was_changed_by_somebody(other_kmh: float) -> None:
    """S8: two seconds of another speed, one step away or more, up or down."""
    found = watching([2.0, *[other_kmh] * 5])
    assert found == [None] * 5 + [Finding.CONSOLE]
    assert CONSOLE_S == 2.0


def test_a_belt_on_its_way_was_changed_by_nobody() -> None:
    """It has not settled yet: the lag is the machine's own ramp."""
    assert watching([1.8] * 30) == [None] * 30


def test_half_a_step_beside_is_rounding() -> None:
    """The machine's grid and ours may differ by less than a step."""
    assert watching([2.0, *[2.05] * 30]) == [None] * 31
    assert watching([2.0, *[2.09] * 30]) == [None] * 31


def test_a_blink_is_nobodys_choice() -> None:
    """One odd record between two good ones restarts the clock."""
    assert watching([2.0, 1.8, 1.8, 1.8, 2.0, 1.8, 1.8, 1.8, 2.0]) == [None] * 9


def test_a_coarse_machine_is_given_its_own_step() -> None:
    """With steps of half a kilometre, 0.2 beside the target is where it settles."""
    belt, watch = Belt(), Watch()
    belt.connect(Machine(speed_range=speeds(0.5, 9.0, 0.5)))
    watch.adopt(2.0, 0.0)
    for number in range(20):
        belt.read(Reading(speed_kmh=2.2), number * 1.0)
        assert watch.look(belt, number * 1.0) is None


@pytest.mark.parametrize(
    ("told_kmh", "expected"),
    [
        (2.0, None),
        (2.05, None),
        (1.5, None),
        (1.0, None),
        (0.95, None),
        (0.9, Finding.CONSOLE),
        (2.1, Finding.CONSOLE),
        (6.0, Finding.CONSOLE),
    ],
)
def test_a_told_target_is_ours_or_the_consoles(told_kmh: float, expected: Finding | None) -> None:
    """S8: echoes of our own targets, and values a ramp passes through between them, are ours."""
    watch = Watch()
    watch.adopt(1.0, 0.0)
    watch.cleared(2.0, 1.0, 1.0)
    assert watch.told_target(told_kmh, 2.0) is expected


@pytest.mark.parametrize(
    ("told_kmh", "expected"),
    [(2.3, Finding.CONSOLE), (2.31, Finding.RUNAWAY), (3.2, Finding.RUNAWAY), (1.0, None)],
)
def test_a_target_above_what_was_lowered_is_a_runaway(
    told_kmh: float, expected: Finding | None
) -> None:
    """S12, S21: 1.0 was asked of a belt at 2.0, and the machine says it goes for more."""
    watch = Watch()
    watch.adopt(2.0, 0.0)
    watch.cleared(1.0, 2.0, 40.0)
    assert watch.told_target(told_kmh, 41.0) is expected


@pytest.mark.parametrize(
    ("told_kmh", "expected"),
    [
        (3.2, Finding.RUNAWAY),
        (3.31, Finding.RUNAWAY),
        (3.13, Finding.RUNAWAY),
        (3.33, Finding.CONSOLE),
        (3.1, Finding.CONSOLE),
    ],
)
def test_our_own_target_read_as_miles_is_a_runaway(told_kmh: float, expected: Finding) -> None:
    """S21: 2.0 asked and 3.2 answered; a tenth beside that may be the console's rounding."""
    watch = Watch()
    watch.adopt(1.0, 0.0)
    watch.cleared(2.0, 1.0, 1.0)
    assert watch.told_target(told_kmh, 2.0) is expected


@pytest.mark.parametrize("told_kmh", [1.0, 2.5, 3.2])
def test_a_settled_belt_is_told_nothing_of_the_way_there(told_kmh: float) -> None:
    """S8: it runs what was asked, so every other target is somebody's choice at the console."""
    belt, watch = a_belt(2.0), Watch()
    watch.adopt(2.2, 0.0)
    watch.cleared(2.0, 2.2, 1.0)
    watch.look(belt, 2.0)
    assert watch.told_target(2.0, 3.0) is None
    assert watch.told_target(told_kmh, 3.0) is Finding.CONSOLE


def test_an_old_target_of_ours_is_forgotten() -> None:
    """S8: after half a minute an echo is somebody at the console; the present one always counts."""
    watch = Watch()
    watch.adopt(1.0, 0.0)
    watch.cleared(2.0, 1.0, 10.0)
    assert watch.told_target(1.0, OWN_TARGETS_S) is None
    assert watch.told_target(1.0, OWN_TARGETS_S + 0.1) is Finding.CONSOLE
    assert watch.told_target(2.0, 1e6) is None


def test_adopting_forgets_what_was_suspected() -> None:
    """A hold was released, or a belt taken over: it starts with a clean record."""
    watch = Watch()
    watch.adopt(2.0, 0.0)
    watch.cleared(1.0, 2.0, 0.0)
    belt = a_belt(2.0)
    watch.look(belt, 0.0)
    watch.adopt(2.0, 5.0)
    assert watch.lowered_from_kmh is None
    assert watch.over_since_s is watch.behind_since_s is watch.astray_since_s is None
    assert watch.look(belt, 5.0) is None
