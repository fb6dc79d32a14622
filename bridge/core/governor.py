"""The gate: the only maker of a cleared speed, incline or start. Default is no.

It sees one frozen `View` and one number, and answers with a `Cleared...` value or a `Refused` with
its reason. It does not know who asks, so a program, a person and a broker get the same answer.
Slower passes always, limited only by the ramp; faster needs every rule in `RISE_RULES`, which are
read from top to bottom. Refuses to know programs, prompts, sources and bytes.

Safety rules enforced here, each one function: S1 and S2 (`START_RULES`, `belt_moves`), S4
(`ceiling_kmh`), S5 (`spaced`, `grown`), S6 (`announced`), S9 (`key_in`), S10 (`data_fresh`), S12
(`belt_follows`), S13 (`ceiling_kmh`, `not_turning`), S14 (`speed_alone`, `incline_alone`), S17
(`outcome_known`), S20 (`one_step`), S21 (`ceiling_kmh`), S22 (`heart_allows`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from bridge.core.belt import AT_REST_KMH
from bridge.core.control_codec import step_down_kmh, step_down_pct
from bridge.core.messages import (
    ClearedIncline,
    ClearedSpeed,
    ClearedStart,
    Direction,
    InclineRange,
    Level,
    Reason,
    Refused,
    SpeedRange,
)

WRITE_SPACING_S = 1.0
"""S5: one write a second at the most, whoever asks."""

TURN_MAX_KMH = 1.0
"""S13: nothing faster while somebody turns (facts: backward walking, section 7 rule 1)."""

START_MAX_KMH = 1.0
"""S2: a belt is adopted at or below this, or at the machine's own minimum where that is higher."""

UNPROVEN_UNITS_MAX_KMH = 2.0
"""S21: until 1.0 asked is known to be 1.0 km/h measured; 2.0 asked in mph is 3.2 km/h."""

FOLLOW_TOLERANCE_KMH = 0.3
"""S12: how far the measured speed may lag behind before the next step up waits for it."""

LATE_WRITE_S = 2.0
"""S5: a ramp that had to wait does not make up for lost time, since the machine would take the
whole jump at its own rate: two seconds' worth, or one machine step, is the most in one write."""

FINEST_STEP_KMH = 0.1
FINEST_STEP_PCT = 0.1
"""A machine that says 0 for its step takes every value; nothing is watched more closely than so."""

START_GESTURE_MAX_AGE_S = 10.0
"""S2: a start counts only while it is fresh (facts: backward walking, section 7 rule 4)."""

_DUST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What the walker has been told and heard (S6): a rise may go this far, once the lead is over.

    ``from_kmh`` and ``from_pct`` are what ran when it was said. A permit never outlives the change
    it was said for.
    """

    delivered_at_s: float
    lead_s: float
    from_kmh: float
    speed_kmh: float
    from_pct: float
    incline_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything the governor may look at, at one moment.

    ``written_at_s`` is when the last target was handed out (S5: the spacing of writes), and
    ``changed_at_s`` when it was or when the present change became due, whichever is later: ramps
    grow from there. ``urgent`` lifts the spacing for one write, never the ramp (S7).
    """

    now_s: float
    level: Level
    direction: Direction
    speed_range: SpeedRange
    incline_range: InclineRange | None
    person_max_kmh: float | None
    units_proven: bool
    armed: bool
    link_up: bool
    control_held: bool
    key_out: bool
    turn_open: bool
    fresh: bool
    measured_speed_kmh: float | None
    measured_incline_pct: float | None
    unknown_outcome: bool
    heart_too_high: bool
    cleared_speed_kmh: float
    cleared_incline_pct: float
    written_at_s: float
    changed_at_s: float
    urgent: bool
    steady_since_s: float | None
    proven_kmh: float
    permit: Permit | None


# --- ceilings ------------------------------------------------------------------------------------


def level_max_kmh(level: Level, direction: Direction) -> float:
    """The level's cap for a direction; 0 where the level does not walk that way at all (S4)."""
    match direction:
        case Direction.BACKWARD:
            return level.backward_max_kmh
        case Direction.FORWARD:
            return level.forward_max_kmh
        case Direction.LATERAL_LEFT | Direction.LATERAL_RIGHT:
            return level.lateral_max_kmh or 0.0
        case Direction.TURN:
            return TURN_MAX_KMH
        case _:
            assert_never(direction)


