"""The gate: every rule at, below and above its limit, and one property for each, two-sided."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import governor
from bridge.core.governor import (
    LATE_WRITE_S,
    View,
    adoption_max_kmh,
    announced,
    belt_follows,
    belt_moves,
    ceiling_kmh,
    ceiling_pct,
    clear_incline,
    clear_speed,
    clear_start,
    grown,
    heart_allows,
    incline_alone,
    level_max_kmh,
    next_rise_kmh,
    offered_kmh,
    one_step,
    ramp,
    reachable_kmh,
    reachable_pct,
    spaced,
    speed_alone,
    standing,
    starts_slowly,
)
from bridge.core.messages import (
    ClearedIncline,
    ClearedSpeed,
    ClearedStart,
    Direction,
    InclineRange,
    Reason,
    Refused,
)
from tests.core.values import (
    GOOD,
    HALVES,
    LEVEL,
    TENTHS,
    inclines,
    level,
    permit,
    speeds,
    view,
)

NEAR = 1e-6
AT_REST = view(measured_speed_kmh=0.0, cleared_speed_kmh=0.0)


def speed(answer: ClearedSpeed | Refused) -> float:
    """The speed that was cleared; fails on a refusal."""
    assert isinstance(answer, ClearedSpeed), answer
    return answer.speed_kmh


def incline(answer: ClearedIncline | Refused) -> float:
    """The incline that was cleared; fails on a refusal."""
    assert isinstance(answer, ClearedIncline), answer
    return answer.incline_pct


def refused(reason: Reason) -> Refused:
    """The refusal with this reason."""
    return Refused(reason=reason)


# --- worlds for the properties -------------------------------------------------------------------

SPEED_RANGES = st.builds(
    lambda low, span, step: speeds(low, round(low + span, 2), step),
    st.sampled_from([0.3, 0.5, 0.5, 0.96, 1.0, 1.6, 2.5]),
    st.sampled_from([0.0, 2.0, 5.5, 18.0, 18.0, 18.0]),
    st.sampled_from([0.0, 0.01, 0.1, 0.1, 0.1, 0.16, 0.32, 0.5, 1.0]),
)
INCLINE_RANGES = st.builds(
    lambda low, span, step: inclines(low, low + span, step),
    st.sampled_from([0.0, 0.0, -3.0, -6.0, 1.0]),
    st.sampled_from([15.0, 15.0, 5.0, 2.0, 0.0]),
    st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]),
)
LEVELS = st.builds(
    level,
    backward_max_kmh=st.floats(4, 8) | st.floats(0.5, 8),
    forward_max_kmh=st.floats(4, 10) | st.floats(0.5, 10),
    lateral_max_kmh=st.none() | st.floats(0, 3),
    step_kmh=st.sampled_from([0.1, 0.2, 0.5]),
    ramp_up_backward_kmh_per_s=st.floats(0.01, 0.5),
    ramp_up_forward_kmh_per_s=st.floats(0.01, 0.5),
    ramp_down_kmh_per_s=st.floats(0.01, 0.5),
    incline_max_pct=st.floats(4, 12) | st.floats(0, 12),
    incline_rate_pct_per_s=st.floats(0.05, 0.5),
)
AGES_S = st.sampled_from([1.0, 1.5, 2.0, 7.0, 60.0, 3600.0, math.inf, 0.5, 0.0, -1.0])
SPEEDS_KMH = st.sampled_from([0.0, 0.8, 1.0, 1.6, 2.0, 2.05, 4.0]) | st.floats(0, 12)
REQUESTS = st.floats(0, 12) | st.floats(0, 12) | st.floats()

WRONG: dict[str, st.SearchStrategy[Any]] = {
    "armed": st.just(False),
    "link_up": st.just(False),
    "control_held": st.just(False),
    "key_out": st.just(True),
    "turn_open": st.just(True),
    "fresh": st.just(False),
    "unknown_outcome": st.just(True),
    "heart_too_high": st.just(True),
    "units_proven": st.just(False),
    "person_max_kmh": st.floats(0, 8),
    "incline_range": st.none(),
    "measured_speed_kmh": st.none() | SPEEDS_KMH,
    "measured_incline_pct": st.none() | st.floats(-1, 9),
    "written_at_s": AGES_S.map(lambda age_s: 1000.0 - age_s),
    "changed_at_s": AGES_S.map(lambda age_s: 1000.0 - age_s),
    "steady_since_s": st.none() | st.floats(970, 1000),
    "permit": st.none()
    | st.builds(
        permit,
        delivered_at_s=st.floats(900, 1005),
        speed_kmh=st.floats(0, 12),
        incline_pct=st.floats(0, 9),
    ),
}
"""What may be different from a view in which everything may move, and how."""


@st.composite
def worlds(draw: st.DrawFn) -> View:
    """Any machine, level and speed; at most two things are wrong, so that many worlds may rise."""
    present_kmh, present_pct = draw(SPEEDS_KMH), draw(st.sampled_from([0.0, 0.5, 1.0, 3.0]))
    age_s = draw(AGES_S)
    world = view(
        level=draw(LEVELS),
        direction=draw(st.sampled_from([*Direction, Direction.BACKWARD, Direction.FORWARD])),
        speed_range=draw(SPEED_RANGES),
        incline_range=draw(INCLINE_RANGES),
        measured_speed_kmh=present_kmh,
        measured_incline_pct=present_pct,
        cleared_speed_kmh=present_kmh,
        cleared_incline_pct=present_pct,
        written_at_s=1000.0 - age_s,
        changed_at_s=1000.0 - min(age_s, draw(AGES_S)),
        urgent=draw(st.booleans()),
        proven_kmh=draw(st.floats(0, 12)),
        permit=permit(
            delivered_at_s=draw(st.floats(900, 992)),
            from_kmh=present_kmh,
            speed_kmh=present_kmh + draw(st.floats(0, 4)),
            from_pct=present_pct,
            incline_pct=present_pct + draw(st.floats(0, 5)),
        ),
    )
    wrong = draw(st.lists(st.sampled_from(sorted(WRONG)), max_size=2, unique=True))
    return replace(world, **{name: draw(WRONG[name]) for name in wrong})


@st.composite
def willing(draw: st.DrawFn) -> tuple[View, float]:
    """A view in which a rise is due, and a speed above the present one that may be asked for."""
    step_kmh = draw(st.sampled_from([0.1, 0.16, 0.32, 0.5]))
    steps = draw(st.integers(1, 5))
    present_kmh = round(0.5 + steps * step_kmh, 2)
    more_kmh = draw(st.integers(1, 5)) * step_kmh
    age_s = draw(st.floats(10, 100))
    good = view(
        direction=draw(st.sampled_from([Direction.BACKWARD, Direction.FORWARD])),
        level=level(
            backward_max_kmh=6.0,
            forward_max_kmh=6.0,
            step_kmh=draw(st.floats(0.1, 1)),
            ramp_up_backward_kmh_per_s=draw(st.floats(0.051, 0.5)),
            ramp_up_forward_kmh_per_s=draw(st.floats(0.051, 0.5)),
        ),
        speed_range=speeds(0.5, 20.0, step_kmh),
        measured_speed_kmh=present_kmh,
        cleared_speed_kmh=present_kmh,
        written_at_s=1000.0 - age_s,
        changed_at_s=1000.0 - age_s,
        permit=permit(
            delivered_at_s=992.0 - age_s,
            from_kmh=present_kmh,
            speed_kmh=present_kmh + step_kmh + draw(st.floats(0, 5)),
        ),
        proven_kmh=draw(st.floats(0, 6)),
    )
    return good, round(present_kmh + more_kmh, 2)


RISING = worlds() | willing().map(lambda pair: pair[0])
"""Half of them may really go faster."""


def test_the_worlds_reach_every_answer() -> None:
    """A property over worlds in which nothing ever moves would prove nothing."""
    seen = set[str]()

    @settings(max_examples=600, derandomize=True, database=None)
    @given(asked=st.floats(0, 12), world=worlds())
    def look(asked: float, world: View) -> None:
        answer = clear_speed(asked, world)
        if isinstance(answer, ClearedSpeed):
            seen.add("faster" if answer.speed_kmh > world.cleared_speed_kmh else "slower")
        slope = clear_incline(asked, world)
        if isinstance(slope, ClearedIncline):
            seen.add("up" if slope.incline_pct > world.cleared_incline_pct else "down")
        seen.add(type(next_rise_kmh(world, asked)).__name__)
        seen.add(type(clear_start(world, allowed=True, gesture_age_s=1.0)).__name__)

    look()
    assert seen == {"faster", "slower", "up", "down", "float", "Refused", "ClearedStart"}


# --- S4, S13, S21: ceilings ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "expected_kmh"),
    [
        (Direction.BACKWARD, 4.0),
        (Direction.FORWARD, 5.5),
        (Direction.LATERAL_LEFT, 1.5),
        (Direction.LATERAL_RIGHT, 1.5),
        (Direction.TURN, 1.0),
    ],
)
def test_every_direction_has_its_cap(direction: Direction, expected_kmh: float) -> None:
    """S4, S13: the level's number, and 1.0 for a turn."""
    assert level_max_kmh(LEVEL, direction) == expected_kmh
    assert ceiling_kmh(view(direction=direction)) == expected_kmh


