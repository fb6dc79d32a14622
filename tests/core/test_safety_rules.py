"""The safety rules S1 to S21, one class each, on whole walks: what really went out, and when.

Every walk is judged from outside as well (`tests.judge`), so a scenario that breaks another rule
than its own fails too.
"""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import bridge.core
from bridge.core.messages import (
    Command,
    Delivered,
    Direction,
    EventType,
    OpCode,
    Outcome,
    Phase,
    Reason,
    Source,
    Verb,
    VoicesListening,
    Walker,
)
from bridge.profiles import load_levels, load_programs
from bridge.simulator.belt import BeltSpec, Motion
from tests.core.conftest import Walking
from tests.virtual import Walk, program, stretch

LEVELS = load_levels()
FORWARD = program(stretch("forward", 2.0, 600.0))
ONE_TURN = program(
    stretch("forward", 1.5, 60.0), stretch("turn", 1.0, 45.0), stretch("backward", 1.0, 60.0)
)
HILL = program(
    stretch("forward", 2.0, 60.0),
    stretch("forward", 2.0, 60.0, 2.0),
    stretch("forward", 1.5, 60.0),
    stretch("turn", 1.0, 45.0),
    stretch("backward", 1.0, 30.0),
)
STOP = bytes((0x08, 0x01))


def at(walk: Walk, speed_kmh: float) -> Walk:
    """The same walk, once the belt runs this."""
    walk.run_until(lambda each: each.state.speed_kmh == speed_kmh, 300)
    return walk


def to_turn(walk: Walk) -> Walk:
    """The same walk, once somebody is asked to turn."""
    walk.run_until(lambda each: "turn_requested" in each.types, 300)
    return walk


class TestS1NothingStartsABeltAsASideEffect:
    """Op 0x07 leaves only for an explicit start."""

    @pytest.mark.parametrize("name", sorted(load_programs()))
    def test_no_start_in_a_whole_program(self, connected: Walking, name: str) -> None:
        """Every shipped program, to its end: not one Start, and every write a target or a Stop."""
        level = next(each for each in LEVELS.values() if each.id == load_programs()[name].level)
        walk = connected(level.id, configured={"units_proven": True})
        walk.arm(name)
        walk.run_to(Phase.ENDED)
        assert walk.sent(OpCode.START_OR_RESUME) == []
        assert walk.event(EventType.SESSION_ENDED).data["reason"] == "finished"

    def test_a_speed_for_a_belt_at_rest_is_refused(self, connected: Walking) -> None:
        """Idle, armed and paused: belt_at_rest, and nothing goes out."""
        walk = connected(presses_start=None, configured={"remote": "within-program"})
        walk.run_for(2.0)
        assert walk.ask(Verb.SPEED, speed_kmh=1.0)[0].reason is Reason.BELT_AT_REST
        walk.ask(Verb.ARM, program="first-minute")
        walk.run_for(10.0)
        assert walk.ask(Verb.SPEED, speed_kmh=1.0)[0].reason is Reason.BELT_AT_REST
        walk.at_console(walk.server.press_start)
        walk.run_to(Phase.MOVING, 20)
        walk.at_console(walk.server.press_pause)
        walk.run_to(Phase.PAUSED, 10)
        walk.run_for(3.0)
        before = len(walk.writes)
        assert walk.ask(Verb.SPEED, speed_kmh=1.0)[0].reason is Reason.BELT_AT_REST
        assert walk.ask(Verb.SLOW)[0].reason is Reason.BELT_AT_REST
        assert walk.ask(Verb.RESUME)[0].reason is Reason.BELT_AT_REST
        assert len(walk.writes) == before

    def test_connecting_and_arming_writes_nothing_that_moves(self, connected: Walking) -> None:
        """Connect, arm, tether, reconnect: control is requested, and that is all."""
        walk = connected(presses_start=None)
        walk.ask(Verb.ARM, program="first-minute")
        walk.run_for(10.0)
        walk.disconnect()
        walk.connect()
        walk.run_for(10.0)
        assert [payload for _, payload in walk.writes] == [b"\x00"]