def ceiling_kmh(view: View) -> float:
    """S4, S13, S21: the highest target that may stand now, whoever asks."""
    limits = [level_max_kmh(view.level, view.direction), view.speed_range.max_speed_kmh]
    if view.person_max_kmh is not None:
        limits.append(view.person_max_kmh)
    if view.turn_open:
        limits.append(TURN_MAX_KMH)
    if not view.units_proven:
        limits.append(UNPROVEN_UNITS_MAX_KMH)
    return min(limits)


def ceiling_pct(view: View) -> float:
    """S4, S14: the steepest target that may stand now; 0 for a machine without incline."""
    if view.incline_range is None:
        return 0.0
    return min(view.level.incline_max_pct, view.incline_range.max_incline_pct)


def adoption_max_kmh(level: Level, speed_range: SpeedRange) -> float:
    """S2: the fastest belt that may be adopted after a start at the console."""
    own_minimum_kmh = speed_range.min_speed_kmh
    if own_minimum_kmh > START_MAX_KMH and own_minimum_kmh <= level.backward_max_kmh:
        return own_minimum_kmh
    return START_MAX_KMH


# --- the rules a rise must pass, in order --------------------------------------------------------


def armed(view: View) -> Reason | None:
    """S2: a person armed this session, and nothing has taken that back."""
    return None if view.armed else Reason.NOT_ARMED


def link_holds(view: View) -> Reason | None:
    """S11: nothing is asked of a machine that is not there."""
    return None if view.link_up else Reason.LINK_DOWN


def key_in(view: View) -> Reason | None:
    """S9: with the safety key out nothing that could move the belt is sent."""
    return Reason.KEY_OUT if view.key_out else None


def control_held(view: View) -> Reason | None:
    """Only who holds the control point may ask for more (FTMS v1.0 section 4.16.2.1)."""
    return None if view.control_held else Reason.CONTROL_LOST


def data_fresh(view: View) -> Reason | None:
    """S10: stale data freezes rises."""
    return None if view.fresh else Reason.STALE_DATA


def belt_moves(view: View) -> Reason | None:
    """S1: a speed asked of a belt at rest would start it."""
    measured_kmh = view.measured_speed_kmh
    moves = measured_kmh is not None and measured_kmh > AT_REST_KMH
    return None if moves else Reason.BELT_AT_REST


def outcome_known(view: View) -> Reason | None:
    """S17: after a write without an answer the measurement has to settle it first."""
    return Reason.UNKNOWN_OUTCOME if view.unknown_outcome else None


def not_turning(view: View) -> Reason | None:
    """S13: no rise and no incline move while a turn is unconfirmed."""
    return Reason.PROMPT_OPEN if view.turn_open else None


def heart_allows(view: View) -> Reason | None:
    """S22: heart rate only ever slows."""
    return Reason.HEART_RATE if view.heart_too_high else None


def belt_follows(view: View) -> Reason | None:
    """S12: the next step up waits until the belt runs what was cleared, and no more than that."""
    measured_kmh = view.measured_speed_kmh
    if measured_kmh is None:
        return Reason.STALE_DATA
    lag_kmh = abs(view.cleared_speed_kmh - measured_kmh)
    return Reason.NOT_FOLLOWING if lag_kmh > FOLLOW_TOLERANCE_KMH + _DUST else None


def announced(view: View) -> Reason | None:
    """S6: said, heard, and the warning time is over."""
    if view.permit is None:
        return Reason.NOT_DELIVERED
    due_s = view.permit.delivered_at_s + view.permit.lead_s
    return None if view.now_s + _DUST >= due_s else Reason.ANNOUNCING


RISE_RULES: tuple[Callable[[View], Reason | None], ...] = (
    armed,
    link_holds,
    key_in,
    control_held,
    data_fresh,
    belt_moves,
    outcome_known,
    not_turning,
    heart_allows,
    belt_follows,
    announced,
)


def speed_alone(view: View) -> Reason | None:
    """S14: the speed does not rise while the incline still moves."""
    incline_pct = view.measured_incline_pct
    if view.incline_range is None or incline_pct is None:
        return None
    near_pct = max(view.incline_range.step_incline_pct, FINEST_STEP_PCT) / 2
    moving = abs(incline_pct - view.cleared_incline_pct) > near_pct + _DUST
    return Reason.ONE_AT_A_TIME if moving else None


