"""`core.turning`: slow, ask, wait for the person, go on (S13)."""

import pytest

from bridge.core import turning
from bridge.core.deck import TurnStep
from bridge.core.messages import (
    EventType,
    OpCode,
    Outcome,
    Phase,
    Reason,
    Source,
    Verb,
)
from bridge.core.turning import TURN_TRANSITIONS
from bridge.simulator.belt import BeltSpec
from bridge.simulator.machine import stopped_by_user
from tests.core.conftest import Walking
from tests.virtual import Walk, program, stretch

TURN = program(
    stretch("forward", 1.5, 40.0), stretch("turn", 1.0, 45.0), stretch("backward", 1.0, 60.0)
)
CARE = program(
    stretch("forward", 1.0, 40.0),
    stretch("turn", 1.0, 45.0),
    stretch("backward", 1.0, 60.0),
    level="CARE",
)
HILL = program(
    stretch("forward", 1.0, 60.0, 2.0), stretch("turn", 1.0, 45.0), stretch("backward", 1.0, 60.0)
)


def asked(walk: Walk) -> Walk:
    """The same walk, once the turn's question is open."""
    walk.run_until(lambda each: "turn_requested" in each.types, 200)
    return walk


def test_every_step_of_a_turn_is_in_the_table() -> None:
    """Each step but the last leads on, and each can be come to."""
    assert {step for step, _ in TURN_TRANSITIONS} == set(TurnStep) - {TurnStep.CONFIRMED}
    assert set(TURN_TRANSITIONS.values()) == set(TurnStep)


def test_a_turn_lasts_at_least_its_time(walking: Walking) -> None:
    """Confirmed after 6 s; the 45 s of the segment pass before the next one begins."""
    walk = asked(walking(configured=TURN))
    began_s = walk.event(EventType.SEGMENT_STARTED).at_s
    assert walk.state.direction == "turn"
    walk.run_to(Phase.MOVING, 60)
    assert walk.now_s - began_s == pytest.approx(45.0, abs=0.5)
    assert "Turn to walk backward, step on" in " ".join(walk.phrases())


def test_a_turn_takes_as_long_as_the_person_needs(walking: Walking) -> None:
    """Answered after 55 s: the session goes on at once."""
    walk = walking(configured=TURN)
    walk.answers = 55.0
    asked(walk)
    walk.run_until(lambda each: "turn_confirmed" in each.types, 60)
    walk.run_for(0.5)
    assert walk.state.phase is Phase.MOVING


def test_the_slope_is_gone_before_the_question(walking: Walking) -> None:
    """S14: speed first, then the incline; asked only when both are measured."""
    walk = asked(walking(configured=HILL))
    assert walk.server.belt.incline_pct < 0.05
    assert walk.targets()[-1][1] == 1.0


def test_an_unsure_walker_can_slow_down_while_asked(walking: Walking) -> None:
    """S7: slower always passes, with the question open and after its answer."""
    walk = walking(configured=TURN)
    walk.run_for(20.0)
    walk.answers = None
    asked(walk)
    slower = walk.command(Verb.SLOW)
    walk.give(slower)
    walk.run_until(lambda each: each.server.belt.speed_kmh == 0.8, 10)
    walk.run_for(1.5)
    assert walk.final(slower.id) == (Outcome.CONFIRMED, None)
    prompt = walk.state.prompt
    assert prompt is not None
    walk.ask(Verb.CONFIRM, prompt=prompt.id)
    again = walk.command(Verb.SPEED, speed_kmh=0.5)
    walk.give(again)
    walk.run_for(6.0)
    assert walk.final(again.id) == (Outcome.CONFIRMED, None)
    assert walk.state.phase is Phase.TURNING