class TestS2AStartNeedsALocalFreshAction:
    """The console's Start, adopted slowly; hold-to-start only where it is allowed."""

    def test_only_a_steady_slow_belt_is_adopted(self, connected: Walking) -> None:
        """Started at 3.0: told that it is too fast, not adopted; slowed at the console: adopted."""
        walk = connected(presses_start=None)
        walk.ask(Verb.ARM, program="first-minute")
        walk.run_for(10.0)
        walk.at_console(walk.server.console_speed, 3.0)
        walk.run_for(20.0)
        assert walk.state.phase is Phase.ARMED
        assert (
            walk.phrases().count("The belt is too fast to begin. Make it slower at the console.")
            == 1
        )
        walk.at_console(walk.server.console_speed, 1.0)
        walk.run_to(Phase.MOVING, 20)
        assert walk.event(EventType.SESSION_STARTED).data["speed_kmh"] == 1.0

    def test_a_belt_that_spins_up_is_not_adopted_midway(self, connected: Walking) -> None:
        """On its slow way to 3.0 it passes 0.6 and 0.8: that is not a slow belt."""
        walk = connected(presses_start=None, spec=BeltSpec(acceleration_kmh_per_s=0.15))
        walk.ask(Verb.ARM, program="first-minute")
        walk.run_for(10.0)
        walk.at_console(walk.server.console_speed, 3.0)
        walk.run_for(40.0)
        assert walk.state.phase is Phase.ARMED

    def test_a_faster_minimum_of_the_machine_within_the_levels_cap(
        self, connected: Walking
    ) -> None:
        """1.5 is adopted at L0 (cap 2.4); 2.6 is not."""
        walk = connected(spec=BeltSpec(min_speed_kmh=1.5))
        walk.arm()
        assert walk.state.speed_kmh == 1.5
        faster = connected(spec=BeltSpec(min_speed_kmh=2.6))
        faster.ask(Verb.ARM, program="first-minute")
        faster.run_for(40.0)
        assert faster.state.phase is Phase.ARMED

    def test_hold_to_start_only_from_the_page_where_it_is_allowed(self, connected: Walking) -> None:
        """Never from MQTT, not without the setting, not when old, and used once."""
        walk = connected(presses_start=None, configured={"start": "page"})
        walk.ask(Verb.ARM, program="first-minute")
        assert walk.ask(Verb.START, Source.PAGE)[0].reason is Reason.NOT_ARMED
        walk.run_for(10.0)
        assert walk.ask(Verb.START)[0].reason is Reason.REMOTE_NOT_ALLOWED
        assert walk.ask(Verb.START, Source.PAGE, age_s=6.0)[0].reason is Reason.EXPIRED
        assert walk.sent(OpCode.START_OR_RESUME) == []
        (taken,) = walk.ask(Verb.START, Source.PAGE)
        assert taken.outcome is Outcome.ACCEPTED
        assert walk.ask(Verb.START, Source.PAGE)[0].reason is Reason.ONE_AT_A_TIME
        walk.run_to(Phase.MOVING, 20)
        assert len(walk.sent(OpCode.START_OR_RESUME)) == 1
        assert walk.final(taken.id) == (Outcome.CONFIRMED, None)
        console = connected(presses_start=None)
        console.ask(Verb.ARM, program="first-minute")
        console.run_for(10.0)
        assert console.ask(Verb.START, Source.PAGE)[0].reason is Reason.REMOTE_NOT_ALLOWED


class TestS3FourSpeeds:
    """Requested, cleared, acknowledged and measured are different fields with different makers."""

    def test_the_four_differ_on_the_way_up(self, walking: Walking) -> None:
        """2.0 requested while the ramp is at less, and the belt behind that."""
        walk = walking(configured=FORWARD, spec=BeltSpec(acceleration_kmh_per_s=0.14))
        walk.run_until(lambda each: (each.state.target_speed_kmh or 0) >= 1.4, 120)
        state = walk.state
        assert state.requested_speed_kmh == 2.0
        assert state.target_speed_kmh is not None
        assert state.speed_kmh is not None
        assert state.speed_kmh < state.target_speed_kmh < state.requested_speed_kmh
        walk.run_for(0.5)
        assert walk.state.acknowledged_speed_kmh == walk.state.target_speed_kmh

    def test_only_the_governor_makes_a_cleared_value(self) -> None:
        """No other module of the package calls the three constructors."""
        folder = Path(bridge.core.__file__).parents[1]
        makers = {
            str(file.relative_to(folder))
            for file in folder.rglob("*.py")
            for line in file.read_text().splitlines()
            if re.search(r"\bCleared(Speed|Incline|Start)\(", line)
            and not re.match(r"\s*(class|case) ", line)
        }
        assert makers == {"core/governor.py"}


class TestS4Ceilings:
    """min(level and direction, machine, person, program); nonsense never reaches arithmetic."""

    @pytest.mark.parametrize("asked", [float("nan"), float("inf"), -0.1, None])
    def test_nonsense_is_refused(self, walking: Walking, asked: float | None) -> None:
        """For the speed and for the incline, whoever asks."""
        walk = walking(configured=FORWARD)
        before = walk.pilot.deck.eased_kmh
        assert walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=asked)[0].reason is Reason.BAD_PAYLOAD
        assert (
            walk.ask(Verb.INCLINE, Source.PAGE, incline_pct=asked)[0].reason is Reason.BAD_PAYLOAD
        )
        assert walk.pilot.deck.eased_kmh == before

    def test_no_target_above_any_ceiling(self, walking: Walking) -> None:
        """A program of 4.0 with a person's 1.5, a machine's 1.8 and a level's 2.4."""
        fast = program(stretch("forward", 4.0, 120.0))
        person = Walker(id="me", level=LEVELS["L0"], accepted_safety=1, max_speed_kmh=1.5)
        cases = (
            (walking(configured={**fast, "walkers": {"me": person}}), 1.5),
            (walking(configured=fast, spec=BeltSpec(max_speed_kmh=1.8)), 1.8),
            (walking(configured=program(stretch("backward", 4.0, 400.0))), 2.4),
        )
        for walk, ceiling_kmh in cases:
            walk.run_to(Phase.ENDED, 500)
            assert max(target for _, target in walk.targets()) == ceiling_kmh
            assert min(target for _, target in walk.targets()) == 0.5

    def test_a_person_may_not_ask_for_more_than_the_program(self, walking: Walking) -> None:
        """2.1 where the program says 2.0: above_ceiling."""
        walk = walking(configured=FORWARD)
        assert walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=2.1)[0].reason is Reason.ABOVE_CEILING


