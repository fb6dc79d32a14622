"""`core.commands`: what may be asked, and the one final answer that each command gets."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.messages import (
    EventType,
    Machine,
    Outcome,
    Phase,
    Reason,
    Source,
    Verb,
    VoicesListening,
    Walker,
)
from bridge.profiles import load_levels
from bridge.simulator.belt import BeltSpec
from tests.core.conftest import Walking
from tests.virtual import Walk, program, stretch

LEVELS = load_levels()
LONG = program(stretch("forward", 2.0, 600.0))
HILL = program(stretch("forward", 1.0, 600.0, 3.0))
TURN = program(
    stretch("forward", 1.0, 30.0), stretch("turn", 1.0, 45.0), stretch("backward", 1.0, 60.0)
)


def at(walk: Walk, speed_kmh: float) -> Walk:
    """The same walk, once the belt runs this."""
    walk.run_until(lambda each: each.state.speed_kmh == speed_kmh, 300)
    return walk


def give(walk: Walk, verb: Verb, source: Source = Source.PAGE, **values: object) -> str:
    """Give a command; its id."""
    command = walk.command(verb, source, **values)
    walk.give(command)
    return command.id


class TestArm:
    """S2, S4: ready for a start at the console; nothing moves by this."""

    def test_arming_asks_for_the_tether(self, connected: Walking) -> None:
        """Confirmed at once, on the record, and with a question."""
        walk = connected()
        (result,) = walk.ask(Verb.ARM, program="first-minute", walker="me")
        assert result.outcome is Outcome.CONFIRMED
        assert walk.state.phase is Phase.ARMED
        assert walk.event(EventType.ARMED).data == {"program": "first-minute", "walker": "me"}
        prompt = walk.state.prompt
        assert prompt is not None
        assert prompt.text == "Is the safety key clipped on and tested? Confirm."

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"program": "first-minute", "walker": "nobody"}, Reason.UNKNOWN_WALKER),
            ({"program": "nothing"}, Reason.UNKNOWN_PROGRAM),
            ({"program": "retro-ten"}, Reason.LEVEL_TOO_LOW),
        ],
    )
    def test_what_does_not_fit_is_refused(
        self, connected: Walking, values: dict[str, Any], reason: Reason
    ) -> None:
        """With the reason, and on the record."""
        walk = connected()
        assert walk.ask(Verb.ARM, **values)[0].reason is reason
        assert walk.event(EventType.REFUSED).data["reason"] == reason.value
        assert walk.state.phase is Phase.IDLE

    def test_without_the_accepted_safety_text(self, connected: Walking) -> None:
        """not_accepted, whatever the program."""
        walker = Walker(id="me", level=LEVELS["L3"], accepted_safety=0)
        walk = connected(configured={"walkers": {"me": walker}})
        assert walk.ask(Verb.ARM, program="first-minute")[0].reason is Reason.NOT_ACCEPTED

    def test_twice_without_a_link_and_without_a_control_point(self, connected: Walking) -> None:
        """already_armed, link_down, not_supported."""
        walk = connected()
        walk.ask(Verb.ARM, program="first-minute")
        assert walk.ask(Verb.ARM, program="first-minute")[0].reason is Reason.ALREADY_ARMED
        walk.disconnect()
        assert walk.state.phase is Phase.IDLE
        assert walk.event(EventType.DISARMED).data["reason"] == "link_down"
        assert walk.ask(Verb.ARM, program="first-minute")[0].reason is Reason.LINK_DOWN
        walk.connect()
        walk.pilot.deck.belt.machine = Machine(controllable=False)
        assert walk.ask(Verb.ARM, program="first-minute")[0].reason is Reason.NOT_SUPPORTED

    def test_disarm(self, connected: Walking) -> None:
        """Takes it back; without an arming there is nothing to take back."""
        walk = connected()
        assert walk.ask(Verb.DISARM)[0].reason is Reason.NOT_ARMED
        walk.ask(Verb.ARM, program="first-minute")
        assert walk.ask(Verb.DISARM)[0].outcome is Outcome.CONFIRMED
        assert walk.event(EventType.DISARMED).data["reason"] == "disarm_mqtt"
        assert walk.state.prompt is None

    def test_an_unanswered_tether_disarms(self, connected: Walking) -> None:
        """Two minutes."""
        walk = connected(answers=None)
        walk.ask(Verb.ARM, program="first-minute")
        walk.run_for(121.0)
        assert walk.event(EventType.DISARMED).data["reason"] == "not_confirmed"


class TestStart:
    """S2: hold-to-start, once."""

    def armed(self, connected: Walking) -> Walk:
        """A walk that may be started from the page."""
        walk = connected(presses_start=None, configured={**LONG, "start": "page"})
        walk.ask(Verb.ARM)
        walk.run_for(10.0)
        return walk

    def test_disarm_after_start_stops_the_belt(self, connected: Walking) -> None:
        """Start has gone out: the arming is taken back and the belt is told to stop."""
        walk = self.armed(connected)
        start = give(walk, Verb.START)
        give(walk, Verb.DISARM)
        assert walk.writes[-1][1] == b"\x08\x01"
        walk.run_for(12.0)
        assert walk.final(start) == (Outcome.REJECTED, Reason.SUPERSEDED)
        assert walk.server.belt.speed_kmh == 0
        assert walk.pilot.at_rest

    def test_stop_after_start_stops_the_belt(self, connected: Walking) -> None:
        """The same by stop, which is confirmed only when the belt has had its time to start."""
        walk = self.armed(connected)
        give(walk, Verb.START)
        stop = give(walk, Verb.STOP)
        assert walk.answers_of(stop) == [(Outcome.ACCEPTED, None)]
        walk.run_for(12.0)
        assert walk.final(stop) == (Outcome.CONFIRMED, None)
        assert walk.server.belt.speed_kmh == 0

    def test_a_start_that_the_machine_refuses(self, connected: Walking) -> None:
        """Answered at once, with the machine's No."""
        walk = self.armed(connected)
        walk.fault("result:4")
        start = give(walk, Verb.START)
        walk.run_for(0.5)
        assert walk.final(start) == (Outcome.REJECTED, Reason.REFUSED_BY_MACHINE)
        assert walk.state.phase is Phase.ARMED

    def test_a_start_that_nothing_comes_of(self, connected: Walking) -> None:
        """Unknown after its time."""
        walk = self.armed(connected)
        walk.server.belt.spec = BeltSpec(start_delay_s=500.0)
        start = give(walk, Verb.START)
        walk.run_for(95.0)
        assert walk.final(start) == (Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME)

    def test_a_start_in_a_pause_and_of_a_moving_belt(self, connected: Walking) -> None:
        """Allowed in a pause; a belt that moves is not started."""
        walk = self.armed(connected)
        walk.at_console(walk.server.console_speed, 2.0)
        walk.run_for(6.0)
        assert walk.ask(Verb.START, Source.PAGE)[0].reason is Reason.BELT_MOVING
        walk.at_console(walk.server.console_speed, 0.5)
        walk.run_to(Phase.MOVING, 20)
        walk.ask(Verb.PAUSE)
        walk.run_to(Phase.PAUSED, 20)
        walk.run_for(3.0)
        start = give(walk, Verb.START)
        walk.run_to(Phase.MOVING, 20)
        assert walk.final(start) == (Outcome.CONFIRMED, None)


