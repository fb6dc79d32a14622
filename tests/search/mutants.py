"""Each rule switched off, one at a time, from outside: the search has to notice.

A mutant replaces the one function or table that enforces its rule, for as long as its context
lasts. Nothing in the product knows about it. Some rules have several walls behind one another;
their mutants name each wall that has to fall.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from bridge.core import (
    admission,
    announcements,
    commands,
    control_codec,
    control_point,
    governor,
    holding,
    reactions,
    starting,
    steering,
    stopping,
    watch,
)
from bridge.core.messages import Reason, Verb

Patches = Callable[[ExitStack], None]


def _allow(_view: object) -> Reason | None:
    """A rule that forbids nothing."""
    return None


def _set(owner: object, name: str, value: object) -> Patches:
    def enter(stack: ExitStack) -> None:
        stack.enter_context(patch.object(owner, name, value))

    return enter


def _all(*parts: Patches) -> Patches:
    def enter(stack: ExitStack) -> None:
        for part in parts:
            part(stack)

    return enter


def _without(*names: str) -> Patches:
    """Take these rules out of the governor: by name, and from its ordered table."""

    def enter(stack: ExitStack) -> None:
        gone = {getattr(governor, name) for name in names}
        kept = tuple(_allow if rule in gone else rule for rule in governor.RISE_RULES)
        stack.enter_context(patch.object(governor, "RISE_RULES", kept))
        for name in names:
            stack.enter_context(patch.object(governor, name, _allow))

    return enter


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One rule switched off. ``scene`` is where its absence shows."""

    rule: str
    what: str
    enter: Patches
    scene: str = "plain"

    @contextmanager
    def alive(self) -> Iterator[None]:
        """While this lasts the rule is off."""
        with ExitStack() as stack:
            self.enter(stack)
            yield


# --- replacements --------------------------------------------------------------------------------


def _one_step_more(speed_kmh: float, speed_range: Any) -> bytes:
    return _ENCODE(speed_kmh + speed_range.step_speed_kmh, speed_range)


_ENCODE = control_codec.encode_set_target_speed


def _heard_when_said(self: Any, announcement_id: str) -> float | None:
    spoken = self.open.get(announcement_id)
    return None if spoken is None else spoken.said_at_s - 60.0


def _stop_like_others(self: Any, command: Any, *, at_rest: bool) -> Reason | None:
    return _REFUSE(self, replace(command, verb=Verb.PAUSE), at_rest=at_rest)


_REFUSE = admission.Admission.refuse


def _refuse_stops_only(self: Any, command: Any, *, at_rest: bool) -> Reason | None:
    return None


def _stop_once(deck: Any, halt: Any, now_s: float) -> None:
    if halt.stop_sent_at_s is None:
        _WRITE_STOP(deck, halt, now_s)


_WRITE_STOP = stopping._write_stop


def _nothing(*_: Any, **__: Any) -> None:
    """Does nothing."""


def _any_prompt(deck: Any, command: Any, now_s: float) -> Any:
    prompt = deck.prompts.open
    return _CONFIRM(deck, replace(command, prompt=prompt and prompt.id), now_s)


_CONFIRM = commands._VERBS[Verb.CONFIRM]


def _end_without_stopping(deck: Any, reason: str, now_s: float, **values: Any) -> None:
    if reason == stopping.FINISHED:
        stopping.end(deck, reason, now_s)
    else:
        _BEGIN(deck, reason, now_s, **values)


_BEGIN = stopping.begin


def _whole_wish(view: Any, wanted_kmh: float) -> float:
    return governor.reachable_kmh(wanted_kmh, view)


def _whole_permit(view: Any, permit: Any) -> float:
    return float(permit.speed_kmh)