class TestS5OneAccelerationLimit:
    """One write a second, and each within the ramp, for a whole program at each level."""

    @pytest.mark.parametrize("level", sorted(LEVELS))
    def test_spacing_and_ramp_of_every_target(self, connected: Walking, level: str) -> None:
        """Writes at least 1 s apart; no rise and no fall steeper than the level's."""
        limits = LEVELS[level]
        walk = connected(
            level,
            configured=program(
                stretch("forward", limits.forward_max_kmh, 90.0),
                stretch("turn", 1.0, 45.0),
                stretch("backward", limits.backward_max_kmh, 400.0),
                stretch("backward", 1.0, 60.0),
                level=level,
            ),
        )
        walk.arm(None)
        walk.run_to(Phase.ENDED, 1500)
        started_s = walk.event(EventType.SESSION_STARTED).at_s
        targets = walk.targets()
        assert len(targets) > 30
        speed_kmh, at_s = 0.5, started_s
        for next_s, target_kmh in targets:
            passed_s, change_kmh = next_s - at_s, target_kmh - speed_kmh
            forward = self.direction(walk, next_s) == "forward"
            up = limits.ramp_up_forward_kmh_per_s if forward else limits.ramp_up_backward_kmh_per_s
            if change_kmh > 0:
                assert passed_s >= 1.0 - 1e-6
                assert change_kmh <= up * passed_s + 1e-6
            else:  # a decrease may always be one step of the machine
                assert -change_kmh <= limits.ramp_down_kmh_per_s * passed_s + 0.1 + 1e-6
            speed_kmh, at_s = target_kmh, next_s

    @staticmethod
    def direction(walk: Walk, at_s: float) -> object:
        """How the walker faced at this time."""
        begun = [
            event.data["direction"]
            for event in walk.events
            if event.type is EventType.SEGMENT_STARTED and event.at_s <= at_s + 1e-6
        ]
        return begun[-1]

    def test_a_person_gets_the_same_ramp(self, walking: Walking) -> None:
        """From the page: 1.0 to 2.0 takes no less than the program's own way up."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.0)
        at(walk, 1.0)
        since_s = walk.now_s
        walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=2.0)
        at(walk, 2.0)
        rises = [each for each in walk.targets() if each[0] > since_s]
        assert [target for _, target in rises] == [round(1.1 + 0.1 * n, 1) for n in range(10)]
        assert all(b[0] - a[0] >= 1.0 for a, b in pairwise(rises))


class TestS6SayWaitThenChange:
    """No rise before its announcement was delivered and the warning time has passed."""

    def test_every_rise_follows_its_announcement(self, walking: Walking) -> None:
        """The first rise leaves the level's 10 s after the voice has spoken, and not before."""
        walk = walking(configured=FORWARD, hears=4.0)
        walk.run_until(lambda each: bool(each.targets()), 60)
        announced = next(
            event
            for event in walk.events
            if event.type is EventType.ANNOUNCED and "faster: 2" in str(event.data["text"])
        )
        assert walk.targets()[0][0] >= announced.at_s + 10.0

    def test_an_unheard_cue_cancels_the_rise(self, walking: Walking) -> None:
        """15 s without a voice: not_delivered, and no rise for the rest of the segment."""
        walk = walking(configured=program(stretch("forward", 2.0, 60), stretch("forward", 2.0, 60)))
        walk.hears = None
        walk.run_for(40.0)
        assert walk.targets() == []
        assert walk.types.count("not_delivered") == 1
        assert walk.state.problem is Reason.NOT_DELIVERED
        walk.hears = 2.0
        at(walk, 2.0)
        cues = [at_s for at_s, each in walk.said if "faster: 2" in each.text]
        assert len(cues) == 2
        assert walk.targets()[0][0] >= cues[1] + 12.0
        assert walk.state.problem is None

    def test_no_voice_no_rise(self, connected: Walking) -> None:
        """Nobody listens: the reason is shown, nothing rises; with a voice it goes on."""
        walk = connected(configured=FORWARD)
        walk.give(VoicesListening(channels=frozenset({"terminal"})))
        walk.arm(None)
        walk.run_for(30.0)
        assert walk.targets() == []
        assert walk.state.problem is Reason.NO_VOICE
        walk.give(VoicesListening(channels=frozenset({"page"})))
        at(walk, 2.0)
        assert walk.state.problem is None

    def test_a_channel_that_does_not_count_delivers_nothing(self, walking: Walking) -> None:
        """Only the channels of the settings may say that something was heard."""
        walk = walking(configured=FORWARD, hears=None)
        walk.run_for(1.0)
        cue = next(each for _, each in walk.said if "faster" in each.text)
        walk.after(1.0, Delivered(announcement_id=cue.id, channel="terminal"))
        walk.run_for(40.0)
        assert walk.targets() == []

    def test_a_turn_and_a_decrease_are_announced_ahead(self, walking: Walking) -> None:
        """Each with the shorter lead of a decrease, and spoken before it begins."""
        walk = walking(
            configured=program(
                stretch("forward", 2.0, 60), stretch("forward", 1.5, 40), stretch("turn", 1.0, 45)
            )
        )
        walk.run_to(Phase.TURNING)
        said = {each.text: at_s for at_s, each in walk.said}
        slower_s = next(at_s for at_s, target in walk.targets() if target == 1.9 and at_s > 1060)
        assert 6.0 <= slower_s - said["In 6 seconds, slower: 1 point 5."] <= 11.0
        turn_s = walk.event(EventType.SEGMENT_STARTED).at_s
        assert 6.0 <= turn_s - said["In 6 seconds, slowing down for a turn."] <= 11.0
        assert sum("slower" in text for text in walk.phrases()) == 1

    def test_a_rise_that_nobody_wants_any_more_is_not_made_later(self, walking: Walking) -> None:
        """Heard, then slowed down: going up again needs to be announced again."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.0)
        at(walk, 1.0)
        walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.5)
        walk.run_for(3.0)
        walk.ask(Verb.SLOW)
        walk.run_for(30.0)
        since_s, cues = walk.now_s, len(walk.said)
        walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.5)
        walk.run_until(lambda each: bool(each.targets()) and each.targets()[-1][0] > since_s, 60)
        assert walk.targets()[-1][0] - since_s >= 12.0
        assert "faster" in walk.said[cues][1].text


class TestS7StopOvertakesEverything:
    """From any phase, any source, whatever its shape; one final answer each (see test_stopping)."""

    @pytest.mark.parametrize("phase", [Phase.MOVING, Phase.TURNING, Phase.HOLDING, Phase.PAUSED])
    @pytest.mark.parametrize("now", [False, True])
    def test_stop_from_every_phase(self, walking: Walking, phase: Phase, now: bool) -> None:
        """The session ends with the belt at rest, and the asker hears it once."""
        walk = at(walking(configured=ONE_TURN), 1.5)
        walk.answers = None
        if phase is Phase.TURNING:
            to_turn(walk)
        elif phase is Phase.HOLDING:
            walk.at_console(walk.server.console_speed, 1.0)
        elif phase is Phase.PAUSED:
            walk.at_console(walk.server.press_pause)
        walk.run_to(phase, 20)
        command = walk.command(Verb.STOP, now=now)
        walk.give(command)
        walk.run_to(Phase.ENDED, 60)
        assert walk.final(command.id) == (Outcome.CONFIRMED, None)
        assert walk.server.belt.speed_kmh == 0

    def test_stop_does_not_wait_for_an_outstanding_procedure(self, walking: Walking) -> None:
        """The machine is busy and says so (0xFE): Stop goes out at once, and again until taken."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.fault("no-indication")
        walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.9)
        walk.run_for(0.1)
        walk.server._answering = True
        walk.ask(Verb.STOP, now=True)
        began_s = walk.now_s
        assert walk.writes[-1] == (began_s, STOP)
        assert walk.answered[-1] == 0xFE
        walk.run_for(1.0)
        walk.server._answering = False
        walk.run_to(Phase.ENDED, 20)
        assert len(walk.sent(OpCode.STOP_OR_PAUSE, began_s)) >= 4

    @pytest.mark.parametrize(
        "shape",
        [{"malformed": True}, {"age_s": 900.0}, {"expired": True}, {"retained": True}],
    )
    def test_an_ill_formed_late_or_retained_stop_is_obeyed(
        self, walking: Walking, shape: dict[str, Any]
    ) -> None:
        """While the belt moves; a retained one at rest is not."""
        walk = at(walking(configured=FORWARD), 2.0)
        command = walk.command(Verb.STOP, **shape)
        walk.give(command)
        walk.run_to(Phase.ENDED, 60)
        assert walk.final(command.id) == (Outcome.CONFIRMED, None)
        (refused,) = walk.ask(Verb.STOP, retained=True)
        assert (refused.outcome, refused.reason) == (Outcome.REJECTED, Reason.RETAINED)

    def test_a_stop_with_a_repeated_id_is_obeyed(self, walking: Walking) -> None:
        """The second session's stop has the id of the first one's."""
        walk = at(walking(configured=FORWARD), 2.0)
        command = walk.command(Verb.STOP)
        walk.give(command)
        walk.run_to(Phase.ENDED, 60)
        walk.arm(None)
        walk.give(command)
        walk.run_to(Phase.ENDED, 60)
        assert [outcome for outcome, _ in walk.answers_of(command.id)] == [
            Outcome.ACCEPTED,
            Outcome.CONFIRMED,
        ] * 2

    def test_every_command_gets_exactly_one_final_answer(self, walking: Walking) -> None:
        """A walk full of wishes that overtake each other, and the end of the session."""
        walk = at(walking(configured=ONE_TURN), 1.5)
        asked: list[Command] = []
        wishes: tuple[tuple[Verb, dict[str, Any]], ...] = (
            (Verb.SPEED, {"speed_kmh": 1.2}),
            (Verb.SPEED, {"speed_kmh": 1.0}),
            (Verb.SLOW, {}),
            (Verb.RESUME, {}),
            (Verb.SPEED, {"speed_kmh": 1.5}),
            (Verb.INCLINE, {"incline_pct": 0.0}),
            (Verb.CONFIRM, {"prompt": "none"}),
            (Verb.ARM, {"program": "made"}),
            (Verb.DISARM, {}),
            (Verb.PAUSE, {}),
            (Verb.SPEED, {"speed_kmh": 0.6}),
            (Verb.STOP, {}),
            (Verb.STOP, {"now": True}),
        )
        for verb, values in wishes:
            asked.append(walk.command(verb, Source.PAGE, **values))
            walk.give(asked[-1])
            walk.run_for(0.7)
        walk.run_to(Phase.ENDED, 60)
        walk.run_for(2.0)
        finals = [walk.final(command.id) for command in asked]
        assert finals[0] == finals[1] == (Outcome.REJECTED, Reason.SUPERSEDED)
        assert finals[-1] == finals[-2] == (Outcome.CONFIRMED, None)


