"""`core.steering`: what a program wants, what is said before, what is handed out."""

from dataclasses import replace

import pytest

from bridge.core.messages import (
    EventType,
    Outcome,
    Phase,
    Reason,
    Source,
    Verb,
    VoicesListening,
    Walker,
)
from bridge.profiles import load_language, load_levels
from bridge.simulator.belt import BeltSpec
from tests.core.conftest import Walking
from tests.virtual import Walk, program, stretch


def at(walk: Walk, speed_kmh: float) -> Walk:
    """The same walk, once the belt runs this."""
    walk.run_until(lambda each: each.state.speed_kmh == speed_kmh, 300)
    return walk


def said_at(walk: Walk, text: str) -> list[float]:
    """When this was said."""
    return [at_s for at_s, each in walk.said if each.text == text]


def test_segments_follow_one_another(walking: Walking) -> None:
    """Each begins when the one before is over, and says how."""
    made = program(stretch("forward", 1.0, 40.0), stretch("forward", 1.5, 40.0))
    walk = walking(configured=made)
    walk.run_to(Phase.ENDED, 200)
    begun = [each for each in walk.events if each.type is EventType.SEGMENT_STARTED]
    assert [each.data["segment"] for each in begun] == [1, 2]
    assert begun[1].at_s - begun[0].at_s == pytest.approx(40.0, abs=1.5)
    assert begun[1].data == {
        "segment": 2,
        "direction": "forward",
        "speed_kmh": 1.5,
        "incline_pct": 0.0,
        "duration_s": 40.0,
    }


def test_a_rise_is_announced_before_its_segment(walking: Walking) -> None:
    """The warning time is over when the segment begins, and the rise leaves with it."""
    made = program(stretch("forward", 1.0, 60.0), stretch("forward", 1.5, 60.0))
    walk = at(walking(configured=made), 1.0)
    since_s = walk.now_s
    walk.run_until(lambda each: len(each.targets()) > 5, 120)
    began_s = walk.event(EventType.SEGMENT_STARTED).at_s
    (cue_s,) = said_at(walk, "In 10 seconds, faster: 1 point 5.")
    first_s = min(at_s for at_s, _ in walk.targets() if at_s > since_s)
    assert cue_s + 12.0 <= began_s <= first_s <= began_s + 2.0


def test_one_target_changed_and_one_speed_reached_for_each_goal(walking: Walking) -> None:
    """Not one for every tenth."""
    made = program(stretch("forward", 2.0, 60.0), stretch("forward", 1.0, 60.0))
    walk = walking(configured=made)
    walk.run_for(110.0)
    changed = [each.data for each in walk.events if each.type is EventType.TARGET_CHANGED]
    assert [(each["from_kmh"], each["target_speed_kmh"]) for each in changed] == [
        (0.5, 2.0),
        (2.0, 1.0),
    ]
    assert walk.types.count("speed_reached") == 2


def test_a_program_that_only_gets_slower_says_so_in_time(walking: Walking) -> None:
    """With the lead that is said, and only once."""
    made = program(stretch("forward", 2.0, 60.0), stretch("forward", 1.0, 60.0))
    walk = at(walking(configured=made), 2.0)
    at(walk, 1.9)
    (cue_s,) = said_at(walk, "In 6 seconds, slower: 1.")
    assert 8.0 <= walk.now_s - cue_s <= 12.0
    walk.run_for(30.0)
    assert sum("slower" in text for text in walk.phrases()) == 1


def test_a_slope_is_announced_up_and_down(walking: Walking) -> None:
    """Up before it rises, down before it falls."""
    made = program(
        stretch("forward", 1.0, 60.0), stretch("forward", 1.0, 60.0, 2.0), stretch("forward", 1.0)
    )
    walk = walking(configured=made)
    walk.run_to(Phase.ENDED, 300)
    up = said_at(walk, "In 10 seconds, the slope goes up to 2 percent.")
    down = said_at(walk, "In 6 seconds, the slope goes down to 0 percent.")
    assert len(up) == len(down) == 1
    assert up < down