class TestTargets:
    """Lower passes; higher within every ceiling; a newer wish replaces an older."""

    def test_a_newer_target_replaces_an_older(self, walking: Walking) -> None:
        """Each has its own final answer."""
        walk = at(walking(configured=LONG), 2.0)
        first = give(walk, Verb.SPEED, speed_kmh=1.5)
        second = give(walk, Verb.SPEED, speed_kmh=1.8)
        assert walk.final(first) == (Outcome.REJECTED, Reason.SUPERSEDED)
        walk.run_for(6.0)
        assert walk.final(second) == (Outcome.CONFIRMED, None)

    @pytest.mark.parametrize("verb", [Verb.STOP, Verb.PAUSE])
    def test_stop_and_pause_supersede_a_target(self, walking: Walking, verb: Verb) -> None:
        """At once."""
        walk = at(walking(configured=LONG), 2.0)
        wish = give(walk, Verb.SPEED, speed_kmh=1.0)
        give(walk, verb)
        assert walk.final(wish) == (Outcome.REJECTED, Reason.SUPERSEDED)

    def test_a_target_that_is_key_out(self, walking: Walking) -> None:
        """The key comes out: that is the reason."""
        walk = at(walking(configured=LONG), 2.0)
        wish = give(walk, Verb.SPEED, speed_kmh=1.0)
        walk.at_console(walk.server.pull_key)
        walk.run_for(0.2)
        assert walk.final(wish) == (Outcome.REJECTED, Reason.KEY_OUT)

    def test_a_wish_of_many_steps_is_not_given_up_on_the_way(self, walking: Walking) -> None:
        """L0 backward, 1.0 to 1.6: three announced steps with holds between, and confirmed."""
        walk = walking(configured=program(stretch("backward", 1.6, 900.0)))
        walk.ask(Verb.SPEED, speed_kmh=1.0)
        at(walk, 1.0)
        wish = give(walk, Verb.SPEED, speed_kmh=1.6)
        began_s = walk.now_s
        at(walk, 1.6)
        walk.run_for(1.0)
        assert walk.now_s - began_s > 90.0
        assert walk.final(wish) == (Outcome.CONFIRMED, None)

    def test_a_target_that_never_shows_is_unknown(self, walking: Walking) -> None:
        """The machine acknowledges a slope and does not move."""
        walk = walking(configured=HILL, faults=("ignores-incline",))
        walk.run_for(60.0)
        wish = give(walk, Verb.INCLINE, incline_pct=2.0)
        walk.run_for(200.0)
        assert walk.final(wish)[0] is Outcome.UNKNOWN

    def test_incline(self, walking: Walking) -> None:
        """Up within the program and the level, down at any time, and a newer for an older."""
        walk = walking(configured=HILL)
        walk.run_until(lambda each: each.state.incline_pct == 3.0, 120)
        at(walk, 1.0)
        first = give(walk, Verb.INCLINE, Source.MQTT, incline_pct=2.0)
        second = give(walk, Verb.INCLINE, Source.MQTT, incline_pct=1.0)
        assert walk.final(first) == (Outcome.REJECTED, Reason.SUPERSEDED)
        walk.run_until(lambda each: each.state.incline_pct == 1.0, 60)
        walk.run_for(1.0)
        assert walk.final(second) == (Outcome.CONFIRMED, None)
        (refused,) = walk.ask(Verb.INCLINE, Source.MQTT, incline_pct=2.0)
        assert refused.reason is Reason.REMOTE_NOT_ALLOWED
        (above,) = walk.ask(Verb.INCLINE, Source.PAGE, incline_pct=3.5)
        assert above.reason is Reason.ABOVE_CEILING
        up = give(walk, Verb.INCLINE, incline_pct=2.0)
        walk.run_until(lambda each: each.state.incline_pct == 2.0, 60)
        walk.run_for(1.0)
        assert walk.final(up) == (Outcome.CONFIRMED, None)

    def test_incline_where_there_is_none(self, walking: Walking) -> None:
        """Not supported, and in a turn not now."""
        walk = walking(configured=LONG, faults=("no-ranges",))
        assert walk.ask(Verb.INCLINE, incline_pct=1.0)[0].reason is Reason.NOT_SUPPORTED
        turning = walking(configured=TURN)
        turning.run_to(Phase.TURNING, 60)
        assert turning.ask(Verb.INCLINE, incline_pct=0.0)[0].reason is Reason.PROMPT_OPEN
        assert turning.ask(Verb.RESUME)[0].reason is Reason.PROMPT_OPEN
        (faster,) = turning.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.5)
        assert faster.reason is Reason.PROMPT_OPEN

    def test_no_incline_at_rest(self, connected: Walking) -> None:
        """As no speed either."""
        walk = connected()
        walk.run_for(2.0)
        assert walk.ask(Verb.INCLINE, incline_pct=1.0)[0].reason is Reason.BELT_AT_REST

    def test_targets_of_a_foreign_belt_and_while_stopping(self, walking: Walking) -> None:
        """not_armed for a belt that nobody armed; stopping; link_down."""
        walk = at(walking(configured=LONG), 2.0)
        walk.ask(Verb.STOP)
        assert walk.ask(Verb.SPEED, speed_kmh=1.0)[0].reason is Reason.STOPPING
        assert walk.ask(Verb.SLOW)[0].reason is Reason.STOPPING
        walk.run_to(Phase.ENDED, 60)
        walk.at_console(walk.server.console_speed, 2.0)
        walk.run_for(8.0)
        assert walk.ask(Verb.SPEED, speed_kmh=1.0)[0].reason is Reason.NOT_ARMED
        walk.disconnect()
        assert walk.ask(Verb.SPEED, speed_kmh=1.0)[0].reason is Reason.LINK_DOWN

    def test_a_rise_that_something_forbids_is_refused_with_it(self, walking: Walking) -> None:
        """Stale data; nobody listening."""
        walk = at(walking(configured=LONG), 2.0)
        walk.ask(Verb.SPEED, speed_kmh=1.0)
        at(walk, 1.0)
        walk.give(VoicesListening(channels=frozenset()))
        assert walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.5)[0].reason is Reason.NO_VOICE
        walk.fault("silent:6")
        walk.run_for(5.0)
        assert walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.5)[0].reason is Reason.STALE_DATA

    def test_slow_is_one_step_and_never_below_zero(self, walking: Walking) -> None:
        """0.2 at L0, and at the minimum it stays there."""
        walk = at(walking(configured=LONG), 2.0)
        give(walk, Verb.SLOW, Source.MQTT)
        at(walk, 1.8)
        walk.ask(Verb.SPEED, speed_kmh=0.5)
        at(walk, 0.5)
        last = give(walk, Verb.SLOW, Source.MQTT)
        walk.run_for(1.0)
        assert walk.final(last) == (Outcome.CONFIRMED, None)
        assert walk.state.speed_kmh == 0.5