def test_a_level_without_sideways_walking_allows_none_of_it() -> None:
    """A missing cap is no cap to walk under, not a missing limit."""
    assert level_max_kmh(level(lateral_max_kmh=None), Direction.LATERAL_LEFT) == 0.0


@pytest.mark.parametrize(
    ("changes", "expected_kmh"),
    [
        ({"speed_range": speeds(0.5, 3.0, 0.1)}, 3.0),
        ({"person_max_kmh": 2.5}, 2.5),
        ({"person_max_kmh": 9.0}, 4.0),
        ({"person_max_kmh": 0.0}, 0.0),
        ({"turn_open": True}, 1.0),
        ({"units_proven": False}, 2.0),
        ({"units_proven": False, "turn_open": True, "person_max_kmh": 0.7}, 0.7),
    ],
)
def test_the_lowest_ceiling_counts(changes: dict[str, Any], expected_kmh: float) -> None:
    """S4, S13, S21: machine, person, open turn and unproven units, each where it is the lowest."""
    assert ceiling_kmh(view(**changes)) == expected_kmh


def test_the_incline_has_ceilings_too() -> None:
    """S4: the level's, the machine's, and 0 where the machine has none."""
    assert ceiling_pct(GOOD) == 8.0
    assert ceiling_pct(view(incline_range=inclines(0.0, 5.0, 0.5))) == 5.0
    assert ceiling_pct(view(incline_range=None)) == 0.0


@pytest.mark.parametrize(
    ("minimum_kmh", "expected_kmh"),
    [(0.5, 1.0), (1.0, 1.0), (1.1, 1.1), (4.0, 4.0), (4.1, 1.0)],
)
def test_a_belt_is_adopted_at_one_or_at_its_own_minimum(
    minimum_kmh: float, expected_kmh: float
) -> None:
    """S2: a faster minimum counts only within the level's cap."""
    assert adoption_max_kmh(LEVEL, speeds(minimum_kmh, 12.0, 0.1)) == expected_kmh


@pytest.mark.parametrize(
    ("asked_kmh", "changes", "expected_kmh"),
    [
        (3.14, {}, 3.1),
        (9.0, {}, 4.0),
        (0.0, {}, 0.5),
        (9.0, {"direction": Direction.LATERAL_LEFT, "speed_range": speeds(2.0, 9.0, 0.1)}, 2.0),
    ],
)
def test_what_a_wish_comes_to(
    asked_kmh: float, changes: dict[str, Any], expected_kmh: float
) -> None:
    """On the grid and under the ceiling; the machine's minimum where nothing lower is offered."""
    assert reachable_kmh(asked_kmh, view(**changes)) == expected_kmh


@pytest.mark.parametrize(
    ("asked_pct", "incline_range", "expected_pct"),
    [
        (1.25, HALVES, 1.0),
        (1.5, HALVES, 1.5),
        (99.0, HALVES, 8.0),
        (-3.0, HALVES, 0.0),
        (3.0, None, 0.0),
        (-3.0, inclines(-6.0, 9.0, 0.5), 0.0),
        (3.0, inclines(-6.0, -1.0, 0.5), 0.0),
    ],
)
def test_what_a_wish_for_an_incline_comes_to(
    asked_pct: float, incline_range: InclineRange | None, expected_pct: float
) -> None:
    """S4, S14: level at the least; on the grid, or the speed would wait for it for ever."""
    assert reachable_pct(asked_pct, view(incline_range=incline_range)) == expected_pct


