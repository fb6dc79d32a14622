"""`core.deck`: the rooms of one treadmill, and the ways out."""

from bridge.core.deck import TARGETS, Deck, Halt, HaltGoal, OpenCommand, TurnStep
from bridge.core.messages import (
    Announcement,
    CommandResult,
    Direction,
    EventType,
    Outcome,
    Phase,
    Reason,
    SessionEvent,
    Urgency,
    Verb,
    Walker,
)
from bridge.core.pilot import Pilot
from bridge.core.program import ProgramRun
from bridge.core.prompts import PromptKind
from bridge.profiles import load_levels
from tests.virtual import program, settings, stretch


def deck() -> Deck:
    """The deck of a new pilot."""
    return Pilot(settings("L0", **program(stretch("forward", 2.0, 60.0)))).deck


def started(made: Deck) -> Deck:
    """The same deck with a program under way and a belt at 2.0 km/h."""
    who = made.settings.walkers["me"]
    made.run = ProgramRun(program=made.settings.programs["made"], walker=who)
    made.belt.link_up = made.belt.control_held = True
    made.belt.measured_speed_kmh, made.belt.measured_at_s = 2.0, 99.5
    made.drive.adopt(made.belt, 99.5)
    return made


def test_what_leaves_is_in_order() -> None:
    """An event, an announcement, a question and a result."""
    made = deck()
    made.event(EventType.ARMED, 5.0, program="made")
    made.say("announce.fall", 5.0, urgency=Urgency.WARN, values={"lead_s": 6.0, "speed_kmh": 1.5})
    prompt = made.ask(PromptKind.TETHER, "prompt.tether", 5.0)
    made.result("c1", Verb.ARM, Outcome.CONFIRMED)
    event, said, asked, result = made.out
    assert isinstance(event, SessionEvent)
    assert (event.session, event.at_s, event.data) == (None, 5.0, {"program": "made"})
    assert isinstance(said, Announcement)
    assert said.text == "In 6 seconds, slower: 1 point 5."
    assert isinstance(asked, Announcement)
    assert asked.text == prompt.text
    assert result == CommandResult(id="c1", verb=Verb.ARM, outcome=Outcome.CONFIRMED)


def test_closing_answers_the_commands_of_these_verbs_and_no_others() -> None:
    """Each once; the rest stay open."""
    made = deck()
    made.commands = [
        OpenCommand(id="a", verb=Verb.SPEED, gives_up_at_s=9.0, reaches_kmh=1.0),
        OpenCommand(id="b", verb=Verb.STOP, gives_up_at_s=9.0),
        OpenCommand(id="c", verb=Verb.INCLINE, gives_up_at_s=9.0, reaches_pct=1.0),
    ]
    made.close(TARGETS, Outcome.REJECTED, Reason.SUPERSEDED)
    assert [each.id for each in made.commands] == ["b"]
    assert [each.id for each in made.out if isinstance(each, CommandResult)] == ["a", "c"]
    made.close(TARGETS, Outcome.REJECTED, Reason.SUPERSEDED)
    assert len(made.out) == 2


def test_closing_above_leaves_what_can_be_reached() -> None:
    """At the limit it stays; a start has a speed too, and is not a target."""
    made = deck()
    made.commands = [
        OpenCommand(id="a", verb=Verb.SPEED, gives_up_at_s=9.0, reaches_kmh=1.5),
        OpenCommand(id="b", verb=Verb.SPEED, gives_up_at_s=9.0, reaches_kmh=1.6),
        OpenCommand(id="c", verb=Verb.INCLINE, gives_up_at_s=9.0, reaches_pct=2.0),
        OpenCommand(id="d", verb=Verb.INCLINE, gives_up_at_s=9.0, reaches_pct=2.5),
        OpenCommand(id="e", verb=Verb.START, gives_up_at_s=9.0, reaches_kmh=1.8),
    ]
    made.close_above(1.5, 2.0, Reason.NOT_DELIVERED)
    assert [each.id for each in made.commands] == ["a", "c", "e"]
    refused = [each for each in made.out if isinstance(each, CommandResult)]
    assert [(each.id, each.outcome, each.reason) for each in refused] == [
        ("b", Outcome.REJECTED, Reason.NOT_DELIVERED),
        ("d", Outcome.REJECTED, Reason.NOT_DELIVERED),
    ]


def test_a_goal_is_on_the_record_once() -> None:
    """target_changed at the first step towards it, not at every step; nothing when refused."""
    made = started(deck())
    made.drive_towards(1.0, 0.0, 101.0)
    made.drive_towards(1.0, 0.0, 101.1)
    made.control_point.next_write(101.2)
    made.control_point.outstanding = None
    made.drive_towards(1.0, 0.0, 102.0)
    events = [each for each in made.out if isinstance(each, SessionEvent)]
    assert [each.type for each in events] == [EventType.TARGET_CHANGED]
    assert events[0].data["target_speed_kmh"] == 1.0
    assert made.drive.cleared_speed_kmh == 1.7


def test_who_walks_and_which_way() -> None:
    """The configured walker until one is armed; a free belt counts as backward."""
    made = deck()
    assert made.direction is Direction.BACKWARD
    assert made.who.id == "me"
    made.walker = Walker(id="guest", level=load_levels()["CARE"])
    assert made.who.id == "guest"
    assert started(made).direction is Direction.FORWARD


def test_a_belt_at_rest_for_a_turn() -> None:
    """While it halts, waits for Start, or is asked about at rest; not while it is asked moving."""
    made = deck()
    resting = set()
    for step in (None, *TurnStep):
        made.turn = step
        if made.rests_for_turn:
            resting.add(step)
    assert resting == {TurnStep.HALTING, TurnStep.ASKED, TurnStep.AWAITING_START}
    made.turn = TurnStep.ASKED
    made.drive.cleared_speed_kmh = 1.0
    assert made.rests_for_turn is False


def test_whose_start_is_awaited() -> None:
    """Armed with the tether confirmed, paused, or after a turn at rest."""
    made = deck()
    made.session.phase = Phase.ARMED
    seen = [made.awaits_start]
    made.tether_confirmed = True
    seen.append(made.awaits_start)
    made.session.phase = Phase.TURNING
    seen.append(made.awaits_start)
    made.turn = TurnStep.AWAITING_START
    seen.append(made.awaits_start)
    assert seen == [False, True, False, True]


def test_what_the_governor_sees() -> None:
    """The session's own numbers; another direction when asked for."""
    made = started(deck())
    view = made.view(100.0)
    assert view.armed
    assert view.fresh
    assert (view.direction, view.cleared_speed_kmh) == (Direction.FORWARD, 2.0)
    assert view.proven_kmh == 4.0
    assert made.view(100.0, direction=Direction.BACKWARD).proven_kmh == 1.0
    assert not view.urgent


def test_the_first_step_of_a_halt_is_urgent() -> None:
    """Unless one has left since it began, or one down is under way already."""
    made = started(deck())
    made.drive.written_at_s = 99.0
    made.halt = Halt(goal=HaltGoal.END, reason="stop", began_at_s=100.0)
    assert made.view(100.0).urgent
    made.drive.watch.lowered_from_kmh = 2.0
    assert not made.view(100.0).urgent
    made.drive.watch.lowered_from_kmh = None
    made.drive.written_at_s = 100.0
    assert not made.view(100.0).urgent
