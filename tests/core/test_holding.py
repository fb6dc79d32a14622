"""`core.holding`: the machine keeps its speed, the program stands still, a person decides."""

import pytest

from bridge.core import holding
from bridge.core.messages import (
    EventType,
    OpCode,
    Outcome,
    Phase,
    Reason,
    Source,
    Urgency,
    Verb,
)
from bridge.core.pilot import Pilot
from tests.core.conftest import Walking
from tests.virtual import Walk, program, settings, stretch

LONG = program(stretch("forward", 2.0, 600.0))


def at_two(walk: Walk) -> Walk:
    """The same walk at 2.0 km/h, its walker no longer answering by themselves."""
    walk.run_until(lambda each: each.state.speed_kmh == 2.0, 120)
    walk.answers = None
    return walk


def held(walk: Walk, speed_kmh: float = 1.2) -> Walk:
    """The same walk, held by the console at this speed and asked about going on."""
    walk.at_console(walk.server.console_speed, speed_kmh)
    walk.run_until(lambda each: each.state.prompt is not None, 30)
    return walk


def confirm(walk: Walk) -> None:
    """Answer the open question."""
    prompt = walk.state.prompt
    assert prompt is not None
    walk.ask(Verb.CONFIRM, prompt=prompt.id)


def test_the_question_comes_when_the_belt_keeps_its_speed(walking: Walking) -> None:
    """Not while the belt is on its way to the console's speed."""
    walk = at_two(walking(configured=LONG))
    walk.at_console(walk.server.console_speed, 0.5)
    while walk.server.belt.speed_kmh > 0.5:
        assert walk.state.prompt is None
        walk.step()
    walk.run_until(lambda each: each.state.prompt is not None, 6)


def test_a_second_touch_of_the_console_withdraws_the_question(walking: Walking) -> None:
    """The old id no longer answers; the new question is asked at the new speed."""
    walk = held(at_two(walking(configured=LONG)))
    first = walk.state.prompt
    assert first is not None
    walk.at_console(walk.server.console_speed, 2.4)
    walk.run_for(2.0)
    assert walk.ask(Verb.CONFIRM, prompt=first.id)[0].reason is Reason.PROMPT_MISMATCH
    walk.run_until(lambda each: each.state.prompt is not None, 20)
    confirm(walk)
    assert walk.event(EventType.RESUMED).data["speed_kmh"] == 2.4


def test_the_programs_clock_stands_still(walking: Walking) -> None:
    """A minute of holding takes no second from the segment."""
    walk = held(at_two(walking(configured=LONG)))
    before_s = walk.state.segment_remaining_s
    walk.run_for(60.0)
    assert walk.state.segment_remaining_s == before_s


def test_slower_passes_while_holding_and_is_held(walking: Walking) -> None:
    """One step below what the belt runs, not below what was cleared; then asked again."""
    walk = held(at_two(walking(configured=LONG)), 1.6)
    slower = walk.command(Verb.SLOW)
    since_s = walk.now_s
    walk.give(slower)
    walk.run_until(lambda each: each.state.speed_kmh == 1.4, 10)
    walk.run_until(lambda each: each.state.prompt is not None, 10)
    assert [target for at_s, target in walk.targets() if at_s >= since_s] == [1.5, 1.4]
    assert walk.final(slower.id) == (Outcome.CONFIRMED, None)
    confirm(walk)
    walk.run_for(60.0)
    assert walk.state.speed_kmh == 1.4, "what a person eased to outlasts the hold"
    walk.ask(Verb.RESUME, Source.PAGE)
    walk.run_until(lambda each: each.state.speed_kmh == 2.0, 60)


def test_an_earlier_wish_is_not_carried_on_against_the_console(walking: Walking) -> None:
    """On the way down to 1.0 the console sets 1.6: it stays, and the asker is told."""
    walk = at_two(walking(configured=LONG))
    wish = walk.command(Verb.SPEED, speed_kmh=0.5)
    walk.give(wish)
    walk.run_for(1.2)
    walk.at_console(walk.server.console_speed, 2.2)
    walk.run_for(0.2)
    assert walk.final(wish.id) == (Outcome.REJECTED, Reason.CONSOLE_OVERRIDE)
    since_s = walk.now_s
    walk.run_for(20.0)
    assert [each for each in walk.targets() if each[0] > since_s] == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"speed_kmh": 1.8}, Reason.CONSOLE_OVERRIDE),
        ({"incline_pct": 0.0}, Reason.CONSOLE_OVERRIDE),
    ],
)
def test_no_rise_and_no_incline_while_holding(
    walking: Walking, values: dict[str, float], reason: Reason
) -> None:
    """Measured against what the belt runs, not against what was cleared before the hold."""
    walk = held(at_two(walking(configured=LONG)))
    verb = Verb.SPEED if "speed_kmh" in values else Verb.INCLINE
    assert walk.ask(verb, Source.PAGE, **values)[0].reason is reason