def incline_alone(view: View) -> Reason | None:
    """S14: the incline does not move while the speed still does (`belt_follows` is looser)."""
    measured_kmh = view.measured_speed_kmh
    if measured_kmh is None:
        return Reason.STALE_DATA
    near_kmh = max(view.speed_range.step_speed_kmh, FINEST_STEP_KMH) / 2
    moving = abs(measured_kmh - view.cleared_speed_kmh) > near_kmh + _DUST
    return Reason.ONE_AT_A_TIME if moving else None


def step_kmh(view: View) -> float:
    """S20: one step up: the level's, or the machine's own where that is coarser."""
    return max(view.level.step_kmh, view.speed_range.step_speed_kmh)


def one_step(view: View, permit: Permit) -> float:
    """S20: how far this permit reaches: straight to a proven speed, else one step beyond."""
    beyond_kmh = max(view.proven_kmh, permit.from_kmh + step_kmh(view))
    return min(permit.speed_kmh, beyond_kmh)


def reachable_kmh(wanted_kmh: float, view: View) -> float:
    """What a wish comes to under the ceilings, on the machine's grid (never below its minimum)."""
    return step_down_kmh(min(wanted_kmh, ceiling_kmh(view)), view.speed_range)


def reachable_pct(wanted_pct: float, view: View) -> float:
    """What a wish for an incline comes to: under the ceiling, on the machine's grid, not downhill.

    A goal between two of the machine's steps would never be reached, and S14 makes speed wait.
    """
    most_pct = max(0.0, min(wanted_pct, ceiling_pct(view)))
    if view.incline_range is None:
        return most_pct
    return max(0.0, step_down_pct(most_pct, view.incline_range))


def offered_kmh(limit_kmh: float, speed_range: SpeedRange) -> float:
    """The fastest the machine offers within a limit; 0 where even its minimum lies above it.

    What a rise may lead to: `step_down_kmh` alone would answer with the minimum, *above* the limit.
    """
    offered = step_down_kmh(limit_kmh, speed_range)
    return offered if offered <= limit_kmh + _DUST else 0.0


def next_rise_kmh(view: View, wanted_kmh: float) -> float | Refused:
    """S20: the speed that may be announced next on the way up to ``wanted_kmh``.

    Straight to a proven speed; beyond it one level step, and only when the present speed has been
    held for the level's time. Refused while there is nothing to rise to, or the hold is not over.
    """
    wanted_kmh = offered_kmh(min(wanted_kmh, ceiling_kmh(view)), view.speed_range)
    present_kmh = view.cleared_speed_kmh
    if wanted_kmh <= present_kmh + _DUST:
        return Refused(reason=Reason.ABOVE_CEILING)
    proven_kmh = offered_kmh(view.proven_kmh, view.speed_range)
    if present_kmh + _DUST < proven_kmh:
        return min(wanted_kmh, proven_kmh)
    since_s = view.steady_since_s
    if since_s is None or view.now_s - since_s + _DUST < view.level.hold_s:
        return Refused(reason=Reason.RAMP)
    next_kmh = min(wanted_kmh, offered_kmh(present_kmh + step_kmh(view), view.speed_range))
    if next_kmh <= present_kmh + _DUST:
        return Refused(reason=Reason.ABOVE_CEILING)
    return next_kmh


# --- the three answers ---------------------------------------------------------------------------


def ramp_kmh_per_s(view: View, *, up: bool) -> float:
    """S5: the level's acceleration limit for this direction."""
    level = view.level
    if not up:
        return level.ramp_down_kmh_per_s
    if view.direction is Direction.FORWARD:
        return level.ramp_up_forward_kmh_per_s
    return level.ramp_up_backward_kmh_per_s


def grown(rate_per_s: float, passed_s: float, machine_step: float) -> float:
    """S5: how far a ramp has come in this time; see `LATE_WRITE_S` for a long wait."""
    return min(max(0.0, rate_per_s * passed_s), max(rate_per_s * LATE_WRITE_S, machine_step))


def spaced(view: View) -> bool:
    """S5: a second has passed since the last target was handed out."""
    return view.now_s - view.written_at_s + _DUST >= WRITE_SPACING_S