@pytest.mark.parametrize(
    ("limit_kmh", "expected_kmh"), [(0.49, 0.0), (0.5, 0.5), (0.59, 0.5), (0.6, 0.6), (99.0, 20.0)]
)
def test_what_the_machine_offers_within_a_limit(limit_kmh: float, expected_kmh: float) -> None:
    """Never above the limit: below the machine's minimum there is only rest."""
    assert offered_kmh(limit_kmh, TENTHS) == expected_kmh


# --- the rules of a rise, each alone -------------------------------------------------------------

BROKEN: list[tuple[dict[str, Any], Reason]] = [
    ({"armed": False}, Reason.NOT_ARMED),
    ({"link_up": False}, Reason.LINK_DOWN),
    ({"key_out": True}, Reason.KEY_OUT),
    ({"control_held": False}, Reason.CONTROL_LOST),
    ({"fresh": False}, Reason.STALE_DATA),
    ({"measured_speed_kmh": 0.0}, Reason.BELT_AT_REST),
    ({"measured_speed_kmh": None}, Reason.BELT_AT_REST),
    ({"unknown_outcome": True}, Reason.UNKNOWN_OUTCOME),
    ({"heart_too_high": True}, Reason.HEART_RATE),
    ({"measured_speed_kmh": 9.9}, Reason.NOT_FOLLOWING),
    ({"permit": None}, Reason.NOT_DELIVERED),
    ({"permit": permit(delivered_at_s=992.5)}, Reason.ANNOUNCING),
    ({"measured_incline_pct": 3.0}, Reason.ONE_AT_A_TIME),
]
"""Each rule of a rise in speed but the turn's, which lowers the ceiling first: what breaks it, and
what the asker is told."""

BLOCKS_ALL = {Reason.LINK_DOWN, Reason.KEY_OUT, Reason.BELT_AT_REST}
"""Without a link, a key or a moving belt nothing at all is sent."""


def test_with_every_rule_kept_the_speed_rises() -> None:
    """The other side of every test below: `GOOD` is really good."""
    assert speed(clear_speed(3.0, GOOD)) == 2.1
    assert incline(clear_incline(3.0, view(changed_at_s=990.0, written_at_s=990.0))) == 1.5


@pytest.mark.parametrize(("changes", "reason"), BROKEN)
def test_one_broken_rule_is_enough(changes: dict[str, Any], reason: Reason) -> None:
    """S1 to S22: one at a time, everything else as it should be."""
    assert clear_speed(3.0, view(**changes)) == refused(reason)


@pytest.mark.parametrize(("changes", "reason"), BROKEN)
@settings(max_examples=30)
@given(world=willing())
def test_a_broken_rule_never_rises_and_a_kept_one_does_not_hinder(
    changes: dict[str, Any], reason: Reason, world: tuple[View, float]
) -> None:
    """One property for each rule, both sides: kept, the belt goes up; broken, it does not."""
    good, wanted_kmh = world
    assert speed(clear_speed(wanted_kmh, good)) > good.cleared_speed_kmh
    assert clear_speed(wanted_kmh, replace(good, **changes)) == refused(reason)


@pytest.mark.parametrize(("changes", "reason"), BROKEN)
@settings(max_examples=30)
@given(world=willing())
def test_slower_passes_whatever_rule_of_a_rise_is_broken(
    changes: dict[str, Any], reason: Reason, world: tuple[View, float]
) -> None:
    """S7: nothing that forbids a rise forbids a fall, but what forbids every write."""
    good, _ = world
    broken = replace(good, **changes)
    if reason in BLOCKS_ALL:
        assert clear_speed(0.5, broken) == refused(reason)
    else:
        assert speed(clear_speed(0.5, broken)) < good.cleared_speed_kmh


def test_an_open_turn_forbids_rises_and_inclines() -> None:
    """S13: below the turn's ceiling by its own rule, and above it by the ceiling."""
    slow = view(measured_speed_kmh=0.8, cleared_speed_kmh=0.8, proven_kmh=3.0, turn_open=True)
    assert clear_speed(1.0, slow) == refused(Reason.PROMPT_OPEN)
    assert speed(clear_speed(1.0, replace(slow, turn_open=False))) == 0.9
    assert speed(clear_speed(3.0, view(turn_open=True))) == 1.8
    for asked_pct in (0.0, 3.0):
        assert clear_incline(asked_pct, view(turn_open=True)) == refused(Reason.PROMPT_OPEN)


def test_the_rules_are_asked_from_top_to_bottom() -> None:
    """With everything wrong, the asker hears of the first thing to put right."""
    assert [rule(view(**changes)) for rule, changes in FIRST_BROKEN] == FIRST_REASONS
    assert tuple(rule for rule, _ in FIRST_BROKEN) == governor.RISE_RULES
    everything = dict[str, Any]()
    for (_, changes), reason in reversed(list(zip(FIRST_BROKEN, FIRST_REASONS, strict=True))):
        everything |= changes
        first = next(filter(None, (rule(view(**everything)) for rule in governor.RISE_RULES)))
        assert first is reason


FIRST_BROKEN: list[tuple[Callable[[View], Reason | None], dict[str, Any]]] = [
    (governor.armed, {"armed": False}),
    (governor.link_holds, {"link_up": False}),
    (governor.key_in, {"key_out": True}),
    (governor.control_held, {"control_held": False}),
    (governor.data_fresh, {"fresh": False}),
    (belt_moves, {"measured_speed_kmh": 0.0}),
    (governor.outcome_known, {"unknown_outcome": True}),
    (governor.not_turning, {"turn_open": True}),
    (heart_allows, {"heart_too_high": True}),
    (belt_follows, {"measured_speed_kmh": 1.0}),
    (announced, {"permit": None}),
]
FIRST_REASONS = [
    Reason.NOT_ARMED,
    Reason.LINK_DOWN,
    Reason.KEY_OUT,
    Reason.CONTROL_LOST,
    Reason.STALE_DATA,
    Reason.BELT_AT_REST,
    Reason.UNKNOWN_OUTCOME,
    Reason.PROMPT_OPEN,
    Reason.HEART_RATE,
    Reason.NOT_FOLLOWING,
    Reason.NOT_DELIVERED,
]