def test_resume_confirms_a_hold_once_it_can_be_asked(walking: Walking) -> None:
    """Before the question it is refused with the reason of the hold."""
    walk = at_two(walking(configured=LONG))
    walk.at_console(walk.server.console_speed, 1.2)
    walk.run_for(0.2)
    assert walk.ask(Verb.RESUME)[0].reason is Reason.CONSOLE_OVERRIDE
    walk.run_until(lambda each: each.state.prompt is not None, 10)
    assert walk.ask(Verb.RESUME)[0].outcome is Outcome.CONFIRMED
    assert walk.state.phase is Phase.MOVING


def test_nobody_goes_on_without_data(walking: Walking) -> None:
    """The question is open and the machine falls silent: neither confirm nor resume passes."""
    walk = held(at_two(walking(configured=LONG)))
    walk.fault("silent:20")
    walk.run_for(6.0)
    prompt = walk.state.prompt
    assert prompt is not None
    assert walk.ask(Verb.CONFIRM, prompt=prompt.id)[0].reason is Reason.STALE_DATA
    assert walk.ask(Verb.RESUME)[0].reason is Reason.STALE_DATA
    walk.run_for(6.0)
    assert walk.state.problem is Reason.STALE_DATA
    assert walk.state.prompt is None
    assert walk.said[-1][1].urgency is Urgency.ALARM
    assert walk.types.count("stale") == 1
    walk.run_until(lambda each: each.state.prompt is not None, 30)
    confirm(walk)
    assert walk.state.phase is Phase.MOVING


def test_a_link_lost_while_holding_takes_the_question_back(walking: Walking) -> None:
    """Its time starts anew, and so does the question when the link is back."""
    walk = held(at_two(walking(configured=LONG)))
    walk.run_for(100.0)
    walk.disconnect()
    assert walk.state.prompt is None
    assert walk.ask(Verb.RESUME)[0].reason is Reason.LINK_DOWN
    walk.run_for(60.0)
    walk.connect()
    walk.run_until(lambda each: each.state.prompt is not None, 10)
    confirm(walk)
    assert walk.state.phase is Phase.MOVING


def test_a_belt_found_at_rest_after_a_lost_link_ends_the_session(walking: Walking) -> None:
    """S9, S11: nobody knows what happened; a person arms again."""
    walk = at_two(walking(configured=LONG))
    walk.disconnect()
    walk.server.belt.stop()
    walk.run_for(20.0)
    walk.connect()
    walk.run_for(1.5)
    assert walk.ask(Verb.RESUME)[0].reason is Reason.BELT_AT_REST
    walk.run_to(Phase.ENDED, 10)
    assert walk.event(EventType.SESSION_ENDED).data["reason"] == "link_down"


def test_control_lost_holds_and_is_asked_for_after_a_yes(walking: Walking) -> None:
    """Status 0xFF: nothing is taken back behind somebody's back."""
    walk = at_two(walking(configured=LONG))
    before = len(walk.writes)
    walk.fault("control-lost:0.5")
    walk.run_until(lambda each: each.state.prompt is not None, 10)
    walk.run_for(20.0)
    assert walk.state.problem is Reason.CONTROL_LOST
    assert len(walk.writes) == before
    confirm(walk)
    assert walk.writes[-1][1] == b"\x00"


def test_slower_takes_control_back_when_it_was_lost(walking: Walking) -> None:
    """S7: slower always passes, even if control has to be asked for first."""
    walk = at_two(walking(configured=LONG))
    walk.fault("control-lost:0.5")
    walk.run_until(lambda each: each.state.prompt is not None, 10)
    slower = walk.command(Verb.SPEED, speed_kmh=1.5)
    walk.give(slower)
    walk.run_for(8.0)
    assert walk.final(slower.id) == (Outcome.CONFIRMED, None)