class TestS8TheConsoleWins:
    """A change at the machine holds the program there until a person confirms."""

    @pytest.mark.parametrize("told", [True, False])
    @pytest.mark.parametrize("speed_kmh", [1.2, 2.3])
    def test_a_console_speed_holds_the_program(
        self, walking: Walking, told: bool, speed_kmh: float
    ) -> None:
        """Told by a status event, or only seen: nothing is written until somebody says go on."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.answers = None
        since_s = walk.now_s
        if told:
            walk.at_console(walk.server.console_speed, speed_kmh)
        else:
            walk.server.belt.set_target_speed(speed_kmh)
        walk.run_to(Phase.HOLDING, 10)
        remaining_s = walk.state.segment_remaining_s
        walk.run_for(60.0)
        assert walk.state.problem is Reason.CONSOLE_OVERRIDE
        assert walk.server.belt.speed_kmh == speed_kmh
        assert [each for each in walk.writes if each[0] > since_s] == []
        assert walk.state.segment_remaining_s == remaining_s
        assert walk.types.count("console_override") == 1
        prompt = walk.state.prompt
        assert prompt is not None
        walk.ask(Verb.CONFIRM, prompt=prompt.id)
        assert walk.state.phase is Phase.MOVING
        at(walk, 2.0)

    def test_a_big_unexplained_rise_is_a_runaway_not_a_console(self, walking: Walking) -> None:
        """Without a status event nobody can know that it was a hand: S12 comes first."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.server.belt.set_target_speed(4.0)
        walk.run_to(Phase.ENDED, 60)
        assert "runaway" in walk.types

    def test_a_console_pause_pauses_and_a_console_stop_ends(self, walking: Walking) -> None:
        """Pause waits for Start; Stop is the end."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.at_console(walk.server.press_pause)
        walk.run_to(Phase.PAUSED, 5)
        walk.run_for(5.0)
        assert walk.state.phase is Phase.PAUSED
        walk.at_console(walk.server.press_start)
        walk.run_to(Phase.MOVING, 20)
        walk.at_console(walk.server.press_stop)
        walk.run_to(Phase.ENDED, 5)
        assert walk.event(EventType.SESSION_ENDED).data["reason"] == "console_stop"


class TestS9KeyOutLatches:
    """The session ends, and nothing is sent that could move the belt until a person re-arms."""

    @pytest.mark.parametrize("phase", [Phase.MOVING, Phase.TURNING, Phase.HOLDING, Phase.PAUSED])
    def test_key_out_ends_every_phase(self, walking: Walking, phase: Phase) -> None:
        """With an alarm, and then silence on the control point whatever is asked."""
        walk = at(walking(configured=ONE_TURN), 1.5)
        walk.answers = None
        if phase is Phase.TURNING:
            to_turn(walk)
        elif phase is Phase.HOLDING:
            walk.at_console(walk.server.console_speed, 1.0)
        elif phase is Phase.PAUSED:
            walk.at_console(walk.server.press_pause)
        walk.run_to(phase, 20)
        walk.run_for(3.0)
        before = len(walk.writes)
        walk.at_console(walk.server.pull_key)
        walk.run_for(1.0)
        assert walk.state.phase is Phase.ENDED
        assert (walk.state.safety_key, walk.state.problem) == ("out", Reason.KEY_OUT)
        assert "safety_key_removed" in walk.types
        walk.at_console(walk.server.insert_key)
        walk.ask(Verb.RESUME, Source.PAGE)
        walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.0)
        walk.run_for(30.0)
        assert len(walk.writes) == before
        walk.answers = 2.0
        walk.arm(None)
        assert walk.state.safety_key == "in"

    def test_key_out_while_armed_disarms(self, connected: Walking) -> None:
        """And the key can stay out; the console's Start clears it."""
        walk = connected(presses_start=None)
        walk.ask(Verb.ARM, program="first-minute")
        walk.run_for(10.0)
        walk.at_console(walk.server.pull_key)
        walk.run_to(Phase.IDLE, 1)
        problems = [walk.state.problem]
        walk.at_console(walk.server.insert_key)
        walk.at_console(walk.server.press_start)
        walk.run_for(5.0)
        problems.append(walk.state.problem)
        assert problems == [Reason.KEY_OUT, None]
        assert walk.state.phase is Phase.IDLE

    def test_a_belt_that_stands_unasked_was_stopped_at_the_machine(self, walking: Walking) -> None:
        """No status event at all: two seconds of rest are the end, a single zero is not."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.server.belt.stop()
        walk.run_to(Phase.ENDED, 10)
        assert walk.event(EventType.SESSION_ENDED).data["reason"] == "console_stop"


class TestS10StaleDataFreezesRises:
    """3 s: no increase; 10 s: announced and held; identical frames are data."""

    def test_silence_freezes_then_holds(self, walking: Walking) -> None:
        """On the way up: no rise after 3 s of silence; at 10 s an alarm; asked when data come."""
        walk = at(walking(configured=FORWARD), 1.4)
        walk.answers = None
        walk.fault("silent:30")
        walk.run_until(lambda each: each.state.stale, 10)
        stale_s, before = walk.now_s, len(walk.writes)
        walk.run_to(Phase.HOLDING, 10)
        assert 6.0 <= walk.now_s - stale_s <= 7.5
        assert len(walk.writes) == before
        assert walk.types.count("stale") == 1
        assert walk.state.prompt is None
        walk.run_until(lambda each: each.state.prompt is not None, 40)
        assert not walk.state.stale
        assert len(walk.writes) == before

    def test_a_steady_belt_is_not_stale(self, walking: Walking) -> None:
        """Ten minutes of the same frame change nothing."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.run_for(60.0)
        assert walk.state.phase is Phase.MOVING
        assert "stale" not in walk.types

    def test_silence_for_good_stops_the_belt(self, walking: Walking) -> None:
        """Nobody can be asked anything: after its time the hold becomes a Stop (S18)."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.fault("silent:150")
        walk.run_to(Phase.STOPPING, 140)
        assert walk.writes[-1][1] == STOP
        walk.run_to(Phase.ENDED, 60)


class TestS11ReconnectLooksFirst:
    """Nothing is re-sent; the walker hears it, and goes on only by saying so."""

    def test_a_dropped_link_resends_nothing(self, walking: Walking) -> None:
        """A wish that was open is unknown, not replayed; the prompt comes once data are back."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.answers = None
        (taken,) = walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.0)
        walk.fault("drop-link:0.5")
        walk.run_until(lambda each: each.state.link == "down", 5)
        assert walk.final(taken.id) == (Outcome.UNKNOWN, Reason.LINK_DOWN)
        assert walk.state.phase is Phase.HOLDING
        assert walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.0)[0].reason is Reason.LINK_DOWN
        walk.run_for(5.0)
        before = len(walk.writes)
        walk.connect()
        walk.run_for(60.0)
        assert len(walk.writes) == before
        assert walk.phrases()[-2:] == [
            "Connected again. Nothing changes until you say so.",
            "Go on with the program? Confirm.",
        ]
        prompt = walk.state.prompt
        assert prompt is not None
        walk.ask(Verb.CONFIRM, prompt=prompt.id)
        assert walk.writes[-1][1] == b"\x00"
        at(walk, 1.0)

    def test_a_link_that_stays_away_ends_the_session(self, walking: Walking) -> None:
        """Two minutes; nothing is claimed about the belt."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.disconnect()
        walk.run_for(121.0)
        assert walk.state.phase is Phase.ENDED
        assert walk.event(EventType.SESSION_ENDED).data["reason"] == "link_down"
        assert walk.phrases()[-1] != "The belt has stopped."

    def test_a_pause_does_not_outlast_the_link(self, walking: Walking) -> None:
        """A belt that somebody started meanwhile is not taken over without a word."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.at_console(walk.server.press_pause)
        walk.run_for(8.0)
        walk.disconnect()
        walk.at_console(walk.server.press_start)
        walk.run_for(8.0)
        walk.answers = None
        walk.connect()
        walk.run_for(30.0)
        assert walk.state.phase is Phase.HOLDING
        assert walk.state.prompt is not None