@pytest.mark.parametrize("rule", governor.RISE_RULES, ids=lambda rule: rule.__name__)
def test_no_rule_objects_to_a_good_view(rule: Callable[[View], Reason | None]) -> None:
    """A rule that always said no would pass every test of refusals."""
    assert rule(GOOD) is None


@pytest.mark.parametrize(
    ("measured_kmh", "expected"),
    [(0.0, Reason.BELT_AT_REST), (0.05, Reason.BELT_AT_REST), (0.06, None), (9.0, None)],
)
def test_a_belt_at_rest_is_not_asked_for_speed(
    measured_kmh: float, expected: Reason | None
) -> None:
    """S1, at the limit of what counts as standing; an unknown speed counts as standing."""
    assert belt_moves(view(measured_speed_kmh=measured_kmh)) is expected
    assert belt_moves(view(measured_speed_kmh=None)) is Reason.BELT_AT_REST


@pytest.mark.parametrize(
    ("measured_kmh", "expected"),
    [
        (1.69, Reason.NOT_FOLLOWING),
        (1.7, None),
        (2.0, None),
        (2.3, None),
        (2.31, Reason.NOT_FOLLOWING),
    ],
)
def test_the_belt_must_follow_from_both_sides(measured_kmh: float, expected: Reason | None) -> None:
    """S12: 0.3 km/h below or above, and no more."""
    assert belt_follows(view(measured_speed_kmh=measured_kmh)) is expected
    assert belt_follows(view(measured_speed_kmh=None)) is Reason.STALE_DATA


@pytest.mark.parametrize(
    ("now_s", "expected"), [(987.9, Reason.ANNOUNCING), (988.0, None), (988.1, None)]
)
def test_the_warning_time_must_be_over(now_s: float, expected: Reason | None) -> None:
    """S6: heard at 980 s with eight seconds to go."""
    assert announced(view(now_s=now_s)) is expected


@pytest.mark.parametrize(
    ("measured_pct", "expected"),
    [(None, None), (0.75, None), (1.25, None), (1.3, Reason.ONE_AT_A_TIME)],
)
def test_the_speed_waits_for_the_incline(
    measured_pct: float | None, expected: Reason | None
) -> None:
    """S14: half a step of the machine counts as arrived; a machine that does not tell, too."""
    assert speed_alone(view(measured_incline_pct=measured_pct)) is expected
    assert speed_alone(view(measured_incline_pct=9.0, incline_range=None)) is None


@pytest.mark.parametrize(
    ("measured_kmh", "expected"),
    [(None, Reason.STALE_DATA), (1.95, None), (2.05, None), (2.06, Reason.ONE_AT_A_TIME)],
)
def test_the_incline_waits_for_the_speed(
    measured_kmh: float | None, expected: Reason | None
) -> None:
    """S14: half a step of the machine counts as arrived."""
    assert incline_alone(view(measured_speed_kmh=measured_kmh)) is expected


def test_a_machine_without_a_step_is_not_watched_to_the_last_digit() -> None:
    """Step 0 means that every value will do; a hundredth beside it is no movement."""
    loose = view(speed_range=speeds(0.5, 9.0, 0.0), incline_range=inclines(0.0, 9.0, 0.0))
    assert incline_alone(replace(loose, measured_speed_kmh=2.05)) is None
    assert incline_alone(replace(loose, measured_speed_kmh=2.06)) is Reason.ONE_AT_A_TIME
    assert speed_alone(replace(loose, measured_incline_pct=1.05)) is None
    assert speed_alone(replace(loose, measured_incline_pct=1.1)) is Reason.ONE_AT_A_TIME


# --- S4: what is no number -----------------------------------------------------------------------