class TestPauseAndResume:
    """A pause only of a belt that is ours; a resume never starts one."""

    def test_where_they_mean_nothing(self, connected: Walking) -> None:
        """Idle and armed."""
        walk = connected(presses_start=None)
        walk.run_for(2.0)
        assert walk.ask(Verb.PAUSE)[0].reason is Reason.NOT_ARMED
        assert walk.ask(Verb.RESUME)[0].reason is Reason.NOT_ARMED
        walk.ask(Verb.ARM, program="first-minute")
        assert walk.ask(Verb.PAUSE)[0].reason is Reason.BELT_AT_REST
        assert walk.ask(Verb.RESUME)[0].reason is Reason.BELT_AT_REST

    def test_a_pause_while_the_link_is_down(self, walking: Walking) -> None:
        """link_down: nothing could be told to the machine."""
        walk = at(walking(configured=LONG), 2.0)
        walk.disconnect()
        assert walk.ask(Verb.PAUSE)[0].reason is Reason.LINK_DOWN

    def test_a_pause_of_a_hold_starts_from_what_the_belt_runs(self, walking: Walking) -> None:
        """The console set 1.2: the walk-down begins there."""
        walk = at(walking(configured=LONG), 2.0)
        walk.answers = None
        walk.at_console(walk.server.console_speed, 1.2)
        walk.run_until(lambda each: each.state.prompt is not None, 20)
        since_s = walk.now_s
        walk.ask(Verb.PAUSE)
        walk.run_to(Phase.PAUSED, 30)
        assert next(target for at_s, target in walk.targets() if at_s >= since_s) == 1.1

    def test_resume_in_a_pause_says_how(self, walking: Walking) -> None:
        """Refused, and the walker hears that Start is at the console."""
        walk = at(walking(configured=LONG), 2.0)
        walk.ask(Verb.PAUSE)
        walk.run_to(Phase.PAUSED, 60)
        walk.presses_start = None
        assert walk.ask(Verb.RESUME)[0].reason is Reason.BELT_AT_REST
        assert walk.phrases()[-1].endswith("press Start on the treadmill.")

    def test_resume_lifts_what_slowed_the_program(self, walking: Walking) -> None:
        """From the page; from MQTT only where nothing was slowed."""
        walk = at(walking(configured=LONG), 2.0)
        assert walk.ask(Verb.RESUME)[0].outcome is Outcome.CONFIRMED
        walk.ask(Verb.SLOW)
        at(walk, 1.8)
        assert walk.ask(Verb.RESUME)[0].reason is Reason.REMOTE_NOT_ALLOWED
        assert walk.ask(Verb.RESUME, Source.PAGE)[0].outcome is Outcome.CONFIRMED
        at(walk, 2.0)