def test_a_turn_at_rest_needs_confirmation_and_start(walking: Walking) -> None:
    """CARE: at rest, asked with the helper's words, confirmed, and then the console's Start."""
    walk = walking("CARE", configured=CARE)
    walk.presses_start = None
    asked(walk)
    assert walk.writes[-1][1] == b"\x08\x01"
    assert "with somebody beside you" in walk.said[-1][1].text
    walk.run_until(lambda each: "turn_confirmed" in each.types, 20)
    assert walk.said[-1][1].text.endswith("press Start on the treadmill.")
    walk.run_for(30.0)
    assert walk.state.phase is Phase.TURNING
    walk.at_console(walk.server.press_start)
    walk.run_to(Phase.MOVING, 60)
    assert walk.sent(OpCode.START_OR_RESUME) == []


def test_a_confirmed_turn_at_rest_does_not_wait_for_ever(walking: Walking) -> None:
    """Nobody presses Start for two minutes: the session ends, at rest."""
    walk = walking("CARE", configured=CARE)
    walk.presses_start = None
    asked(walk)
    walk.run_to(Phase.ENDED, 150)
    assert walk.event(EventType.SESSION_ENDED).data["reason"] == "not_started"


def test_a_belt_started_too_fast_after_a_turn_is_stopped(walking: Walking) -> None:
    """S13, S12: not adopted, and a runaway."""
    walk = walking("CARE", configured=CARE)
    walk.presses_start = None
    asked(walk)
    walk.run_until(lambda each: "turn_confirmed" in each.types, 20)
    walk.server.belt.start(3.0, at_console=True)
    walk.run_to(Phase.ENDED, 40)
    assert "runaway" in walk.types


def test_a_belt_started_before_the_answer_waits_for_it(walking: Walking) -> None:
    """Start first, confirmation later: the belt is taken over then, and no sooner."""
    walk = walking("CARE", configured=CARE)
    walk.answers = None
    asked(walk)
    walk.at_console(walk.server.press_start)
    walk.run_for(8.0)
    assert walk.state.phase is Phase.TURNING
    prompt = walk.state.prompt
    assert prompt is not None
    walk.ask(Verb.CONFIRM, prompt=prompt.id)
    walk.run_to(Phase.MOVING, 60)


@pytest.mark.parametrize("verb", [Verb.STOP, Verb.PAUSE])
def test_stop_and_pause_while_the_belt_halts_for_a_turn(walking: Walking, verb: Verb) -> None:
    """The more urgent goal is taken: the turn is not asked any more."""
    spec = BeltSpec(min_speed_kmh=1.5, deceleration_kmh_per_s=0.2)
    walk = walking(configured=TURN, spec=spec)
    walk.run_until(lambda each: bool(each.sent(OpCode.STOP_OR_PAUSE)), 120)
    command = walk.command(verb, Source.PAGE)
    walk.give(command)
    goal = Phase.ENDED if verb is Verb.STOP else Phase.PAUSED
    walk.run_to(goal, 30)
    assert walk.final(command.id) == (Outcome.CONFIRMED, None)
    assert "turn_requested" not in walk.types
    assert "stop_requested" in walk.types


def test_a_turn_at_rest_keeps_still_when_the_machine_says_nothing(walking: Walking) -> None:
    """Some machines send no records at rest (T318): that is no reason to hold."""
    walk = walking("CARE", configured=CARE)
    walk.answers = 30.0
    asked(walk)
    walk.fault("silent:20")
    walk.run_for(15.0)
    assert walk.state.phase is Phase.TURNING
    walk.run_to(Phase.MOVING, 90)


def test_a_late_echo_of_our_own_stop_does_not_end_the_session(walking: Walking) -> None:
    """The machine tells the stop only when the belt has come to rest, or control is lost there."""
    walk = walking("CARE", configured=CARE)
    walk.answers = 30.0
    asked(walk)
    walk.server.belt.stop()
    walk.server.tell(stopped_by_user("stop"))
    walk.run_for(1.0)
    walk.fault("control-lost:0")
    walk.run_for(5.0)
    assert walk.state.phase is Phase.TURNING
    walk.run_to(Phase.MOVING, 90)