class TestS12TheBeltMustFollow:
    """A runaway is stopped; a belt that does not follow is held."""

    def test_a_runaway_is_stopped(self, walking: Walking) -> None:
        """Alarm, ramp down, Stop."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.fault("runaway:1")
        began_s = walk.now_s
        walk.run_to(Phase.ENDED, 60)
        assert walk.event(EventType.RUNAWAY).at_s - began_s <= 6.0
        assert walk.writes[-1][1] == STOP
        assert any(text.startswith("Careful, the belt is too fast.") for text in walk.phrases())

    def test_mph_targets_are_a_runaway(self, walking: Walking) -> None:
        """0.6 asked, 0.97 measured: found at the first tenths, by the measurement alone (#4000)."""
        walk = walking(configured=FORWARD, faults=("targets-mph",))
        walk.server.habits = replace(walk.server.habits, tells_own_changes=False)
        walk.run_to(Phase.ENDED, 120)
        assert "runaway" in walk.types
        assert max(target for _, target in walk.targets()) <= 1.0

    def test_a_machine_that_tells_its_miles_is_no_console(self, walking: Walking) -> None:
        """It says at once that the target is 0.9 where 0.6 was asked: nobody's hand did that."""
        walk = walking(configured=FORWARD, faults=("targets-mph",))
        walk.run_to(Phase.ENDED, 120)
        assert "console_override" not in walk.types
        assert "runaway" in walk.types
        assert max(target for _, target in walk.targets()) == 0.6

    def test_a_lazy_belt_is_held(self, walking: Walking) -> None:
        """It acknowledges every rise and stays at 0.5: no further rise, and after 20 s a hold."""
        walk = walking(configured=FORWARD, faults=("lazy-belt",))
        walk.answers = None
        walk.run_to(Phase.HOLDING, 120)
        assert walk.state.problem is Reason.NOT_FOLLOWING
        assert max(target for _, target in walk.targets()) <= 1.0


class TestS13TurnRule:
    """Slow or at rest, told what to do, and nothing faster until the prompt's id comes back."""

    def test_a_turn_waits_for_its_own_confirmation(self, walking: Walking) -> None:
        """Another id does not count; at most 1.0 and level until the right one comes."""
        walk = at(walking(configured=ONE_TURN), 1.5)
        walk.answers = None
        to_turn(walk)
        prompt = walk.state.prompt
        assert prompt is not None
        assert walk.server.belt.speed_kmh == 1.0
        walk.run_for(5.0)
        (refused,) = walk.ask(Verb.CONFIRM, prompt=f"{prompt.id}0")
        assert refused.reason is Reason.PROMPT_MISMATCH
        assert walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.4)[0].reason is Reason.PROMPT_OPEN
        walk.run_for(45.0)
        assert walk.state.phase is Phase.TURNING
        walk.ask(Verb.CONFIRM, prompt=prompt.id)
        walk.run_to(Phase.MOVING, 5)
        assert walk.state.direction is Direction.BACKWARD

    def test_60_seconds_without_an_answer_stop_the_belt(self, walking: Walking) -> None:
        """Walked down, stopped, ended."""
        walk = at(walking(configured=ONE_TURN), 1.5)
        walk.answers = None
        to_turn(walk)
        asked_s = walk.now_s
        walk.run_to(Phase.STOPPING, 70)
        assert walk.now_s - asked_s == pytest.approx(60.0, abs=0.3)
        walk.run_to(Phase.ENDED, 30)
        assert walk.event(EventType.SESSION_ENDED).data["reason"] == "not_confirmed"

    @pytest.mark.parametrize(
        ("level", "minimum_kmh"), [("L0", 1.5), ("CARE", 0.5)], ids=["fast machine", "CARE"]
    )
    def test_the_belt_stops_for_the_turn(
        self, walking: Walking, level: str, minimum_kmh: float
    ) -> None:
        """A minimum above 1.0, or the level CARE: rest, confirmation, and Start at the console."""
        made = {
            **ONE_TURN,
            "programs": {
                "made": program(
                    stretch("forward", 2.0, 60.0),
                    stretch("turn", 1.0, 45.0),
                    stretch("backward", 1.6, 60.0),
                    level=level,
                )["programs"]["made"]  # type: ignore[index]
            },
        }
        walk = walking(level, configured=made, spec=BeltSpec(min_speed_kmh=minimum_kmh))
        to_turn(walk)
        assert walk.server.belt.speed_kmh < 0.05
        walk.run_until(lambda each: "turn_confirmed" in each.types, 30)
        assert walk.server.belt.motion is Motion.REST
        walk.run_to(Phase.MOVING, 90)
        assert walk.state.direction is Direction.BACKWARD
        assert walk.sent(OpCode.START_OR_RESUME) == []
        walk.run_to(Phase.ENDED)
        assert walk.event(EventType.SESSION_ENDED).data["reason"] == "finished"