class TestTheRest:
    """Confirmations, ratings, and answers without a measurement."""

    def test_a_confirmation_without_a_question(self, connected: Walking) -> None:
        """prompt_mismatch, with and without an id."""
        walk = connected()
        assert walk.ask(Verb.CONFIRM)[0].reason is Reason.PROMPT_MISMATCH
        assert walk.ask(Verb.CONFIRM, prompt="x")[0].reason is Reason.PROMPT_MISMATCH

    def test_a_rating_belongs_to_a_session(self, walking: Walking) -> None:
        """During and after one, not without."""
        walk = walking(configured=LONG)
        values: dict[str, Any] = {"effort": 3, "comfort": 4, "rails": "free", "pain": 0}
        assert walk.ask(Verb.RATE, **values)[0].outcome is Outcome.CONFIRMED
        assert walk.event(EventType.RATED).data == values
        walk.ask(Verb.STOP)
        walk.run_to(Phase.ENDED, 60)
        assert walk.ask(Verb.RATE, **values)[0].outcome is Outcome.CONFIRMED
        assert walk.event(EventType.RATED).session == "session-1"

    def test_a_rating_without_a_session(self, connected: Walking) -> None:
        """not_armed."""
        assert connected().ask(Verb.RATE, effort=3)[0].reason is Reason.NOT_ARMED

    def test_results_carry_the_measured_speed(self, walking: Walking) -> None:
        """As it is at that moment."""
        walk = at(walking(configured=LONG), 2.0)
        assert walk.ask(Verb.DISARM)[0].measured_kmh == 2.0