def test_slower_and_steeper_at_once_is_slower_first(walking: Walking) -> None:
    """Both are announced; the speed has come down before the slope begins to rise (S14)."""
    made = program(stretch("forward", 2.0, 90.0), stretch("forward", 1.5, 90.0, 2.0))
    walk = at(walking(configured=made), 2.0)
    walk.run_until(lambda each: each.server.belt.incline_pct > 0, 120)
    assert walk.server.belt.speed_kmh == 1.5
    assert said_at(walk, "In 6 seconds, slower: 1 point 5.") != []
    assert sum("slower" in text for text in walk.phrases()) == 1


def test_nobody_is_sped_up_on_the_way_to_a_turn(walking: Walking) -> None:
    """A rise that is under way when the turn is announced stays where it is."""
    made = program(
        stretch("backward", 2.4, 55.0), stretch("turn", 1.0, 45.0), stretch("forward", 1.0, 60.0)
    )
    walk = walking(configured=made)
    walk.run_to(Phase.TURNING, 120)
    (turn_s,) = said_at(walk, "In 6 seconds, slowing down for a turn.")
    speeds = [target for at_s, target in walk.targets() if at_s >= turn_s and at_s < walk.now_s]
    assert speeds == sorted(speeds, reverse=True)


def test_a_rise_still_pending_is_not_announced_over(walking: Walking) -> None:
    """The belt is slow to follow: the next segment's rise waits for the present one's."""
    made = program(stretch("forward", 2.0, 30.0), stretch("forward", 3.0, 120.0))
    walk = walking(configured=made, spec=BeltSpec(acceleration_kmh_per_s=0.14))
    at(walk, 3.0)
    assert said_at(walk, "In 10 seconds, faster: 2.") < said_at(walk, "In 10 seconds, faster: 3.")


def test_an_eased_walker_is_not_sped_up_by_the_next_segment(walking: Walking) -> None:
    """What a person eased to is a ceiling until they take it back, for speed and slope."""
    made = program(
        stretch("forward", 2.0, 120.0, 2.0),
        stretch("forward", 2.2, 200.0, 3.0),
        stretch("forward", 1.0, 60.0),
    )
    walk = at(walking(configured=made), 2.0)
    walk.ask(Verb.SPEED, speed_kmh=1.5)
    walk.ask(Verb.INCLINE, incline_pct=1.0)
    walk.run_until(lambda each: each.state.segment == 2, 120)
    walk.run_for(40.0)
    assert (walk.state.speed_kmh, walk.state.incline_pct) == (1.5, 1.0)
    walk.ask(Verb.RESUME, Source.PAGE)
    at(walk, 2.2)
    assert walk.state.incline_pct == 3.0


def test_a_voice_that_comes_late_lifts_the_problem(walking: Walking) -> None:
    """no_voice is shown while a rise waits for one, and not when none is wanted any more."""
    made = program(stretch("forward", 2.0, 40.0), stretch("forward", 0.5, 60.0))
    walk = walking(configured=made)
    walk.give(VoicesListening(channels=frozenset()))
    walk.run_for(20.0)
    assert walk.state.problem is Reason.NO_VOICE
    walk.run_until(lambda each: each.state.segment == 2, 60)
    assert walk.state.problem is None


def test_an_unheard_rise_refuses_the_wish_that_wanted_it(walking: Walking) -> None:
    """not_delivered, promptly; asked again, it is announced again."""
    walk = at(walking(configured=program(stretch("forward", 2.0, 600.0))), 2.0)
    walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.0)
    at(walk, 1.0)
    walk.hears = None
    wish = walk.command(Verb.SPEED, Source.PAGE, speed_kmh=2.0)
    walk.give(wish)
    walk.run_for(20.0)
    assert walk.final(wish.id) == (Outcome.REJECTED, Reason.NOT_DELIVERED)
    walk.hears = 1.0
    again = walk.command(Verb.SPEED, Source.PAGE, speed_kmh=2.0)
    walk.give(again)
    at(walk, 2.0)
    walk.run_for(1.0)
    assert walk.final(again.id) == (Outcome.CONFIRMED, None)