class TestS14OneThingAtATime:
    """Speed and incline never move together, and a turn is level."""

    def test_incline_first_up_speed_first_down_level_for_a_turn(self, walking: Walking) -> None:
        """Between an incline target and a speed target the first has come to its end."""
        walk = walking(configured=HILL, level="L0")
        moved: list[str] = []
        while walk.state.phase is not Phase.ENDED:
            walk.step()
            belt = walk.server.belt
            tilting = belt.incline_pct != belt.target_incline_pct
            speeding = belt.motion is Motion.RUNNING and belt.speed_kmh != belt.target_speed_kmh
            assert not (tilting and speeding), walk.now_s
            if tilting or speeding:
                moved.append("incline" if tilting else "speed")
            if walk.state.phase is Phase.TURNING and walk.state.prompt is not None:
                assert belt.incline_pct == 0
        order = [name for before, name in zip(["", *moved], moved, strict=False) if before != name]
        assert order[:4] == ["speed", "incline", "speed", "incline"]

    def test_one_open_prompt_at_a_time(self, walking: Walking) -> None:
        """A hold in the middle of a turn withdraws its question."""
        walk = to_turn(walking(configured=ONE_TURN))
        walk.answers = None
        first = walk.state.prompt
        walk.disconnect()
        walk.connect()
        walk.run_for(8.0)
        second = walk.state.prompt
        assert first is not None
        assert second is not None
        assert walk.ask(Verb.CONFIRM, prompt=first.id)[0].reason is Reason.PROMPT_MISMATCH