@pytest.mark.parametrize("asked", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_first(asked: float) -> None:
    """S4: before arithmetic, and before anything else is looked at."""
    hopeless = view(measured_speed_kmh=None, key_out=True, incline_range=None)
    assert clear_speed(asked, hopeless) == refused(Reason.BAD_PAYLOAD)
    assert clear_incline(asked, hopeless) == refused(Reason.BAD_PAYLOAD)


def test_a_negative_speed_is_refused() -> None:
    """S4: 0 is the least that can be asked for; -0.0 is 0."""
    assert clear_speed(-0.01, GOOD) == refused(Reason.BAD_PAYLOAD)
    assert speed(clear_speed(0.0, GOOD)) == speed(clear_speed(-0.0, GOOD)) == 1.8


@given(asked=st.floats().filter(lambda asked: not 0 <= asked < math.inf), world=worlds())
def test_no_world_takes_a_speed_that_is_none(asked: float, world: View) -> None:
    """S4: NaN, infinities and negatives, in any state."""
    assert clear_speed(asked, world) == refused(Reason.BAD_PAYLOAD)


# --- S3, S4, S5, S6, S20: what may come out, whatever goes in ------------------------------------


@given(asked=REQUESTS, world=RISING)
def test_a_cleared_speed_is_one_the_machine_offers(asked: float, world: View) -> None:
    """S4, two-sided: within the machine's range and on its grid; never below, never above."""
    answer = clear_speed(asked, world)
    if isinstance(answer, Refused):
        return
    low, high = world.speed_range.min_speed_kmh, world.speed_range.max_speed_kmh
    assert low - NEAR <= answer.speed_kmh <= high + NEAR
    steps = (answer.speed_kmh - low) / max(0.01, world.speed_range.step_speed_kmh)
    assert abs(steps - round(steps)) < 1e-3


@given(asked=REQUESTS, world=RISING)
def test_a_rise_stays_under_every_ceiling_and_within_its_permit(asked: float, world: View) -> None:
    """S4, S6, S20: what was asked, what was said, what is proven; none without a permit."""
    answer = clear_speed(asked, world)
    if isinstance(answer, Refused) or answer.speed_kmh <= world.cleared_speed_kmh:
        return
    assert world.permit is not None
    assert all(rule(world) is None for rule in (*governor.RISE_RULES, speed_alone))
    assert answer.speed_kmh <= ceiling_kmh(world) + NEAR
    assert answer.speed_kmh <= asked + NEAR
    assert answer.speed_kmh <= one_step(world, world.permit) + NEAR
    assert answer.speed_kmh <= world.permit.speed_kmh + NEAR


@given(asked=REQUESTS, world=RISING)
def test_a_rise_is_at_most_ramp_times_elapsed(asked: float, world: View) -> None:
    """S5: since the last write and the end of the warning; a late write does not catch up."""
    answer = clear_speed(asked, world)
    if isinstance(answer, Refused) or answer.speed_kmh <= world.cleared_speed_kmh:
        return
    assert world.permit is not None
    rate = (
        world.level.ramp_up_forward_kmh_per_s
        if world.direction is Direction.FORWARD
        else world.level.ramp_up_backward_kmh_per_s
    )
    due_s = world.permit.delivered_at_s + world.permit.lead_s
    elapsed_s = world.now_s - max(world.changed_at_s, world.written_at_s, due_s)
    rise_kmh = answer.speed_kmh - world.cleared_speed_kmh
    assert rise_kmh <= rate * elapsed_s + NEAR
    assert rise_kmh <= max(rate * LATE_WRITE_S, world.speed_range.step_speed_kmh) + NEAR
    assert world.now_s - world.written_at_s >= 1.0 - NEAR


@given(asked=st.floats(0, 30), world=worlds())
def test_slower_always_passes_and_only_the_ramp_spreads_it(asked: float, world: View) -> None:
    """S5, S7, both sides: always one step slower, never more than the ramp and one step."""
    goal_kmh = reachable_kmh(asked, world)
    stopped = belt_moves(world) or world.key_out or not world.link_up
    if stopped or goal_kmh > world.cleared_speed_kmh - NEAR:
        return
    answer = clear_speed(asked, world)
    if not (world.urgent or spaced(world)):
        assert answer == refused(Reason.RAMP)
        return
    slower_kmh = speed(answer)
    assert slower_kmh < world.cleared_speed_kmh
    measured_kmh = world.measured_speed_kmh or 0.0
    low_kmh = world.speed_range.min_speed_kmh
    assert slower_kmh <= max(measured_kmh + governor.FOLLOW_TOLERANCE_KMH, low_kmh) + NEAR
    from_kmh = min(world.cleared_speed_kmh, max(measured_kmh, low_kmh))
    step_kmh = max(world.speed_range.step_speed_kmh, 0.1)
    rate, elapsed_s = world.level.ramp_down_kmh_per_s, world.now_s - world.changed_at_s
    most_kmh = max(0.0, min(rate * elapsed_s, max(rate * LATE_WRITE_S, step_kmh)))
    if from_kmh <= world.speed_range.max_speed_kmh + step_kmh:
        assert from_kmh - slower_kmh <= most_kmh + 2 * step_kmh + NEAR
    if measured_kmh >= world.cleared_speed_kmh:
        assert slower_kmh >= min(goal_kmh, world.cleared_speed_kmh - most_kmh - step_kmh) - NEAR


@given(asked=st.floats(0, 30), world=worlds())
def test_nobody_is_sped_up_by_an_unsaid_write(asked: float, world: View) -> None:
    """S6, S8: without a permit no write lies above both what was cleared and what runs."""
    answer = clear_speed(asked, replace(world, permit=None))
    if isinstance(answer, Refused):
        return
    assert answer.speed_kmh < world.cleared_speed_kmh


# --- the machine's minimum above the ceiling -----------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "asked_kmh"),
    [
        # Sideways is not walked at this level, and the belt runs below its declared minimum.
        ({"level": level(lateral_max_kmh=0.0), "direction": Direction.LATERAL_LEFT}, 1.6),
        ({"level": level(lateral_max_kmh=None), "direction": Direction.LATERAL_RIGHT}, 1.6),
        ({"direction": Direction.TURN}, 1.0),
        ({"direction": Direction.TURN}, 3.0),
        ({"person_max_kmh": 1.5}, 3.0),
        # What was asked for is itself below the minimum.
        ({}, 1.5),
        ({}, 0.0),
    ],
)
def test_the_minimum_is_no_way_up_past_a_ceiling(changes: dict[str, Any], asked_kmh: float) -> None:
    """S4: asked for less than a machine offers, its minimum is more than what may be."""
    fast_machine = {"speed_range": speeds(1.6, 12.0, 0.1), "permit": permit(from_kmh=0.8)}
    slow_belt = {"measured_speed_kmh": 0.8, "cleared_speed_kmh": 0.8}
    world = view(**(fast_machine | slow_belt | changes))
    assert clear_speed(asked_kmh, world) == refused(Reason.ABOVE_CEILING)
    assert next_rise_kmh(world, asked_kmh) == refused(Reason.ABOVE_CEILING)


def test_the_minimum_is_no_jump() -> None:
    """S5: from below the machine's minimum a rise waits until the ramp reaches it, in one step."""
    below = view(speed_range=speeds(1.0, 12.0, 0.1), measured_speed_kmh=0.9, cleared_speed_kmh=0.9)
    assert clear_speed(2.0, replace(below, changed_at_s=999.1)) == refused(Reason.RAMP)
    assert speed(clear_speed(2.0, replace(below, changed_at_s=998.9))) == 1.0


def test_down_to_the_minimum_is_as_slow_as_it_goes() -> None:
    """Above the ceiling and at the machine's minimum, nothing is left but Stop (S13)."""
    fast_machine = speeds(1.6, 12.0, 0.1)
    turning = view(direction=Direction.TURN, speed_range=fast_machine, changed_at_s=990.0)
    lowest = replace(turning, cleared_speed_kmh=1.6, measured_speed_kmh=1.6)
    assert speed(clear_speed(1.0, turning)) == 1.6
    assert clear_speed(1.0, lowest) == refused(Reason.RAMP)


# --- S5: the ramp --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "passed_s", "step", "expected"),
    [
        (0.1, 1.0, 0.1, 0.1),
        (0.1, -5.0, 0.1, 0.0),
        (0.1, 2.0, 0.1, 0.2),
        (0.1, 2.1, 0.1, 0.2),
        (0.1, math.inf, 0.1, 0.2),
        (0.1, 3.0, 0.5, 0.3),
        (0.1, 60.0, 0.5, 0.5),
        (0.0, math.inf, 0.0, 0.0),
    ],
)
def test_how_far_a_ramp_has_grown(
    rate: float, passed_s: float, step: float, expected: float
) -> None:
    """S5: never backward, never more than two seconds of it or one machine step."""
    assert grown(rate, passed_s, step) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("written_at_s", "expected"), [(999.1, False), (999.0, True), (998.0, True), (-math.inf, True)]
)
def test_one_write_a_second(written_at_s: float, expected: bool) -> None:
    """S5: a second since the last one, at least."""
    assert spaced(view(written_at_s=written_at_s)) is expected