def test_a_hold_in_a_turn_goes_on_with_the_turn(walking: Walking) -> None:
    """Released into slowing down and asking again."""
    made = program(
        stretch("forward", 1.5, 40.0), stretch("turn", 1.0, 45.0), stretch("backward", 1.0, 60.0)
    )
    walk = walking(configured=made)
    walk.run_until(lambda each: "turn_requested" in each.types, 120)
    walk.at_console(walk.server.console_speed, 1.6)
    walk.run_to(Phase.HOLDING, 5)
    walk.run_until(lambda each: each.types.count("turn_requested") == 2, 60)
    assert walk.state.phase is Phase.TURNING
    walk.run_to(Phase.MOVING, 60)


def test_a_lost_link_while_halting_for_a_turn_holds(walking: Walking) -> None:
    """S11: what was being stopped for a turn is looked at anew, not carried on."""
    made = program(
        stretch("forward", 1.0, 40.0),
        stretch("turn", 1.0, 45.0),
        stretch("backward", 1.0, 60.0),
        level="CARE",
    )
    walk = walking("CARE", configured=made)
    walk.server.belt.spec = walk.server.belt.spec.__class__(deceleration_kmh_per_s=0.1)
    walk.run_until(lambda each: bool(each.sent(OpCode.STOP_OR_PAUSE)), 120)
    walk.disconnect()
    assert walk.state.phase is Phase.HOLDING
    walk.run_for(20.0)
    walk.connect()
    walk.run_to(Phase.ENDED, 10)


def test_a_machine_that_refuses_to_slow_down_is_held(walking: Walking) -> None:
    """The program goes on to 1.0 and hears No: the walker is told and asked."""
    made = program(stretch("forward", 2.0, 60.0), stretch("forward", 1.0, 60.0))
    walk = at_two(walking(configured=made))
    walk.fault("result:3")
    walk.run_to(Phase.HOLDING, 60)
    assert walk.state.problem is Reason.REFUSED_BY_MACHINE
    assert walk.types.count("refused") == 1
    assert any(text.startswith("The treadmill said no") for text in walk.phrases())


def test_a_refused_slower_while_holding_is_given_up(walking: Walking) -> None:
    """One No, one answer, and no second try."""
    walk = held(at_two(walking(configured=LONG)), 1.6)
    walk.fault("result:3")
    slower = walk.command(Verb.SLOW)
    walk.give(slower)
    walk.run_for(10.0)
    assert walk.final(slower.id) == (Outcome.REJECTED, Reason.REFUSED_BY_MACHINE)
    assert walk.types.count("refused") == 1


def test_only_a_session_can_hold() -> None:
    """Idle: nothing is said and nothing changes."""
    deck = Pilot(settings()).deck
    holding.begin(deck, Reason.STALE_DATA, 5.0)
    assert deck.out == []
    assert deck.problem is None


def test_an_unanswered_hold_ends_with_the_belt_at_rest(walking: Walking) -> None:
    """S18: two minutes after the question, down from the speed that the belt runs."""
    walk = held(at_two(walking(configured=LONG)))
    asked_s = walk.now_s
    walk.run_to(Phase.ENDED, 180)
    assert 120.0 <= walk.event(EventType.STOP_REQUESTED).at_s - asked_s <= 121.0
    assert walk.event(EventType.SESSION_ENDED).data["reason"] == "not_confirmed"


@pytest.mark.parametrize(("link", "reason"), [(True, "stale_data"), (False, "link_down")])
def test_a_hold_in_which_nothing_can_be_asked_ends_too(
    walking: Walking,
    link: bool,
    reason: str,
) -> None:
    """Two minutes of silence: Stop at once. Two minutes without a link: the end, with no claim."""
    walk = at_two(walking(configured=LONG))
    if link:
        walk.fault("silent:300")
    else:
        walk.disconnect()
    walk.run_for(135.0)
    if link:
        assert walk.event(EventType.STOP_REQUESTED).data["reason"] == reason
        assert walk.writes[-1][1] == b"\x08\x01"
    else:
        assert walk.event(EventType.SESSION_ENDED).data["reason"] == reason
