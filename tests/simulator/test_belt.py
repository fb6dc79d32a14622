"""The belt's physics: what a body with inertia cannot do, and exact numbers by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.simulator.belt import Belt, BeltSpec, Motion

SPEC = BeltSpec()
STEPS = st.lists(st.floats(0, 30), max_size=30)
SPEEDS = st.floats(-1, 30)


def running(speed_kmh: float) -> Belt:
    """A belt that has settled at a speed."""
    belt = Belt()
    assert belt.start(speed_kmh, at_console=True)
    belt.advance(60)
    return belt


def motion(belt: Belt) -> Motion:
    """What the drive does now; a call, so that no earlier assertion narrows it."""
    return belt.motion


def test_starts_after_its_delay_at_the_minimum_speed() -> None:
    """1 s of nothing, then 0.5 km/h/s up to the minimum of 0.5 km/h."""
    belt = Belt()
    assert belt.start()
    belt.advance(1.0)
    assert (belt.speed_kmh, belt.elapsed_s) == (0, 0)
    belt.advance(0.5)
    assert belt.speed_kmh == pytest.approx(0.25)
    belt.advance(10)
    assert belt.speed_kmh == 0.5
    assert belt.elapsed_s == pytest.approx(10.5)


def test_distance_of_a_known_course() -> None:
    """Rise from 0 to 3.6 km/h in 7.2 s, hold 10 s: 3.6 m + 10 m."""
    belt = Belt()
    belt.start(3.6, at_console=True)
    belt.advance(1.0 + 7.2 + 10.0)
    assert belt.speed_kmh == pytest.approx(3.6)
    assert belt.distance_m == pytest.approx(13.6)


def test_climb_while_speed_and_incline_both_move() -> None:
    """The integral of speed times grade, against fine midpoint steps."""
    belt = running(2.0)
    belt.set_target_speed(8.0)
    belt.set_target_incline(5.0)
    fine = 0.0
    probe = running(2.0)
    probe.set_target_speed(8.0)
    probe.set_target_incline(5.0)
    for _ in range(15000):
        probe.advance(0.0005)
        fine += probe.speed_kmh / 3.6 * probe.incline_pct / 100 * 0.001
        probe.advance(0.0005)
    belt.advance(15)
    assert belt.climb_m == pytest.approx(fine, rel=1e-5)


def test_energy_is_the_acsm_walking_equation() -> None:
    """70 kg for 10 min at 4.8 km/h, flat: (0.1 x 80 + 3.5) mL/kg/min is 40.25 kcal."""
    belt = running(4.8)
    before = belt.energy_kcal
    belt.advance(600)
    assert belt.energy_kcal - before == pytest.approx(11.5 * 70 * 5 / 1000 * 10)


def test_stop_slows_at_the_machines_rate_and_freezes_elapsed_time() -> None:
    """4 km/h down at 0.8 km/h/s is at rest after 5 s; counters stay, time stands."""
    belt = running(4.0)
    elapsed_s, distance_m = belt.elapsed_s, belt.distance_m
    assert belt.stop()
    belt.advance(2.5)
    assert belt.speed_kmh == pytest.approx(2.0)
    assert motion(belt) is Motion.STOPPING
    belt.advance(2.5)
    assert (belt.speed_kmh, motion(belt)) == (0, Motion.REST)
    assert belt.elapsed_s == elapsed_s
    assert belt.distance_m == pytest.approx(distance_m + 4.0 / 3.6 * 5 / 2)


def test_pause_resumes_and_stop_from_pause_rests() -> None:
    """A pause ends in PAUSED; start goes on from there, at the minimum; time runs on."""
    belt = running(3.0)
    assert belt.pause()
    assert belt.pause()  # while slowing down for it
    belt.advance(10)
    assert motion(belt) is Motion.PAUSED
    assert not belt.pause()
    elapsed_s = belt.elapsed_s
    assert belt.start()
    belt.advance(11)
    assert belt.speed_kmh == 0.5
    assert belt.elapsed_s == pytest.approx(elapsed_s + 10)
    belt.pause()
    assert belt.stop()  # overtakes the pause
    belt.advance(10)
    assert motion(belt) is Motion.REST
    assert not belt.stop()


def test_start_is_refused_unless_standing() -> None:
    """A belt that runs or slows down cannot be started."""
    belt = running(3.0)
    assert not belt.start()
    belt.stop()
    assert not belt.start(at_console=True)


def test_key_out_stops_hard_and_latches() -> None:
    """4 km/h at 4 km/h/s is 1 s; then neither key-in nor a remote start moves it."""
    belt = running(4.0)
    belt.set_target_incline(6)
    belt.advance(2)
    belt.pull_key()
    belt.advance(1.0)
    assert (belt.speed_kmh, motion(belt)) == (0, Motion.REST)
    assert belt.incline_pct == pytest.approx(1.0)
    assert not belt.start(at_console=True)
    assert not belt.set_target_incline(0)
    belt.insert_key()
    assert not belt.start()
    belt.advance(100)
    assert belt.speed_kmh == 0
    assert belt.start(at_console=True)
    belt.stop()
    belt.advance(10)
    assert belt.start(), "the console's Start takes the latch away"


def test_reset_zeroes_counters_and_stops() -> None:
    """Counters and the incline target go to zero, the belt to rest."""
    belt = running(3.0)
    belt.set_target_incline(4)
    belt.advance(10)
    belt.reset()
    assert (belt.distance_m, belt.elapsed_s, belt.climb_m) == (0, 0, 0)
    belt.advance(30)
    assert (belt.motion, belt.incline_pct) == (Motion.REST, 0)
    assert belt.elapsed_s == 0


def test_runaway_heads_for_the_maximum_but_obeys_stop() -> None:
    """Targets no longer matter; Stop does, and the fault ends at rest."""
    belt = running(2.0)
    belt.runaway = True
    belt.set_target_speed(1.0)
    belt.advance(4)
    assert belt.speed_kmh == pytest.approx(4.0)
    belt.advance(100)
    assert belt.speed_kmh == SPEC.max_speed_kmh
    belt.stop()
    belt.advance(15)
    assert (belt.speed_kmh, belt.runaway) == (0, False)


def test_a_speed_is_not_taken_at_rest() -> None:
    """Only a running drive has a target."""
    belt = Belt()
    assert not belt.set_target_speed(3)
    belt.advance(10)
    assert belt.speed_kmh == 0


@pytest.mark.parametrize("dt_s", [-0.1, math.nan, math.inf])
def test_time_passes_forward_and_finitely(dt_s: float) -> None:
    """A step that is no span of time is the caller's mistake."""
    with pytest.raises(ValueError, match="time passes"):
        Belt().advance(dt_s)