# --- the mutants ---------------------------------------------------------------------------------

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        rule="S1",
        what="governor.belt_moves: a target may go to a belt at rest",
        enter=_without("belt_moves"),
    ),
    Mutant(
        rule="S2",
        what="governor.adoption_max_kmh: a belt of any speed is taken over",
        enter=_set(starting, "adoption_max_kmh", lambda level, speed_range: 99.0),
    ),
    Mutant(
        rule="S3",
        what="control_point: what is written is not what was cleared",
        enter=_set(control_point, "encode_set_target_speed", _one_step_more),
    ),
    Mutant(
        rule="S4",
        what="governor.level_max_kmh: no cap by direction and level",
        enter=_set(governor, "level_max_kmh", lambda level, direction: 99.0),
    ),
    Mutant(
        rule="S5",
        what="governor.ramp_kmh_per_s: the machine's own ramp",
        enter=_set(governor, "ramp_kmh_per_s", lambda view, up: 99.0),
    ),
    Mutant(
        rule="S5",
        what="governor.spaced: targets as often as anybody likes",
        enter=_set(governor, "spaced", lambda view: True),
    ),
    Mutant(
        rule="S6",
        what="announcements.delivered_at_s: said counts as heard",
        enter=_set(announcements.Announcements, "delivered_at_s", _heard_when_said),
    ),
    Mutant(
        rule="S7",
        what="admission.refuse: a stop passes the same door as the rest",
        enter=_set(admission.Admission, "refuse", _stop_like_others),
    ),
    Mutant(
        rule="S7",
        what="stopping: Stop is written once and never again",
        enter=_set(stopping, "_write_stop", _stop_once),
    ),
    Mutant(
        rule="S8",
        what="watch.told_target: a target of the console's goes unnoticed",
        enter=_set(watch.Watch, "told_target", _nothing),
    ),
    Mutant(
        rule="S9",
        what="reactions: a machine that stopped itself does not end the session",
        enter=_set(reactions, "_stopped_by_machine", _nothing),
    ),
    Mutant(
        rule="S10",
        what="governor.data_fresh: rises on old data",
        enter=_without("data_fresh"),
    ),
    Mutant(
        rule="S10",
        what="watch.stale: silence does not hold",
        enter=_set(watch.Watch, "stale", lambda self, belt, now_s: False),
    ),
    Mutant(
        rule="S11",
        what="holding.begin, control_point.drop: a lost link changes nothing",
        enter=_all(
            _set(holding, "begin", _nothing), _set(control_point.ControlPoint, "drop", _nothing)
        ),
    ),
    Mutant(
        rule="S12",
        what="governor.belt_follows: rises on a belt that does not follow",
        enter=_without("belt_follows"),
    ),
    Mutant(
        rule="S12",
        what="watch: a runaway goes unnoticed",
        enter=_set(watch.Watch, "look", _nothing),
    ),
    Mutant(
        rule="S13",
        what="commands: any confirmation answers any question",
        enter=_set(commands, "_VERBS", {**commands._VERBS, Verb.CONFIRM: _any_prompt}),
    ),
    Mutant(
        rule="S14",
        what="governor.speed_alone: faster while the incline moves",
        enter=_without("speed_alone"),
    ),
    Mutant(
        rule="S14",
        what="governor.incline_alone: steeper while the speed moves",
        enter=_all(
            _set(governor, "incline_alone", _allow),
            _set(governor, "FOLLOW_TOLERANCE_KMH", 9.0),
        ),
    ),
    Mutant(
        rule="S15",
        what="admission.may_raise: anybody may ask for more",
        enter=_set(admission.Admission, "may_raise", lambda self, source: True),
    ),
    Mutant(
        rule="S16",
        what="admission.refuse: everything passes",
        enter=_set(admission.Admission, "refuse", _refuse_stops_only),
    ),
    Mutant(
        rule="S17",
        what="governor.outcome_known: rises while nobody knows what the machine has",
        enter=_without("outcome_known"),
    ),
    Mutant(
        rule="S18",
        what="stopping.begin: a finished program leaves the belt running",
        enter=_set(stopping, "begin", _end_without_stopping),
    ),
    Mutant(
        rule="S20",
        what="governor.one_step, next_rise_kmh: straight to what is wished",
        enter=_all(
            _set(governor, "one_step", _whole_permit), _set(steering, "next_rise_kmh", _whole_wish)
        ),
    ),
    Mutant(
        rule="S21",
        what="governor.UNPROVEN_UNITS_MAX_KMH: unproven units are believed",
        enter=_set(governor, "UNPROVEN_UNITS_MAX_KMH", 99.0),
        scene="page",
    ),
)
"""No mutant for what is not searched: S19, S22 and S23 (`tests.search.rules`)."""