def test_a_turn_can_be_the_end_of_a_program(walking: Walking) -> None:
    """Said as the end is, and brought to rest."""
    walk = walking(configured=program(stretch("forward", 1.0, 40.0), stretch("turn", 1.0, 30.0)))
    walk.run_to(Phase.ENDED, 120)
    assert "Turn to walk forward" in " ".join(walk.phrases())
    assert walk.event(EventType.SESSION_ENDED).data["segments_done"] == 2


def test_a_program_may_begin_with_a_turn(walking: Walking) -> None:
    """The question comes first, at the speed of the start; backward only after its answer."""
    made = program(stretch("turn", 1.0, 20.0), stretch("backward", 1.0, 40.0))
    walk = walking(configured=made)
    walk.run_until(lambda each: each.state.segment == 2, 60)
    types = [each for each in walk.types if each != "announced"]
    assert types.index("turn_requested") < types.index("turn_confirmed")
    assert [each.type for each in walk.events if each.data.get("segment") == 2] != []


def test_a_rise_asked_before_a_turn_is_superseded_by_it(walking: Walking) -> None:
    """A wish that the turn makes impossible is answered when the turn begins."""
    walk = walking(configured=TURN)
    walk.run_until(lambda each: each.state.speed_kmh == 1.5, 60)
    walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=0.8)
    walk.run_until(lambda each: each.state.speed_kmh == 0.8, 60)
    wish = walk.command(Verb.SPEED, Source.PAGE, speed_kmh=1.5)
    walk.give(wish)
    walk.run_to(Phase.TURNING, 120)
    assert walk.final(wish.id) == (Outcome.REJECTED, Reason.SUPERSEDED)


def test_a_turn_at_rest_slows_down_to_walking_first(walking: Walking) -> None:
    """CARE at 2.0: down the ramp to 1.0, and only then is the belt brought to rest."""
    made = program(
        stretch("forward", 2.0, 60.0),
        stretch("turn", 1.0, 45.0),
        stretch("backward", 1.0, 60.0),
        level="CARE",
    )
    walk = asked(walking("CARE", configured=made))
    down = [target for _, target in walk.targets()]
    assert down[-16:] == [round(2.0 - 0.1 * step, 1) for step in range(16)]


def test_a_belt_that_moves_on_after_its_rest_is_slowed_again(walking: Walking) -> None:
    """CARE: it stood as far as anybody saw, and before the question it moves: from the start."""
    walk = walking("CARE", configured=CARE)
    walk.run_until(lambda each: bool(each.sent(OpCode.STOP_OR_PAUSE)), 120)
    deck = walk.pilot.deck
    walk.run_until(lambda _: deck.belt.at_rest, 10)
    deck.halt, deck.turn = None, TurnStep.HALTING
    deck.belt.measured_speed_kmh = 0.5
    turning.step(deck, walk.now_s)
    assert deck.turn is TurnStep.SLOWING
    deck.belt.measured_speed_kmh = 0.0
    asked(walk)


def test_a_belt_that_does_not_slow_down_for_a_turn_is_stopped(walking: Walking) -> None:
    """S12: the slope stays, the question cannot be asked, and nobody waits for ever."""
    walk = walking(configured=HILL)
    walk.run_until(lambda each: each.state.incline_pct == 2.0, 120)
    walk.fault("ignores-incline")
    walk.run_to(Phase.ENDED, 300)
    assert walk.event(EventType.SESSION_ENDED).data["reason"] == "not_following"


def test_a_slope_made_at_the_console_while_the_belt_halts_ends_the_walk(walking: Walking) -> None:
    """S14: nobody is asked to turn on a slope; it was level before the Stop, so a hand did this."""
    walk = walking("CARE", configured=CARE)
    walk.arm()
    walk.run_until(lambda each: each.pilot.deck.turn is TurnStep.SLOWING, 200)
    walk.run_until(lambda each: bool(each.sent(OpCode.STOP_OR_PAUSE)), 60)
    walk.at_console(walk.server.console_incline, 4.0)
    walk.run_to(Phase.ENDED, 30)
    assert "turn_requested" not in walk.types
    assert walk.event(EventType.SESSION_ENDED).data["reason"] == Reason.CONSOLE_OVERRIDE.value