class TestWhileHoldingAndTurning:
    """What can be asked when the machine or a turn has the word."""

    def held(self, walking: Walking) -> Walk:
        """A walk that the console holds at 1.2."""
        walk = at(walking(configured=LONG), 2.0)
        walk.answers = None
        walk.at_console(walk.server.console_speed, 1.2)
        walk.run_until(lambda each: each.state.prompt is not None, 20)
        return walk

    def test_confirm_and_resume_release_a_hold(self, walking: Walking) -> None:
        """The prompt's id, or resume without one; neither on stale data."""
        walk = self.held(walking)
        walk.fault("silent:5")
        walk.run_for(4.5)
        prompt = walk.state.prompt
        assert prompt is not None
        assert walk.ask(Verb.CONFIRM, prompt=prompt.id)[0].reason is Reason.STALE_DATA
        assert walk.ask(Verb.RESUME)[0].reason is Reason.STALE_DATA
        walk.run_for(3.0)
        assert walk.ask(Verb.CONFIRM, prompt=prompt.id)[0].outcome is Outcome.CONFIRMED
        again = self.held(walking)
        assert again.ask(Verb.RESUME)[0].outcome is Outcome.CONFIRMED
        assert again.state.phase is Phase.MOVING

    def test_slower_and_not_faster_than_the_belt_runs(self, walking: Walking) -> None:
        """Slow is a step below 1.2; 1.5 would be faster, whatever was cleared before."""
        walk = self.held(walking)
        assert walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.5)[0].reason is Reason.CONSOLE_OVERRIDE
        assert walk.ask(Verb.INCLINE, incline_pct=0.0)[0].reason is Reason.CONSOLE_OVERRIDE
        slower = give(walk, Verb.SLOW, Source.MQTT)
        walk.run_for(5.0)
        assert walk.final(slower) == (Outcome.CONFIRMED, None)
        assert walk.server.belt.speed_kmh == 1.0

    def test_slower_asks_for_control_where_it_was_lost(self, walking: Walking) -> None:
        """And goes through."""
        walk = at(walking(configured=LONG), 2.0)
        walk.answers = None
        walk.fault("control-lost:0.1")
        walk.run_to(Phase.HOLDING, 2)
        slower = give(walk, Verb.SLOW, Source.MQTT)
        walk.run_for(6.0)
        assert walk.final(slower) == (Outcome.CONFIRMED, None)

    def test_stop_of_a_hold_starts_from_what_the_belt_runs(self, walking: Walking) -> None:
        """1.1 is the first target, not 1.9."""
        walk = self.held(walking)
        since_s = walk.now_s
        give(walk, Verb.STOP)
        walk.run_for(2.0)
        assert next(target for at_s, target in walk.targets() if at_s >= since_s) == 1.1

    def test_confirm_goes_on_with_a_turn(self, walking: Walking) -> None:
        """By the id of its own question."""
        walk = walking(configured=TURN)
        walk.run_until(lambda each: "turn_confirmed" in each.types, 90)
        assert walk.results[-1].outcome is Outcome.CONFIRMED