def test_targets_stand_on_the_machines_steps() -> None:
    """At or below what was asked, counted from the minimum, within the range."""
    assert SPEC.speed_on_step(2.3) == 2.3
    assert SPEC.speed_on_step(2.39) == 2.3
    assert SPEC.speed_on_step(0.1) == 0.5
    assert SPEC.speed_on_step(99) == 12.0
    assert SPEC.incline_on_step(1.9) == 1.5
    pad = BeltSpec(min_speed_kmh=0.96, max_speed_kmh=6.43, step_speed_kmh=0.32)
    assert pad.speed_on_step(2.0) == pytest.approx(1.92)


@given(SPEEDS, SPEEDS, STEPS)
def test_speed_moves_steadily_to_its_target_and_never_past_it(
    first: float, second: float, steps: list[float]
) -> None:
    """Monotone, without overshoot, never faster than the drive can, for any time steps."""
    belt = running(first)
    belt.set_target_speed(second)
    goal, before = belt.target_speed_kmh, belt.speed_kmh
    low, high = sorted((before, goal))
    for dt_s in steps:
        belt.advance(dt_s)
        assert low <= belt.speed_kmh <= high
        assert abs(belt.speed_kmh - goal) <= abs(before - goal)
        assert abs(belt.speed_kmh - before) <= 0.8 * dt_s + 1e-6
        before = belt.speed_kmh


@given(SPEEDS, st.floats(-5, 40), STEPS)
def test_the_course_does_not_depend_on_how_time_is_cut(
    speed_kmh: float, incline_pct: float, steps: list[float]
) -> None:
    """Many small steps end where one long step ends, in every quantity."""
    whole, cut = Belt(), Belt()
    for belt in (whole, cut):
        belt.start(speed_kmh, at_console=True)
        belt.set_target_incline(incline_pct)
    for dt_s in steps:
        cut.advance(dt_s)
    whole.advance(sum(steps))
    for name in ("speed_kmh", "incline_pct", "distance_m", "climb_m", "elapsed_s", "energy_kcal"):
        assert getattr(cut, name) == pytest.approx(getattr(whole, name), rel=1e-6, abs=1e-5)


ACTS = st.sampled_from(
    [
        lambda belt: belt.start(),
        lambda belt: belt.start(20, at_console=True),
        lambda belt: belt.stop(),
        lambda belt: belt.pause(),
        lambda belt: belt.set_target_speed(7.7),
        lambda belt: belt.set_target_incline(20),
        lambda belt: belt.set_target_incline(-20),
        lambda belt: belt.pull_key(),
        lambda belt: belt.insert_key(),
        lambda belt: belt.reset(),
        lambda belt: setattr(belt, "runaway", True),
    ]
)


@given(st.lists(st.tuples(ACTS, st.floats(0, 20)), max_size=40))
def test_whatever_is_done_the_belt_stays_a_belt(acts: list[tuple[object, float]]) -> None:
    """Bounded speed and incline, no jump, standing in the standing states, counters never back."""
    belt = Belt()
    for act, dt_s in acts:
        assert callable(act)
        act(belt)
        before = (belt.speed_kmh, belt.distance_m, belt.elapsed_s)
        belt.advance(dt_s)
        assert 0 <= belt.speed_kmh <= SPEC.max_speed_kmh
        assert SPEC.min_incline_pct <= belt.incline_pct <= SPEC.max_incline_pct
        assert abs(belt.speed_kmh - before[0]) <= SPEC.key_deceleration_kmh_per_s * dt_s + 1e-6
        assert belt.distance_m >= before[1]
        assert before[2] <= belt.elapsed_s <= before[2] + dt_s + 1e-9
        if belt.motion in (Motion.REST, Motion.PAUSED):
            assert belt.speed_kmh == 0
        if not belt.key_in:
            assert belt.motion in (Motion.REST, Motion.STOPPING)
