"""The whole pilot against a simulated belt, with everything going wrong at random (Hypothesis).

People, consoles, keys, links, voices and clocks are the rules of the machine; after every step each
write that left is judged by `tests.judge`, which knows the safety rules and none of the rooms.
``--hypothesis-profile=long`` makes it a long search (about a million steps).
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from bridge.core.messages import (
    Command,
    Delivered,
    Direction,
    Notification,
    Phase,
    Program,
    Segment,
    Source,
    Verb,
    VoicesListening,
)
from bridge.simulator.belt import BeltSpec
from bridge.simulator.habits import parse_fault
from tests.judged import JudgedWalk
from tests.virtual import settings as pilot_settings

MACHINES = {
    "plain": BeltSpec(),
    "coarse": BeltSpec(min_speed_kmh=1.0, step_speed_kmh=0.5, step_incline_pct=1.0),
    "fast at its slowest": BeltSpec(min_speed_kmh=1.6, max_speed_kmh=20.0),
    "lame": BeltSpec(acceleration_kmh_per_s=0.15, deceleration_kmh_per_s=0.15),
}
LEVELS = ("CARE", "L0", "L1", "L3")
SHORT = Program(
    id="short",
    name="Short",
    level="CARE",
    segments=(
        Segment(direction=Direction.FORWARD, duration_s=50.0, speed_kmh=3.0, incline_pct=2.0),
        Segment(direction=Direction.TURN, duration_s=5.0, speed_kmh=1.0),
        Segment(direction=Direction.BACKWARD, duration_s=60.0, speed_kmh=4.5),
        Segment(direction=Direction.BACKWARD, duration_s=20.0, speed_kmh=1.0),
        Segment(direction=Direction.TURN, duration_s=5.0, speed_kmh=1.0),
        Segment(direction=Direction.FORWARD, duration_s=20.0, speed_kmh=9.0),
    ),
)
"""Everything a program can ask, and more than most levels allow, in less than three minutes."""

HABITS = (
    *("late-data:0.5", "late-data:2", "no-indication", "result:4", "result:5", "split-records"),
    *("lazy-belt", "ignores-incline", "start-toggle", "silent:2", "silent:8", "silent:20"),
    *("runaway:0", "control-lost:0", "drop-link:0", "reboot:0"),
)
ANYONE = st.sampled_from((Source.MQTT, Source.PAGE, Source.LOCAL))
ANY_SPEED = st.one_of(
    st.floats(min_value=0, max_value=12),
    st.sampled_from((0.0, 0.5, 1.0, 2.4, 25.0)),
    st.floats(),
)


class AnyWalk(RuleBasedStateMachine):
    """One pilot, one belt, and a world that does as it likes."""

    walk: JudgedWalk

    @initialize(
        level=st.sampled_from(LEVELS),
        machine=st.sampled_from(sorted(MACHINES)),
        proven=st.booleans(),
        page=st.booleans(),
        remote=st.sampled_from(("slow-only", "within-program")),
        begun_s=st.sampled_from((0.0, 15.0, 30.0, 55.0, 70.0, 90.0, 120.0, 150.0)),
    )
    def begin(
        self,
        *,
        level: str,
        machine: str,
        proven: bool,
        page: bool,
        remote: str,
        begun_s: float,
    ) -> None:
        """A treadmill, a walker, and mostly a session that has gone well for a while."""
        self.walk = JudgedWalk(
            settings=pilot_settings(
                level,
                units_proven=proven,
                start="page" if page else "console",
                remote=remote,
                programs={"short": SHORT},
            ),
            spec=MACHINES[machine],
            answers=None,
            presses_start=None,
        )
        if begun_s:
            self.walk.answers, self.walk.presses_start = 2.0, 2.0
            self.walk.ask(Verb.ARM, Source.PAGE)
            self.walk.run_for(begun_s)
            self.walk.presses_start = None

    # --- time ------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0.05, 0.5, 1.0, 3.0, 10.0, 30.0, 90.0)))
    def time_passes(self, seconds: float) -> None:
        """And the world goes on."""
        self.walk.run_for(seconds)

    @rule(seconds=st.sampled_from((2.0, 12.0, 100.0, 4000.0)))
    def clock_jumps(self, seconds: float) -> None:
        """The computer slept: the machine did not."""
        self.walk.now_s = round(self.walk.now_s + seconds, 6)

    # --- people ----------------------------------------------------------------------------------

    @rule(source=ANYONE, now=st.booleans())
    def stop(self, *, source: Source, now: bool) -> None:
        """Somebody stops."""
        self.walk.ask(Verb.STOP, source, now=now)

    @rule(
        source=ANYONE,
        verb=st.sampled_from(
            (Verb.PAUSE, Verb.RESUME, Verb.SLOW, Verb.DISARM, Verb.START, Verb.RATE)
        ),
    )
    def ask(self, *, source: Source, verb: Verb) -> None:
        """Somebody asks for something without a value."""
        self.walk.ask(verb, source)

    @rule(source=ANYONE)
    def arm(self, source: Source) -> None:
        """Somebody arms."""
        self.walk.ask(Verb.ARM, source)

    @rule(source=ANYONE, right=st.integers(min_value=0, max_value=4))
    def confirm(self, *, source: Source, right: int) -> None:
        """Somebody confirms; mostly the question that is open."""
        prompt = self.walk.state.prompt
        shown = prompt.id if prompt is not None and right else "garage-b1-ask-0"
        self.walk.ask(Verb.CONFIRM, source, prompt=shown)

    @rule(source=ANYONE, speed_kmh=ANY_SPEED)
    def speed(self, *, source: Source, speed_kmh: float) -> None:
        """Somebody wants a speed, or writes nonsense."""
        self.walk.ask(Verb.SPEED, source, speed_kmh=speed_kmh)

    @rule(source=ANYONE, incline_pct=st.one_of(st.floats(min_value=0, max_value=12), st.floats()))
    def incline(self, *, source: Source, incline_pct: float) -> None:
        """Somebody wants a slope, or writes nonsense."""
        self.walk.ask(Verb.INCLINE, source, incline_pct=incline_pct)

    @rule(
        source=ANYONE,
        verb=st.sampled_from(Verb),
        how=st.sampled_from(("retained", "expired", "malformed", "old", "repeated")),
    )
    def bad_command(self, *, source: Source, verb: Verb, how: str) -> None:
        """A command that must be turned away, unless it is a stop."""
        prompt = self.walk.state.prompt
        values: dict[str, Any] = {"old": {"age_s": 6.0}, "repeated": {}}.get(how, {how: True})
        number = 1 if how == "repeated" else None
        if verb is Verb.CONFIRM and prompt is not None:
            values = {**values, "prompt": prompt.id}
        if number is None:
            self.walk.ask(verb, source, **values)
        elif self.walk.number:
            self.walk.give(Command(id=f"c{number}", verb=verb, source=source, **values))

    @rule(hears=st.sampled_from((None, 0.0, 2.0, 6.0)), answers=st.sampled_from((None, 3.0, 70.0)))
    def walker_changes(self, *, hears: float | None, answers: float | None) -> None:
        """How quickly announcements are spoken, and questions answered."""
        self.walk.hears, self.walk.answers = hears, answers

    @rule(somebody=st.booleans())
    def voices(self, *, somebody: bool) -> None:
        """Voices come and go."""
        channels = frozenset({"mqtt"}) if somebody else frozenset()
        self.walk.give(VoicesListening(channels=channels))

    @rule(number=st.integers(min_value=1, max_value=20), counts=st.booleans())
    def heard(self, *, number: int, counts: bool) -> None:
        """Some announcement, perhaps long over, is reported as spoken, perhaps by a stranger."""
        channel = "page" if counts else "radio"
        self.walk.give(Delivered(announcement_id=f"garage-b1-say-{number}", channel=channel))

    # --- the machine -----------------------------------------------------------------------------

    @rule()
    def press_start(self) -> None:
        """A hand at the console."""
        self.walk.server.press_start(self.walk.now_s)

    @rule()
    def press_stop(self) -> None:
        """A hand at the console."""
        self.walk.server.press_stop(self.walk.now_s)

    @rule()
    def press_pause(self) -> None:
        """A hand at the console."""
        self.walk.server.press_pause(self.walk.now_s)

    @rule(speed_kmh=st.sampled_from((0.5, 0.8, 1.0, 1.2, 2.0, 6.0)))
    def console_speed(self, speed_kmh: float) -> None:
        """A hand at the console."""
        self.walk.server.console_speed(speed_kmh, self.walk.now_s)

    @rule(incline_pct=st.sampled_from((0.0, 1.0, 4.0)))
    def console_incline(self, incline_pct: float) -> None:
        """A hand at the console."""
        self.walk.server.console_incline(incline_pct, self.walk.now_s)

    @rule(out=st.booleans())
    def key(self, *, out: bool) -> None:
        """The safety key."""
        if out:
            self.walk.server.pull_key(self.walk.now_s)
        else:
            self.walk.server.insert_key(self.walk.now_s)

    @rule(fault=st.sampled_from(HABITS))
    def fault(self, fault: str) -> None:
        """The machine falls ill."""
        self.walk.server.set_fault(parse_fault(fault), self.walk.now_s)

    @rule(seconds=st.sampled_from((5.0, 40.0)))
    def all_is_well(self, seconds: float) -> None:
        """For a while everything and everybody does what it should."""
        walk = self.walk
        walk.server.clear_faults(walk.now_s)
        walk.server.insert_key(walk.now_s)
        walk.hears, walk.answers, walk.presses_start = 1.0, 2.0, 2.0
        walk.give(VoicesListening(channels=frozenset({"mqtt"})))
        walk.run_for(seconds)
        walk.presses_start = None

    @rule(
        uuid16=st.sampled_from((0x2ACD, 0x2AD9, 0x2ADA, 0x2AD3)),
        payload=st.binary(max_size=6),
    )
    def noise(self, *, uuid16: int, payload: bytes) -> None:
        """Bytes that the machine never meant, where they say nothing that changes the belt."""
        if uuid16 == 0x2AD9 or payload[:1] == b"":
            self.walk.give(Notification(uuid16, payload[:2]))

    # --- the link --------------------------------------------------------------------------------

    @precondition(lambda self: self.walk.server.connected)
    @rule()
    def link_lost(self) -> None:
        """Out of reach."""
        self.walk.disconnect()

    @precondition(lambda self: not self.walk.server.connected)
    @rule()
    def link_found(self) -> None:
        """In reach again, if the machine is on the air."""
        if self.walk.server.on_air(self.walk.now_s):
            self.walk.connect()

    # --- what must always hold -------------------------------------------------------------------

    @invariant()
    def nothing_is_broken(self) -> None:
        """No rule, by anything that has left so far."""
        assert not self.walk.judge.violations, "\n".join(map(str, self.walk.judge.violations))

    @invariant()
    def two_sided(self) -> None:
        """What is shown lies within bounds on both sides, and the phase fits the state."""
        state = self.walk.state
        for value in (state.target_speed_kmh, state.acknowledged_speed_kmh, state.speed_kmh):
            assert value is None or 0 <= value <= 25
        assert state.target_incline_pct is None or 0 <= state.target_incline_pct <= 15
        if state.phase in {Phase.IDLE, Phase.ENDED}:
            assert state.prompt is None
            assert state.target_speed_kmh is None
        assert self.walk.pilot.next_wakeup_s(self.walk.now_s) >= self.walk.now_s


TestAnyWalk = pytest.mark.timeout(0)(AnyWalk.TestCase)
TestAnyWalk.settings = settings(suppress_health_check=list(HealthCheck), deadline=None)