class TestS15RemoteMaySlowAndStop:
    """Slow-only unless the settings say otherwise; then within every other rule."""

    def test_slow_only(self, walking: Walking) -> None:
        """MQTT may slow, pause and stop; not raise, nor lift what slowed the program."""
        walk = at(walking(configured=FORWARD), 2.0)
        (slower,) = walk.ask(Verb.SLOW)
        assert slower.outcome is Outcome.ACCEPTED
        at(walk, 1.8)
        assert walk.ask(Verb.SPEED, speed_kmh=2.0)[0].reason is Reason.REMOTE_NOT_ALLOWED
        assert walk.ask(Verb.RESUME)[0].reason is Reason.REMOTE_NOT_ALLOWED
        assert walk.final(slower.id) == (Outcome.CONFIRMED, None)

    def test_within_the_program(self, walking: Walking) -> None:
        """Allowed to ask: still no more than the program, and through the announcement."""
        walk = at(walking(configured={**FORWARD, "remote": "within-program"}), 2.0)
        walk.ask(Verb.SPEED, speed_kmh=1.0)
        at(walk, 1.0)
        assert walk.ask(Verb.SPEED, speed_kmh=2.1)[0].reason is Reason.ABOVE_CEILING
        since_s = walk.now_s
        (taken,) = walk.ask(Verb.SPEED, speed_kmh=1.5)
        at(walk, 1.5)
        assert min(at_s for at_s, _ in walk.targets() if at_s > since_s) - since_s >= 12.0
        walk.run_for(1.0)
        assert walk.final(taken.id) == (Outcome.CONFIRMED, None)


class TestS16BadCommandsAreRefused:
    """With a reason, and never partly applied."""

    @pytest.mark.parametrize(
        ("shape", "reason"),
        [
            ({"retained": True}, Reason.RETAINED),
            ({"malformed": True}, Reason.BAD_PAYLOAD),
            ({"age_s": 5.1}, Reason.EXPIRED),
            ({"expired": True}, Reason.EXPIRED),
        ],
    )
    def test_each_kind(self, walking: Walking, shape: dict[str, Any], reason: Reason) -> None:
        """The belt keeps its target, and nothing goes out."""
        walk = at(walking(configured=FORWARD), 2.0)
        before = len(walk.writes)
        command = walk.command(Verb.SPEED, speed_kmh=1.0, **shape)
        walk.give(command)
        assert walk.final(command.id) == (Outcome.REJECTED, reason)
        walk.run_for(5.0)
        assert len(walk.writes) == before

    def test_a_repeat(self, walking: Walking) -> None:
        """The same id a second time is a duplicate."""
        walk = at(walking(configured=FORWARD), 2.0)
        command = walk.command(Verb.SPEED, speed_kmh=1.9)
        walk.give(command)
        walk.give(command)
        assert (Outcome.REJECTED, Reason.DUPLICATE) in walk.answers_of(command.id)