def clear_speed(requested_kmh: float, view: View) -> ClearedSpeed | Refused:
    """One step towards a requested speed, or why not.

    Takes any float there is: what is not finite or below zero is refused before arithmetic (S4).
    The answer never lies outside the machine's range. A rise never ends above `ceiling_kmh`, nor
    above what was asked; a fall goes there in steps, or to the machine's minimum where that is
    higher.
    """
    if not math.isfinite(requested_kmh) or requested_kmh < 0:
        return Refused(reason=Reason.BAD_PAYLOAD)
    if (reason := belt_moves(view)) is not None:
        return Refused(reason=reason)
    if (reason := key_in(view) or link_holds(view)) is not None:
        return Refused(reason=reason)
    most_kmh = offered_kmh(min(requested_kmh, ceiling_kmh(view)), view.speed_range)
    if most_kmh > view.cleared_speed_kmh + _DUST:
        return _rise(most_kmh, view)
    wanted_kmh = reachable_kmh(requested_kmh, view)
    if wanted_kmh > view.cleared_speed_kmh + _DUST:
        return Refused(reason=Reason.ABOVE_CEILING)  # only the machine's minimum is, and it is more
    return _fall(wanted_kmh, view)


def _rise(wanted_kmh: float, view: View) -> ClearedSpeed | Refused:
    for rule in (*RISE_RULES, speed_alone):
        if (reason := rule(view)) is not None:
            return Refused(reason=reason)
    assert view.permit is not None  # `announced` has passed
    if view.permit.speed_kmh <= view.permit.from_kmh + _DUST:
        return Refused(reason=Reason.RAMP)  # S6: what was said has been done, or was of the incline
    wanted_kmh = min(wanted_kmh, max(one_step(view, view.permit), view.cleared_speed_kmh))
    return ramp(wanted_kmh, view)


def ramp(wanted_kmh: float, view: View) -> ClearedSpeed | Refused:
    """S5: as far up as the ramp has grown since the last change, on the machine's grid."""
    if not spaced(view):
        return Refused(reason=Reason.RAMP)
    passed_s = view.now_s - _rise_began_s(view)
    rate, step = ramp_kmh_per_s(view, up=True), view.speed_range.step_speed_kmh
    limit_kmh = view.cleared_speed_kmh + grown(rate, passed_s, step)
    next_kmh = offered_kmh(min(wanted_kmh, limit_kmh), view.speed_range)
    if next_kmh <= view.cleared_speed_kmh + _DUST:
        return Refused(reason=Reason.RAMP)
    return ClearedSpeed(speed_kmh=next_kmh)


def _rise_began_s(view: View) -> float:
    """A rise grows from when its warning time was over, not from when the last one ended."""
    permit = view.permit
    if permit is None:
        return view.changed_at_s
    return max(view.changed_at_s, permit.delivered_at_s + permit.lead_s)


def _fall(wanted_kmh: float, view: View) -> ClearedSpeed | Refused:
    """Slower always passes; the ramp only spreads it, since a jerk throws the walker forward."""
    if wanted_kmh >= view.cleared_speed_kmh - _DUST:
        return Refused(reason=Reason.RAMP)
    if not view.urgent and not spaced(view):
        return Refused(reason=Reason.RAMP)
    step = max(view.speed_range.step_speed_kmh, FINEST_STEP_KMH)
    passed_s = view.now_s - view.changed_at_s
    from_kmh = _runs_kmh(view)
    allowed_kmh = from_kmh - grown(ramp_kmh_per_s(view, up=False), passed_s, step)
    # Never more than one machine step below what the ramp allows, never less than one step.
    slower_kmh = max(wanted_kmh, min(allowed_kmh, from_kmh - step))
    return ClearedSpeed(speed_kmh=step_down_kmh(min(slower_kmh, from_kmh), view.speed_range))


def _runs_kmh(view: View) -> float:
    """Where a fall begins: at the cleared speed, or at the measured one where that is far below.

    The console may have been pressed; a "slower" that lies between the two would speed the belt up.
    """
    measured_kmh = view.measured_speed_kmh
    if measured_kmh is None or measured_kmh >= view.cleared_speed_kmh - FOLLOW_TOLERANCE_KMH:
        return view.cleared_speed_kmh
    return measured_kmh


