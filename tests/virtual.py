"""A whole walk in virtual time: the real pilot against the simulated treadmill's pure server.

No Bluetooth, no event loop, no clock: `Walk.run_until` steps both sides. A person is simulated by a
few switches: whether they hear, how long they take to answer, what they do at the console. Every
control-point write is kept with its time, so that a test can judge what really went out.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.core.control_codec import decode_request
from bridge.core.deck import PilotSettings
from bridge.core.ftms import decode_incline_range, decode_speed_range
from bridge.core.messages import (
    Announcement,
    Command,
    CommandResult,
    ControlPointWrite,
    Delivered,
    Direction,
    EventType,
    Input,
    LinkDown,
    LinkUp,
    Machine,
    Notification,
    OpCode,
    Outcome,
    Output,
    Phase,
    Program,
    Reason,
    Segment,
    SessionEvent,
    Source,
    State,
    Verb,
    VoicesListening,
    Walker,
    WriteOutcome,
)
from bridge.core.pilot import Pilot
from bridge.core.quirks import STANDARD
from bridge.profiles import load_language, load_levels, load_programs
from bridge.simulator.belt import BeltSpec
from bridge.simulator.ftms_server import FtmsServer
from bridge.simulator.habits import parse_fault
from bridge.simulator.model import Model

STEP_S = 0.05
_Range = TypeVar("_Range")
CONTROL_POINT = 0x2AD9


def settings(level: str = "L0", **changes: object) -> PilotSettings:
    """Settings of one treadmill with one walker of this level, who has accepted the safety text."""
    levels, programs = load_levels(), load_programs()
    walker = Walker(id="me", level=levels[level], accepted_safety=1)
    numbers = iter(range(1, 1_000_000))
    values: dict[str, object] = {
        "treadmill": "garage",
        "boot": "b1",
        "language": load_language("en"),
        "programs": programs,
        "levels": {each.id: each.rank for each in levels.values()},
        "walkers": {"me": walker},
        "walker": "me",
        "voices": frozenset({"page", "mqtt"}),
        "units_proven": True,
        "new_session_id": lambda: f"session-{next(numbers)}",
    }
    values.update(changes)
    return PilotSettings(**values)  # type: ignore[arg-type]


def program(*segments: Segment, level: str = "L0") -> dict[str, object]:
    """A setting: the one program is this."""
    made = Program(id="made", name="Made for a test", level=level, segments=segments)
    return {"programs": {made.id: made}}


def stretch(
    direction: str = "forward",
    speed_kmh: float = 1.0,
    duration_s: float = 60.0,
    incline_pct: float = 0.0,
) -> Segment:
    """One segment."""
    return Segment(
        direction=Direction(direction),
        speed_kmh=speed_kmh,
        duration_s=duration_s,
        incline_pct=incline_pct,
    )


@dataclass
class Walk:
    """One pilot, one treadmill, one person; ``hears`` and ``answers`` in seconds, None: never."""

    settings: PilotSettings = field(default_factory=settings)
    spec: BeltSpec = field(default_factory=BeltSpec)
    model: Model | None = None
    faults: tuple[str, ...] = ()
    hears: float | None = 2.0
    answers: float | None = 6.0
    presses_start: float | None = 3.0
    device: str = ""
    now_s: float = 1000.0
    writes: list[tuple[float, bytes]] = field(default_factory=list)
    events: list[SessionEvent] = field(default_factory=list)
    said: list[tuple[float, Announcement]] = field(default_factory=list)
    results: list[CommandResult] = field(default_factory=list)
    answered: list[int | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Connect; one listening voice."""
        self.pilot = Pilot(self.settings)
        faults = [parse_fault(fault) for fault in self.faults]
        if self.model is None:
            self.server = FtmsServer(spec=self.spec, faults=faults, now_s=self.now_s)
        else:
            self.server = FtmsServer(
                spec=self.model.spec, habits=self.model.habits, faults=faults, now_s=self.now_s
            )
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.wakes_at_s = self.now_s
        self.prompt_seen: str | None = None
        self.start_planned = False
        self.number = 0
        self.give(VoicesListening(channels=frozenset({"mqtt"})))
        self.connect()

    # --- the world -------------------------------------------------------------------------------

    def connect(self) -> None:
        """The radio finds the machine, and the link unlocks it as its profile says."""
        self.server.connect(self.now_s, 185)
        self._unlock("connect")
        self.give(
            LinkUp(
                machine=Machine(
                    speed_range=self._range(0x2AD4, decode_speed_range),
                    incline_range=self._range(0x2AD5, decode_incline_range),
                    controllable=CONTROL_POINT not in self.server.habits.lacks,
                ),
                device=self.device,
            )
        )

    def _range(self, uuid16: int, decode: Callable[[bytes], _Range]) -> _Range | None:
        try:
            return decode(self.server.read(uuid16))
        except LookupError:
            return None

    def disconnect(self) -> None:
        """Out of reach."""
        self.server.disconnect(self.now_s)
        self.give(LinkDown(detail="test"))

    def give(self, item: Input) -> None:
        """Hand one input to the pilot and carry out what it says."""
        self._carry_out(self.pilot.receive(item, self.now_s))

    def _carry_out(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case ControlPointWrite():
                    self._write(output)
                case Announcement():
                    self.said.append((self.now_s, output))
                    if self.hears is not None:
                        self.after(self.hears, Delivered(announcement_id=output.id, channel="mqtt"))
                case SessionEvent():
                    self.events.append(output)
                case CommandResult():
                    self.results.append(output)

    def _write(self, write: ControlPointWrite) -> None:
        if not self.server.connected:
            self.after(0.0, WriteOutcome(write_id=write.write_id, error="not connected"))
            return
        self.writes.append((self.now_s, write.payload))
        self._unlock("each-write")
        error = self.server.control_write(write.payload, self.now_s)
        self.answered.append(error)
        self.after(0.0, WriteOutcome(write_id=write.write_id, att_error=error))

    def _unlock(self, at: str) -> None:
        quirks = self.settings.devices.get(self.device, STANDARD)
        for preamble in quirks.preamble:
            if preamble.at == at:
                self.server.vendor_write(preamble.characteristic, preamble.payload, self.now_s)

    def after(self, seconds: float, item: Input) -> None:
        """Hand this input to the pilot later."""
        self.later.append((self.now_s + seconds, lambda: self.give(item)))

    def step(self) -> None:
        """One small step of the world."""
        self.now_s = round(self.now_s + STEP_S, 6)
        was_connected = self.server.connected
        for uuid16, payload, _ in self.server.outgoing(self.now_s):
            self.give(Notification(uuid16, payload))
        if was_connected and not self.server.connected:
            self.give(LinkDown(detail="lost"))
        due = [entry for entry in self.later if entry[0] <= self.now_s]
        self.later = [entry for entry in self.later if entry[0] > self.now_s]
        for _, act in due:
            act()
        self._person()
        if self.now_s >= self.wakes_at_s:
            self.tick()

    def tick(self) -> None:
        """Tell the pilot the time."""
        self._carry_out(self.pilot.tick(self.now_s))
        self.wakes_at_s = self.pilot.next_wakeup_s(self.now_s)

    def _person(self) -> None:
        prompt = self.pilot.deck.prompts.open
        if prompt is not None and prompt.id != self.prompt_seen:
            self.prompt_seen = prompt.id
            if self.answers is not None:
                self.after(self.answers, self.command(Verb.CONFIRM, prompt=prompt.id))
        waiting = self.said and self.said[-1][1].text.endswith("press Start on the treadmill.")
        if waiting and not self.start_planned and self.presses_start is not None:
            self.start_planned = True
            self.later.append(
                (self.now_s + self.presses_start, lambda: self.server.press_start(self.now_s))
            )
        if not waiting:
            self.start_planned = False

    # --- what a test says and asks ---------------------------------------------------------------

    def command(self, verb: Verb, source: Source = Source.MQTT, **values: object) -> Command:
        """A command with a fresh id."""
        self.number += 1
        return Command(id=f"c{self.number}", verb=verb, source=source, **values)  # type: ignore[arg-type]

    def ask(
        self, verb: Verb, source: Source = Source.MQTT, **values: object
    ) -> list[CommandResult]:
        """Give a command now; the results that came at once."""
        command = self.command(verb, source, **values)
        before = len(self.results)
        self.give(command)
        return self.results[before:]

    def run_for(self, seconds: float) -> None:
        """Let this much time pass."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.step()

    def run_until(self, done: Callable[["Walk"], bool], at_most_s: float = 3600.0) -> None:
        """Let time pass until something is so; fails when it never is."""
        end_s = self.now_s + at_most_s
        while not done(self):
            assert self.now_s < end_s, f"never so: {self.state} {self.types[-8:]}"
            self.step()

    def run_to(self, phase: Phase, at_most_s: float = 3600.0) -> None:
        """Let time pass until the session has come to this phase."""
        self.run_until(lambda walk: walk.state.phase is phase, at_most_s)

    def arm(self, program: str | None = "first-minute") -> None:
        """Arm, confirm the tether, press Start, and wait until the belt is adopted."""
        self.ask(Verb.ARM, program=program)
        self.run_to(Phase.MOVING, 60)

    def fault(self, text: str) -> None:
        """Give the machine a fault from now on, as the simulator writes it."""
        self.server.set_fault(parse_fault(text), self.now_s)

    def at_console(self, hand: Callable[..., None], *values: float) -> None:
        """A hand at the machine: ``walk.at_console(walk.server.press_stop)``."""
        hand(*values, self.now_s)

    def answers_of(self, command_id: str) -> list[tuple[Outcome, Reason | None]]:
        """Every result that a command got."""
        return [(each.outcome, each.reason) for each in self.results if each.id == command_id]

    def final(self, command_id: str) -> tuple[Outcome, Reason | None]:
        """The one final result of a command; fails unless there is exactly one."""
        answers = self.answers_of(command_id)
        finals = [answer for answer in answers if answer[0] is not Outcome.ACCEPTED]
        assert len(finals) == 1, answers
        return finals[0]

    def sent(self, opcode: OpCode, since_s: float = 0.0) -> list[float]:
        """When this request went out."""
        return [at_s for at_s, payload in self.writes if payload[0] == opcode and at_s >= since_s]

    def phrases(self) -> list[str]:
        """What was said, in order."""
        return [announcement.text for _, announcement in self.said]

    @property
    def state(self) -> State:
        """The pilot's public state."""
        return self.pilot.state(self.now_s)

    @property
    def types(self) -> list[str]:
        """The events so far, by type."""
        return [event.type.value for event in self.events]

    def event(self, kind: EventType) -> SessionEvent:
        """The last event of this type."""
        return next(event for event in reversed(self.events) if event.type is kind)

    def targets(self) -> list[tuple[float, float]]:
        """Every target speed that went out: (when, km/h)."""
        return [
            (at_s, target_kmh)
            for at_s, payload in self.writes
            if (target_kmh := decode_request(payload).target_speed_kmh) is not None
        ]