@pytest.mark.parametrize(
    ("direction", "elapsed_s", "expected_kmh"),
    [
        (Direction.BACKWARD, 1.0, 2.1),
        (Direction.BACKWARD, 1.9, 2.1),
        (Direction.BACKWARD, 2.0, 2.2),
        (Direction.BACKWARD, 30.0, 2.2),
        (Direction.FORWARD, 1.0, 2.2),
        (Direction.FORWARD, 30.0, 2.4),
    ],
)
def test_a_rise_grows_with_time(
    direction: Direction, elapsed_s: float, expected_kmh: float
) -> None:
    """S5: the level's ramp for the direction, rounded down to the machine's step."""
    world = view(
        direction=direction,
        written_at_s=1000.0 - elapsed_s,
        changed_at_s=1000.0 - elapsed_s,
        permit=permit(delivered_at_s=900.0),
    )
    assert speed(clear_speed(4.0, world)) == expected_kmh


def test_a_rise_that_has_not_grown_waits() -> None:
    """S5: too soon after the last write, or less than a step since."""
    assert clear_speed(3.0, view(written_at_s=999.5)) == refused(Reason.RAMP)
    slow = level(ramp_up_backward_kmh_per_s=0.05)
    assert clear_speed(3.0, view(level=slow)) == refused(Reason.RAMP)
    assert speed(clear_speed(3.0, view(level=slow, changed_at_s=998.0))) == 2.1


def test_a_rise_grows_from_the_end_of_its_warning() -> None:
    """S5, S6: the time before is not saved up; without a permit only the last change counts."""
    world = view(written_at_s=900.0, changed_at_s=900.0, permit=permit(delivered_at_s=991.0))
    assert speed(clear_speed(4.0, world)) == 2.1
    assert ramp(4.0, replace(world, permit=None)) == ClearedSpeed(speed_kmh=2.2)


@pytest.mark.parametrize(
    ("elapsed_s", "urgent", "expected_kmh"),
    [(0.0, True, 1.9), (1.0, False, 1.8), (1.0, True, 1.8), (2.0, False, 1.6), (60.0, False, 1.6)],
)
def test_a_fall_is_spread_by_the_ramp(elapsed_s: float, urgent: bool, expected_kmh: float) -> None:
    """S5, S7: one step at once when it is urgent, then the level's ramp; a late write no jerk."""
    at_s = 1000.0 - elapsed_s
    world = view(written_at_s=at_s, changed_at_s=at_s, urgent=urgent)
    assert speed(clear_speed(0.5, world)) == expected_kmh


def test_a_fall_within_the_second_waits_unless_it_is_urgent() -> None:
    """S5, S7: urgent lifts the spacing, not the ramp."""
    soon = view(written_at_s=999.9, changed_at_s=999.9)
    assert clear_speed(0.5, soon) == refused(Reason.RAMP)
    assert speed(clear_speed(0.5, replace(soon, urgent=True))) == 1.9


def test_a_fall_stops_at_what_was_asked() -> None:
    """Never below the goal, and nothing to do once there."""
    assert speed(clear_speed(1.9, view(changed_at_s=900.0))) == 1.9
    for there in (GOOD, view(permit=None)):
        assert clear_speed(2.0, there) == refused(Reason.RAMP)


def test_a_coarse_or_stepless_machine_still_slows_down() -> None:
    """One step of its own, or a tenth where it names none."""
    coarse = view(speed_range=speeds(0.5, 9.0, 0.5))
    assert speed(clear_speed(0.5, coarse)) == 1.5
    stepless = view(speed_range=speeds(0.5, 9.0, 0.0), changed_at_s=1000.0, urgent=True)
    assert speed(clear_speed(0.5, stepless)) == 1.9


@pytest.mark.parametrize(
    ("measured_kmh", "asked_kmh", "expected_kmh"),
    [(1.7, 1.9, 1.9), (1.6, 1.9, 1.6), (1.0, 1.9, 1.0), (1.0, 0.5, 0.8), (0.3, 1.9, 0.5)],
)
def test_slower_than_asked_is_not_sped_up(
    measured_kmh: float, asked_kmh: float, expected_kmh: float
) -> None:
    """S8: the console slowed the belt to 1.0; "1.9 instead of 2.0" must not nearly double it."""
    world = view(measured_speed_kmh=measured_kmh, changed_at_s=999.0)
    assert speed(clear_speed(asked_kmh, world)) == expected_kmh


# --- S20: steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said_kmh", "proven_kmh", "expected_kmh"),
    [(4.0, 3.0, 3.0), (2.5, 3.0, 2.5), (4.0, 1.0, 2.3), (2.1, 1.0, 2.1)],
)
def test_how_far_a_permit_reaches(said_kmh: float, proven_kmh: float, expected_kmh: float) -> None:
    """S20: straight to a proven speed, else one step beyond what ran; never past what was said."""
    world = view(proven_kmh=proven_kmh)
    assert one_step(world, permit(speed_kmh=said_kmh)) == pytest.approx(expected_kmh)


def test_a_rise_does_not_pass_its_permit() -> None:
    """S20: at the permit's end the belt stays, and it is not slowed by an older permit either."""
    done = view(permit=permit(speed_kmh=2.0))
    assert clear_speed(4.0, done) == refused(Reason.RAMP)
    assert clear_speed(4.0, view(permit=permit(speed_kmh=1.5))) == refused(Reason.RAMP)


@pytest.mark.parametrize(
    ("machine_step_kmh", "level_step_kmh", "expected_kmh"),
    [(0.1, 0.2, 2.2), (0.5, 0.2, 2.5), (0.32, 0.2, 2.1), (0.5, 0.7, 2.5), (1.0, 0.2, 2.5)],
)
def test_what_is_announced_next_can_be_reached(
    machine_step_kmh: float, level_step_kmh: float, expected_kmh: float
) -> None:
    """S20: also where the machine's step is coarser than the level's, or they never meet.

    Announced, heard and waited for, the belt goes exactly there; no permit is left hanging.
    """
    world = view(
        level=level(step_kmh=level_step_kmh),
        speed_range=speeds(0.5, 12.0, machine_step_kmh),
        proven_kmh=1.0,
    )
    said_kmh = next_rise_kmh(world, 4.0)
    assert said_kmh == expected_kmh
    world = replace(world, permit=permit(speed_kmh=said_kmh, delivered_at_s=900.0))
    for _ in range(30):
        world = replace(world, now_s=world.now_s + 1.0)
        answer = clear_speed(4.0, world)
        if isinstance(answer, ClearedSpeed):
            there_kmh = answer.speed_kmh
            world = replace(
                world,
                cleared_speed_kmh=there_kmh,
                measured_speed_kmh=there_kmh,
                written_at_s=world.now_s,
                changed_at_s=world.now_s,
            )
    assert world.cleared_speed_kmh == expected_kmh