def clear_incline(requested_pct: float, view: View) -> ClearedIncline | Refused:
    """One step towards a requested incline, or why not (S4, S5, S13, S14)."""
    if not math.isfinite(requested_pct):
        return Refused(reason=Reason.BAD_PAYLOAD)
    limits, present_pct = view.incline_range, view.cleared_incline_pct
    if limits is None:
        return Refused(reason=Reason.NOT_SUPPORTED)
    for rule in (key_in, link_holds, not_turning, incline_alone):
        if (reason := rule(view)) is not None:
            return Refused(reason=reason)
    # Backward downhill is not offered (S14), so nothing goes below level.
    most_pct = max(0.0, min(requested_pct, ceiling_pct(view)))
    wanted_pct = step_down_pct(most_pct, limits)
    if wanted_pct < 0 or wanted_pct > max(most_pct, present_pct) + _DUST:
        return Refused(reason=Reason.ABOVE_CEILING)  # the machine offers nothing in between
    if abs(wanted_pct - present_pct) <= _DUST or not spaced(view):
        return Refused(reason=Reason.RAMP)
    move = _incline_down if wanted_pct < present_pct else _incline_up
    return move(wanted_pct, view, limits)


def _incline_down(wanted_pct: float, view: View, limits: InclineRange) -> ClearedIncline | Refused:
    step = max(limits.step_incline_pct, FINEST_STEP_PCT)
    fallen = grown(view.level.incline_rate_pct_per_s, view.now_s - view.changed_at_s, step)
    if fallen < min(step, view.cleared_incline_pct - wanted_pct) - _DUST:
        return Refused(reason=Reason.RAMP)
    allowed_pct = view.cleared_incline_pct - fallen
    return ClearedIncline(incline_pct=step_down_pct(max(wanted_pct, allowed_pct), limits))


def _incline_up(wanted_pct: float, view: View, limits: InclineRange) -> ClearedIncline | Refused:
    for rule in RISE_RULES:
        if (reason := rule(view)) is not None:
            return Refused(reason=reason)
    assert view.permit is not None  # `announced` has passed
    if view.permit.incline_pct <= view.permit.from_pct + _DUST:
        return Refused(reason=Reason.RAMP)  # S6: what was said has been done, or was of the speed
    passed_s = view.now_s - _rise_began_s(view)
    risen = grown(view.level.incline_rate_pct_per_s, passed_s, limits.step_incline_pct)
    limit_pct = min(wanted_pct, view.permit.incline_pct, view.cleared_incline_pct + risen)
    next_pct = step_down_pct(limit_pct, limits)
    if not view.cleared_incline_pct + _DUST < next_pct <= limit_pct + _DUST:
        return Refused(reason=Reason.RAMP)
    return ClearedIncline(incline_pct=next_pct)


# --- the rules a start must pass, in order -------------------------------------------------------


def standing(view: View) -> Reason | None:
    """S1: Start is for a belt that is known to stand."""
    if view.measured_speed_kmh is None:
        return Reason.STALE_DATA
    return Reason.BELT_MOVING if belt_moves(view) is None else None


def starts_slowly(view: View) -> Reason | None:
    """S2: a belt starts at its minimum; that must be a speed this person may walk backward."""
    most_kmh = ceiling_kmh(replace(view, direction=Direction.BACKWARD))
    return Reason.ABOVE_CEILING if view.speed_range.min_speed_kmh > most_kmh + _DUST else None


START_RULES: tuple[Callable[[View], Reason | None], ...] = (
    armed,
    link_holds,
    key_in,
    control_held,
    data_fresh,
    outcome_known,
    not_turning,
    standing,
    starts_slowly,
)


def clear_start(view: View, *, allowed: bool, gesture_age_s: float) -> ClearedStart | Refused:
    """S1, S2: Start is sent once, for an explicit, fresh, local action, on a belt at rest."""
    if not allowed:
        return Refused(reason=Reason.REMOTE_NOT_ALLOWED)
    if not 0 <= gesture_age_s <= START_GESTURE_MAX_AGE_S:
        return Refused(reason=Reason.EXPIRED)
    for rule in START_RULES:
        if (reason := rule(view)) is not None:
            return Refused(reason=reason)
    return ClearedStart()