def test_the_last_stretch_is_announced_to_its_end(walking: Walking) -> None:
    """Six seconds before, and when it is over."""
    walk = walking(configured=program(stretch("forward", 1.0, 60.0)))
    walk.run_to(Phase.ENDED, 120)
    (cue_s,) = said_at(walk, "In 6 seconds, the belt slows down and stops.")
    stop = walk.event(EventType.STOP_REQUESTED)
    assert 8.0 <= stop.at_s - cue_s <= 11.0
    assert stop.data["reason"] == "finished"
    assert any(text.startswith("Well done") for text in walk.phrases())


def test_what_comes_next(walking: Walking) -> None:
    """For dashboards: the next segment, in the last one the end, and nothing without a session."""
    made = program(stretch("forward", 1.0, 30.0), stretch("forward", 1.5, 30.0, 1.0))
    walk = walking(configured=made)
    coming = walk.state.next_change
    assert coming is not None
    assert (coming.speed_kmh, coming.incline_pct) == (1.5, 1.0)
    assert coming.in_s == walk.state.segment_remaining_s
    walk.run_until(lambda each: each.state.segment == 2, 60)
    last = walk.state.next_change
    assert last is not None
    assert last.speed_kmh == 0.0
    walk.run_to(Phase.STOPPING, 60)
    assert walk.state.next_change is None
    walk.run_to(Phase.ENDED, 60)
    assert walk.state.next_change is None


def test_a_turn_on_the_way(walking: Walking) -> None:
    """Confirmed, its least time over, and what comes next announced during it."""
    made = program(
        stretch("forward", 1.0, 30.0), stretch("turn", 1.0, 40.0), stretch("forward", 1.5, 60.0)
    )
    walk = walking(configured=made)
    walk.run_until(lambda each: each.state.segment == 3, 120)
    (cue_s,) = said_at(walk, "In 10 seconds, faster: 1 point 5.")
    assert cue_s < walk.now_s - 10.0


def test_the_cue_of_a_stretch_is_spoken_when_it_begins(walking: Walking) -> None:
    """Not that of a turn, which has its own words, and not one that the language does not know."""
    cued = [
        replace(stretch("forward", 1.0, 30.0), cues=("F1", "B1")),
        replace(stretch("turn", 1.0, 20.0), cues=("T1",)),
        replace(stretch("backward", 1.0, 30.0), cues=("unknown",)),
    ]
    walk = walking(configured=program(*cued))
    walk.run_to(Phase.ENDED, 200)
    cues = load_language("en").cues
    assert [text for text in walk.phrases() if text in cues.values()] == [cues["F1"]]


def test_no_rise_is_announced_that_could_not_be_made(walking: Walking) -> None:
    """Without control over the machine nothing is promised."""
    walk = walking(configured=program(stretch("forward", 2.0, 60.0)), faults=("no-indication",))
    walk.run_for(30.0)
    assert not any("faster" in text for text in walk.phrases())


def test_a_voice_that_comes_back_is_used_at_once(walking: Walking) -> None:
    """no_voice is over with the first announcement."""
    walk = walking(configured=program(stretch("forward", 2.0, 200.0)))
    walk.give(VoicesListening(channels=frozenset()))
    walk.run_for(10.0)
    assert walk.state.problem is Reason.NO_VOICE
    walk.give(VoicesListening(channels=frozenset({"mqtt"})))
    at(walk, 2.0)
    assert walk.state.problem is None


def test_a_heart_above_its_limit_eases_the_belt(walking: Walking) -> None:
    """S22: one step of the level, said, and again after 20 s."""
    walker = Walker(id="me", level=load_levels()["L0"], accepted_safety=1, heart_limit_bpm=120)
    made = {**program(stretch("forward", 2.0, 600.0)), "walkers": {"me": walker}}
    walk = at(walking(configured=made), 2.0)
    walk.server.heart_rate_bpm = 140
    walk.run_for(15.0)
    assert walk.state.speed_kmh == 1.8
    assert walk.state.problem is Reason.HEART_RATE
    walk.run_for(20.0)
    assert walk.state.speed_kmh == 1.6
    assert sum(text.startswith("Your heart rate") for text in walk.phrases()) == 2