@pytest.mark.parametrize(
    ("changes", "wanted_kmh", "expected"),
    [
        ({}, 2.0, Reason.ABOVE_CEILING),
        ({}, 1.0, Reason.ABOVE_CEILING),
        ({"person_max_kmh": 2.0}, 4.0, Reason.ABOVE_CEILING),
        ({}, 2.5, 2.5),
        ({}, 9.0, 3.0),
        ({"proven_kmh": 2.0}, 9.0, 2.3),
        ({"proven_kmh": 2.0}, 2.2, 2.2),
        ({"proven_kmh": 2.0, "steady_since_s": 980.0}, 9.0, 2.3),
        ({"proven_kmh": 2.0, "steady_since_s": 980.1}, 9.0, Reason.RAMP),
        ({"proven_kmh": 2.0, "steady_since_s": None}, 9.0, Reason.RAMP),
        ({"proven_kmh": 3.0, "steady_since_s": None}, 9.0, 3.0),
        ({"proven_kmh": 0.0, "speed_range": speeds(2.5, 9.0, 0.1)}, 9.0, Reason.ABOVE_CEILING),
    ],
)
def test_what_may_be_announced_next(
    changes: dict[str, Any], wanted_kmh: float, expected: float | Reason
) -> None:
    """S20: proven at once, one step beyond it after the hold, nothing where nothing is to rise."""
    answer = next_rise_kmh(view(**changes), wanted_kmh)
    assert (answer.reason if isinstance(answer, Refused) else answer) == expected


@given(wanted_kmh=st.floats(0, 30), world=worlds())
def test_what_is_announced_is_a_rise_within_the_ceilings(wanted_kmh: float, world: View) -> None:
    """S4, S20, two-sided: above what runs, at most one step above what is proven."""
    answer = next_rise_kmh(world, wanted_kmh)
    if isinstance(answer, Refused):
        return
    assert world.cleared_speed_kmh < answer <= min(wanted_kmh, ceiling_kmh(world)) + NEAR
    step_kmh = max(world.level.step_kmh, world.speed_range.step_speed_kmh)
    assert answer <= max(world.proven_kmh, world.cleared_speed_kmh + step_kmh) + NEAR


# --- the incline ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "asked_pct", "reason"),
    [
        ({"incline_range": None}, 3.0, Reason.NOT_SUPPORTED),
        ({"key_out": True}, 0.0, Reason.KEY_OUT),
        ({"link_up": False}, 0.0, Reason.LINK_DOWN),
        ({"turn_open": True}, 0.0, Reason.PROMPT_OPEN),
        ({"measured_speed_kmh": 2.1}, 0.0, Reason.ONE_AT_A_TIME),
        ({"measured_speed_kmh": 2.1}, 3.0, Reason.ONE_AT_A_TIME),
        ({"measured_speed_kmh": None}, 0.0, Reason.STALE_DATA),
        ({}, 1.0, Reason.RAMP),
        ({}, 1.4, Reason.RAMP),
        ({"written_at_s": 999.5}, 3.0, Reason.RAMP),
        ({"written_at_s": 999.5}, 0.0, Reason.RAMP),
        ({"changed_at_s": 998.1}, 3.0, Reason.RAMP),
        ({"changed_at_s": 998.1}, 0.0, Reason.RAMP),
        ({"permit": permit(incline_pct=1.0)}, 3.0, Reason.RAMP),
        ({"incline_range": inclines(2.0, 9.0, 0.5)}, 1.5, Reason.ABOVE_CEILING),
        ({"incline_range": inclines(-6.0, -1.0, 0.5)}, 0.0, Reason.ABOVE_CEILING),
        ({"incline_range": inclines(1.5, 9.0, 0.5), "changed_at_s": 0.0}, 1.7, None),
        ({"incline_range": inclines(2.5, 9.0, 0.5), "changed_at_s": 0.0}, 3.0, Reason.RAMP),
    ],
)
def test_why_the_incline_does_not_move(
    changes: dict[str, Any], asked_pct: float, reason: Reason | None
) -> None:
    """S4, S5, S9, S13, S14: up and down; the last rows start below the machine's own minimum."""
    answer = clear_incline(asked_pct, view(**({"changed_at_s": 900.0} | changes)))
    assert (answer.reason if isinstance(answer, Refused) else None) is reason


@pytest.mark.parametrize(("changes", "reason"), BROKEN[:-1])
def test_an_incline_rises_by_the_rules_of_a_rise(changes: dict[str, Any], reason: Reason) -> None:
    """S6 and all the others hold for the incline, whichever rule speaks first."""
    good = view(changed_at_s=990.0, written_at_s=990.0)
    assert incline(clear_incline(3.0, good)) == 1.5
    answer = clear_incline(3.0, replace(good, **changes))
    assert isinstance(answer, Refused)
    if "measured_speed_kmh" not in changes:
        assert answer.reason is reason


@pytest.mark.parametrize(
    ("asked_pct", "elapsed_s", "expected_pct"),
    [
        (3.0, 2.0, 1.5),
        (3.0, 60.0, 1.5),
        (99.0, 60.0, 1.5),
        (0.0, 2.0, 0.5),
        (0.0, 60.0, 0.5),
        (-5.0, 60.0, 0.5),
        (0.9, 60.0, 0.5),
    ],
)
def test_the_incline_moves_step_by_step(
    asked_pct: float, elapsed_s: float, expected_pct: float
) -> None:
    """S5, S14: at the level's rate, on the machine's grid, however long ago the last change was."""
    at_s = 1000.0 - elapsed_s
    world = view(written_at_s=at_s, changed_at_s=at_s, permit=permit(delivered_at_s=900.0))
    assert incline(clear_incline(asked_pct, world)) == expected_pct