class TestS17UnknownFreezesRises:
    """A write without an indication is unknown until measurement settles it."""

    def test_no_rise_while_an_outcome_is_unknown(self, walking: Walking) -> None:
        """The indications stop on the way up: one more target at most until each is settled."""
        walk = at(walking(configured=FORWARD), 1.0)
        walk.fault("no-indication")
        since_s = walk.now_s
        walk.run_for(20.0)
        rises = [each for each in walk.targets() if each[0] > since_s]
        gaps = [b[0] - a[0] for a, b in pairwise(rises)]
        assert all(gap >= 3.0 for gap in gaps)
        assert walk.state.acknowledged_speed_kmh is not None

    def test_a_refusal_is_reported_with_its_code(self, walking: Walking) -> None:
        """Result 0x03: on the record, heard, and the asker told."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.0)
        at(walk, 1.0)
        (taken,) = walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=2.0)
        walk.fault("result:3")
        walk.run_for(20.0)
        assert walk.event(EventType.REFUSED).data["result_code"] == 3
        assert walk.final(taken.id) == (Outcome.REJECTED, Reason.REFUSED_BY_MACHINE)
        assert walk.phrases()[-1] == "The treadmill said no. Holding this speed."
        assert walk.types.count("refused") == 1


class TestS18EveryEndEndsTheBelt:
    """Finished, unanswered, or the bridge going down: minimum, Stop, rest."""

    def test_a_finished_program(self, walking: Walking) -> None:
        """The last target is the minimum, then Stop, then rest is confirmed."""
        walk = walking(configured=program(stretch("forward", 1.0, 40.0)))
        walk.run_to(Phase.ENDED, 120)
        assert walk.targets()[-1][1] == 0.5
        assert walk.writes[-1][1] == STOP
        assert walk.types[-2:] == ["belt_stopped", "session_ended"]

    def test_an_unanswered_hold(self, walking: Walking) -> None:
        """Nobody says go on for two minutes."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.answers = None
        walk.at_console(walk.server.console_speed, 1.2)
        walk.run_to(Phase.ENDED, 160)
        assert walk.event(EventType.SESSION_ENDED).data["reason"] == "not_confirmed"
        assert walk.server.belt.speed_kmh == 0

    def test_an_orderly_end_of_the_bridge(self, walking: Walking) -> None:
        """Asked by the bridge itself: as any stop."""
        walk = at(walking(configured=FORWARD), 2.0)
        walk.ask(Verb.STOP, Source.BRIDGE)
        walk.run_to(Phase.ENDED, 60)
        assert walk.event(EventType.SESSION_ENDED).data["reason"] == "stop_bridge"
        assert walk.pilot.at_rest


class TestS19ACrashIsSurvivable:
    """A new pilot on a moving belt sends nothing; stop works at once."""

    def test_a_restart_on_a_moving_belt(self, connected: Walking) -> None:
        """Nothing but reads, however long; then stop."""
        walk = connected()
        walk.at_console(walk.server.console_speed, 2.0)
        walk.run_for(60.0)
        assert walk.writes == []
        assert walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=1.0)[0].reason is Reason.NOT_ARMED
        command = walk.command(Verb.STOP)
        walk.give(command)
        assert walk.writes[-1] == (walk.now_s, STOP)
        walk.run_for(10.0)
        assert walk.final(command.id) == (Outcome.CONFIRMED, None)


class TestS20ProvenSpeed:
    """Straight to what this person has held; above it one step each announcement, with the hold."""

    def test_steps_above_the_proven_speed(self, walking: Walking) -> None:
        """L0 backward: 1.0 is proven, then 0.2 at a time, 30 s of holding between."""
        walk = walking(configured=program(stretch("backward", 1.4, 300.0)))
        at(walk, 1.4)
        cues = [each.text for _, each in walk.said if "faster" in each.text]
        assert cues == [f"In 10 seconds, faster: {kmh}." for kmh in ("1", "1 point 2", "1 point 4")]
        first = {target: at_s for at_s, target in reversed(walk.targets())}
        assert first[1.1] - first[1.0] >= 30.0
        assert first[1.3] - first[1.2] >= 30.0

    def test_straight_to_a_proven_speed(self, walking: Walking) -> None:
        """Who has held 1.4 is brought there by one announcement."""
        held = Walker(
            id="me", level=LEVELS["L0"], accepted_safety=1, proven_kmh=((Direction.BACKWARD, 1.4),)
        )
        made = {**program(stretch("backward", 1.4, 300.0)), "walkers": {"me": held}}
        walk = at(walking(configured=made), 1.4)
        assert sum("faster" in text for text in walk.phrases()) == 1


class TestS21UnitsAreProven:
    """2.0 km/h until commissioning has shown what a kilometre an hour is."""

    def test_the_cap(self, walking: Walking) -> None:
        """A program of 4.0 stays at 2.0, and no wish goes beyond."""
        made = {**program(stretch("forward", 4.0, 120.0)), "units_proven": False}
        walk = at(walking(configured=made), 2.0)
        assert walk.ask(Verb.SPEED, Source.PAGE, speed_kmh=2.1)[0].reason is Reason.ABOVE_CEILING
        walk.run_to(Phase.ENDED, 200)
        assert max(target for _, target in walk.targets()) == 2.0