class TestStopInItsCorners:
    """S7: an answer for every stop, wherever it comes."""

    def test_a_repeat_of_an_open_stop_shares_its_answer(self, walking: Walking) -> None:
        """QoS 1 delivers twice: obeyed twice, answered once."""
        walk = at(walking(configured=LONG), 2.0)
        stop = walk.command(Verb.STOP)
        walk.give(stop)
        walk.give(stop)
        walk.run_to(Phase.ENDED, 60)
        assert walk.answers_of(stop.id) == [(Outcome.ACCEPTED, None), (Outcome.CONFIRMED, None)]

    def test_idle_and_at_rest(self, connected: Walking) -> None:
        """Confirmed: it stands."""
        walk = connected()
        walk.run_for(4.0)
        assert walk.ask(Verb.STOP)[0].outcome is Outcome.CONFIRMED

    def test_without_a_link(self, walking: Walking) -> None:
        """Accepted and unknown in one breath."""
        walk = at(walking(configured=LONG), 2.0)
        walk.disconnect()
        answers = walk.ask(Verb.STOP)
        assert [each.outcome for each in answers] == [Outcome.ACCEPTED, Outcome.UNKNOWN]
        assert answers[1].reason is Reason.LINK_DOWN

    def test_of_a_belt_that_has_not_obeyed(self, walking: Walking) -> None:
        """Asked again after the alarm: still unknown, and Stop still goes out."""
        walk = at(walking(configured=LONG), 2.0)
        walk.fault("result:4")
        give(walk, Verb.STOP, now=True)
        walk.run_for(31.0)
        (_, unknown) = walk.ask(Verb.STOP)
        assert unknown.reason is Reason.UNKNOWN_OUTCOME

    def test_arming_has_to_wait_for_it(self, connected: Walking) -> None:
        """A foreign belt that is being stopped is not armed."""
        walk = connected()
        walk.at_console(walk.server.console_speed, 2.0)
        walk.run_for(8.0)
        give(walk, Verb.STOP)
        assert walk.ask(Verb.ARM, program="first-minute")[0].reason is Reason.STOPPING

    def test_key_out_while_stopping_is_confirmed_at_rest(self, walking: Walking) -> None:
        """The session is over at once; the stop is answered when the belt stands."""
        walk = at(walking(configured=LONG), 2.0)
        stop = give(walk, Verb.STOP)
        walk.run_for(1.0)
        walk.at_console(walk.server.pull_key)
        walk.run_for(0.1)
        assert walk.state.phase is Phase.ENDED
        assert walk.answers_of(stop) == [(Outcome.ACCEPTED, None)]
        walk.run_for(5.0)
        assert walk.final(stop) == (Outcome.CONFIRMED, None)


def test_nonsense_is_a_bad_payload(walking: Walking) -> None:
    """NaN, nothing, below zero: for both targets."""
    walk = walking(configured=LONG)
    for value in (None, float("nan"), -1.0):
        assert walk.ask(Verb.SPEED, speed_kmh=value)[0].reason is Reason.BAD_PAYLOAD
        assert walk.ask(Verb.INCLINE, incline_pct=value)[0].reason is Reason.BAD_PAYLOAD


def test_more_than_the_program_is_above_the_ceiling(walking: Walking) -> None:
    """2.1 of 2.0."""
    walk = walking(configured=LONG)
    assert walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=2.1)[0].reason is Reason.ABOVE_CEILING


def test_one_start_at_a_time_and_only_when_asked_for(connected: Walking) -> None:
    """Idle: not_armed. A second one before the belt moves: a pause, on some machines."""
    walk = connected(presses_start=None, configured={**LONG, "start": "page"})
    assert walk.ask(Verb.START, Source.PAGE)[0].reason is Reason.NOT_ARMED
    walk.ask(Verb.ARM)
    walk.run_for(10.0)
    give(walk, Verb.START)
    assert walk.ask(Verb.START, Source.PAGE)[0].reason is Reason.ONE_AT_A_TIME


def test_a_slope_that_the_machine_does_not_tell_is_unknown(walking: Walking) -> None:
    """Acknowledged, and never measured: nobody says that it is there."""
    walk = at(walking(configured=HILL), 1.0)
    walk.server.habits = replace(walk.server.habits, incline_told="absent")
    walk.pilot.deck.belt.measured_incline_pct = None
    wish = give(walk, Verb.INCLINE, Source.MQTT, incline_pct=1.0)
    walk.run_for(110.0)
    assert walk.final(wish) == (Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME)