def test_where_the_incline_ramp_begins() -> None:
    """S5: up from the end of the warning, down from when the fall was due; not from longer ago."""
    up = view(written_at_s=900.0, changed_at_s=900.0, permit=permit(delivered_at_s=990.1))
    assert clear_incline(3.0, up) == refused(Reason.RAMP)
    assert incline(clear_incline(3.0, replace(up, now_s=1000.1))) == 1.5
    down = view(written_at_s=900.0, changed_at_s=998.1)
    assert clear_incline(0.0, down) == refused(Reason.RAMP)
    assert incline(clear_incline(0.0, replace(down, now_s=1000.1))) == 0.5


def test_the_last_stretch_down_to_level_is_no_whole_step() -> None:
    """A machine adopted off its grid comes to 0 before a turn all the same (S14)."""
    world = view(cleared_incline_pct=0.3, measured_incline_pct=0.3, changed_at_s=998.8)
    assert incline(clear_incline(0.0, world)) == 0.0


@given(asked=REQUESTS, world=worlds())
def test_a_cleared_incline_is_level_or_uphill_and_in_reach(asked: float, world: View) -> None:
    """S4, S5, S14, two-sided: between 0 and what was asked, said and allowed; at the rate."""
    answer = clear_incline(asked, world)
    if isinstance(answer, Refused):
        return
    limits = world.incline_range
    assert limits is not None
    assert not world.turn_open
    present_pct = world.cleared_incline_pct
    assert 0.0 <= answer.incline_pct <= max(limits.max_incline_pct, 0.0) + NEAR
    step_pct = max(limits.step_incline_pct, 0.1)
    rate = world.level.incline_rate_pct_per_s
    elapsed_s = world.now_s - world.changed_at_s
    moved_pct = abs(answer.incline_pct - present_pct)
    if answer.incline_pct > present_pct:
        assert world.permit is not None
        assert all(rule(world) is None for rule in (*governor.RISE_RULES, incline_alone))
        most_pct = min(asked, ceiling_pct(world), world.permit.incline_pct)
        assert answer.incline_pct <= most_pct + NEAR
        assert moved_pct <= rate * elapsed_s + NEAR
        assert moved_pct <= max(rate * LATE_WRITE_S, step_pct) + NEAR
    else:
        assert answer.incline_pct < present_pct
        if present_pct <= limits.max_incline_pct:
            assert moved_pct <= rate * elapsed_s + step_pct + NEAR
            assert moved_pct <= max(rate * LATE_WRITE_S, step_pct) + step_pct + NEAR


# --- S1, S2: the start ---------------------------------------------------------------------------


def start(changes: dict[str, Any], age_s: float = 0.0) -> ClearedStart | Refused:
    """Ask for Start from the page on a belt at rest."""
    return clear_start(replace(AT_REST, **changes), allowed=True, gesture_age_s=age_s)


def test_a_fresh_gesture_on_a_standing_belt_starts_it() -> None:
    """S2: the other side of every refusal below."""
    assert start({}) == ClearedStart()


def test_a_start_needs_the_setting() -> None:
    """S2: the default is the console."""
    answer = clear_start(AT_REST, allowed=False, gesture_age_s=0.0)
    assert answer == refused(Reason.REMOTE_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("age_s", "fresh"),
    [(0.0, True), (10.0, True), (10.1, False), (-0.1, False), (math.nan, False), (math.inf, False)],
)
def test_a_start_is_fresh(age_s: float, fresh: bool) -> None:
    """S2: ten seconds; one from the future or of no age at all is none."""
    assert start({}, age_s) == (ClearedStart() if fresh else refused(Reason.EXPIRED))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"armed": False}, Reason.NOT_ARMED),
        ({"link_up": False}, Reason.LINK_DOWN),
        ({"key_out": True}, Reason.KEY_OUT),
        ({"control_held": False}, Reason.CONTROL_LOST),
        ({"fresh": False}, Reason.STALE_DATA),
        ({"unknown_outcome": True}, Reason.UNKNOWN_OUTCOME),
        ({"turn_open": True}, Reason.PROMPT_OPEN),
        ({"measured_speed_kmh": None}, Reason.STALE_DATA),
        ({"measured_speed_kmh": 0.06}, Reason.BELT_MOVING),
        ({"measured_speed_kmh": 2.0}, Reason.BELT_MOVING),
        ({"speed_range": speeds(4.1, 9.0, 0.1)}, Reason.ABOVE_CEILING),
        ({"speed_range": speeds(2.1, 9.0, 0.1), "units_proven": False}, Reason.ABOVE_CEILING),
        ({"speed_range": speeds(2.1, 9.0, 0.1), "person_max_kmh": 2.0}, Reason.ABOVE_CEILING),
    ],
)
def test_why_a_belt_is_not_started(changes: dict[str, Any], reason: Reason) -> None:
    """S1, S2, S4, S9, S10, S13, S17, S21: one thing wrong at a time."""
    assert start(changes) == refused(reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"measured_speed_kmh": 0.05},
        {"speed_range": speeds(4.0, 9.0, 0.1)},
        # The belt stands for a turn that is confirmed: the turn's own cap does not forbid Start.
        {"speed_range": speeds(1.6, 9.0, 0.1), "direction": Direction.TURN},
        {"permit": None},
    ],
)
def test_what_does_not_hinder_a_start(changes: dict[str, Any]) -> None:
    """At the limits; and a start is no announced rise."""
    assert start(changes) == ClearedStart()


@given(world=worlds(), age_s=st.floats(0, 20), allowed=st.booleans())
def test_a_start_is_only_for_a_belt_known_to_stand(
    world: View, age_s: float, allowed: bool
) -> None:
    """S1, S2: whatever else is so."""
    answer = clear_start(world, allowed=allowed, gesture_age_s=age_s)
    if isinstance(answer, Refused):
        return
    assert allowed
    assert age_s <= 10
    assert world.measured_speed_kmh is not None
    assert world.measured_speed_kmh <= 0.05
    assert standing(world) is starts_slowly(world) is None
    assert world.speed_range.min_speed_kmh <= world.level.backward_max_kmh + NEAR
    assert world.armed
    assert world.link_up
    assert world.control_held
    assert not world.key_out
    assert not world.unknown_outcome
