"""Everything one treadmill's session consists of, in one place, and the ways out of it.

The procedures (steering, turning, holding, stopping, answering commands) are modules beside this
one, and each works on a `Deck`. Nothing here decides anything: it names the rooms, builds the
governor's view and collects what goes out.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from bridge.core.admission import Admission
from bridge.core.announcements import Announcements
from bridge.core.belt import AT_REST_KMH, Belt
from bridge.core.changes import Changes
from bridge.core.control_point import ControlPoint
from bridge.core.drive import Drive
from bridge.core.governor import View
from bridge.core.heart import Heart
from bridge.core.messages import (
    Announcement,
    ClearedIncline,
    ClearedSpeed,
    CommandResult,
    Direction,
    EventType,
    Language,
    Outcome,
    Output,
    Phase,
    Program,
    Reason,
    SessionEvent,
    Urgency,
    Verb,
    Walker,
)
from bridge.core.program import ProgramRun, proven_kmh
from bridge.core.prompts import Prompt, PromptKind, Prompts
from bridge.core.quirks import STANDARD, Quirks
from bridge.core.session import Session

_DUST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotSettings:
    """What people have configured for one treadmill, as records.

    ``voices`` are the channels whose delivery counts (S6). ``boot`` makes the ids of this run of
    the bridge different from those of the last. ``devices`` are the device profiles' departures
    from FTMS, by id. ``units_proven`` lifts the cap of S21.
    """

    treadmill: str
    boot: str
    language: Language
    programs: Mapping[str, Program]
    levels: Mapping[str, int]
    walkers: Mapping[str, Walker]
    walker: str
    voices: frozenset[str]
    new_session_id: Callable[[], str]
    devices: Mapping[str, Quirks] = field(default_factory=dict)
    start: Literal["console", "page"] = "console"
    remote: Literal["slow-only", "within-program"] = "slow-only"
    safety_version: int = 1
    units_proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCommand:
    """A command that was accepted and waits for its final outcome.

    ``reaches_kmh`` or ``reaches_pct`` is what must be measured for it to be confirmed; one with
    neither waits for the belt at rest.
    """

    id: str
    verb: Verb
    gives_up_at_s: float
    reaches_kmh: float | None = None
    reaches_pct: float | None = None


TARGETS = frozenset({Verb.SPEED, Verb.SLOW, Verb.INCLINE})
"""The verbs that ask for a target; what takes the belt out of their hands answers them."""


class TurnStep(StrEnum):
    """Where a turn stands (`bridge.core.turning`)."""

    SLOWING = "slowing"
    HALTING = "halting"
    ASKED = "asked"
    CONFIRMED = "confirmed"
    AWAITING_START = "awaiting start"


class HaltGoal(StrEnum):
    """What a belt at rest is for."""

    END = "end"
    PAUSE = "pause"
    TURN = "turn"


@dataclass(slots=True, kw_only=True)
class Halt:
    """A belt that is being brought to rest (`bridge.core.stopping`).

    ``waiting_since_s`` is when there was nothing left but to wait for the belt: Stop was written,
    or the link went.
    """

    goal: HaltGoal
    reason: str
    began_at_s: float
    at_once: bool = False
    stop_sent_at_s: float | None = None
    waiting_since_s: float | None = None
    control_asked: bool = False
    taken: bool = False
    slowest_kmh: float | None = None
    slowest_at_s: float = 0.0
    alarmed: bool = False


@dataclass(slots=True, kw_only=True)
class Deck:
    """The rooms of one treadmill's session. Built once; sessions come and go on it."""

    settings: PilotSettings
    belt: Belt
    control_point: ControlPoint
    drive: Drive
    admission: Admission
    announcements: Announcements
    prompts: Prompts
    session: Session = field(default_factory=Session)
    changes: Changes = field(default_factory=Changes)
    heart: Heart = field(default_factory=Heart)
    quirks: Quirks = STANDARD
    linked_at_s: float = -math.inf
    walker: Walker | None = None
    run: ProgramRun | None = None
    turn: TurnStep | None = None
    halt: Halt | None = None
    problem: Reason | None = None
    tether_confirmed: bool = False
    too_fast_said: bool = False
    waiting_since_s: float = 0.0
    rest_since_s: float | None = None
    stood: bool = False
    started_at_s: float = -math.inf
    slower_kmh: float | None = None
    eased_kmh: float | None = None
    eased_pct: float | None = None
    commands: list[OpenCommand] = field(default_factory=list)
    out: list[Output] = field(default_factory=list)

    # --- the ways out ----------------------------------------------------------------------------

    def event(self, kind: EventType, now_s: float, **data: object) -> None:
        """Put something on the durable record."""
        self.out.append(SessionEvent(type=kind, session=self.session.id, at_s=now_s, data=data))

    def say(
        self,
        phrase: str,
        now_s: float,
        *,
        urgency: Urgency = Urgency.INFO,
        lead_s: float = 0.0,
        values: Mapping[str, str | float] | None = None,
    ) -> Announcement:
        """Queue an announcement for every voice."""
        spoken = self.announcements.say(
            phrase, now_s, urgency=urgency, lead_s=lead_s, values=values
        )
        self.out.append(spoken)
        return spoken

    def ask(
        self,
        kind: PromptKind,
        phrase: str,
        now_s: float,
        values: Mapping[str, str | float] | None = None,
    ) -> Prompt:
        """Open a question and say it."""
        spoken = self.say(phrase, now_s, urgency=Urgency.WARN, values=values)
        return self.prompts.ask(kind, spoken.text, now_s)

    def result(
        self, command_id: str, verb: Verb, outcome: Outcome, reason: Reason | None = None
    ) -> None:
        """Answer a command."""
        self.out.append(
            CommandResult(
                id=command_id,
                verb=verb,
                outcome=outcome,
                reason=reason,
                measured_kmh=self.belt.measured_speed_kmh,
            )
        )

    def close(
        self, verbs: Collection[Verb], outcome: Outcome, reason: Reason | None = None
    ) -> None:
        """Give every open command of these verbs its final answer."""
        for command in [each for each in self.commands if each.verb in verbs]:
            self.commands.remove(command)
            self.result(command.id, command.verb, outcome, reason)

    def close_above(self, speed_kmh: float, incline_pct: float, reason: Reason) -> None:
        """Refuse every open target that is higher than this: it is not going to be reached."""
        for command in list(self.commands):
            too_fast = command.reaches_kmh is not None and command.reaches_kmh > speed_kmh + _DUST
            too_steep = (
                command.reaches_pct is not None and command.reaches_pct > incline_pct + _DUST
            )
            if command.verb in TARGETS and (too_fast or too_steep):
                self.commands.remove(command)
                self.result(command.id, command.verb, Outcome.REJECTED, reason)

    # --- the way to the machine ------------------------------------------------------------------

    def drive_towards(self, speed_kmh: float, incline_pct: float, now_s: float) -> None:
        """Hand out the next target on the way to a goal; one event for each goal, at its first."""
        drive, changes = self.drive, self.changes
        before_kmh, before_pct = drive.cleared_speed_kmh, drive.cleared_incline_pct
        answer = drive.towards(speed_kmh, incline_pct, self.view(now_s), now_s)
        if not isinstance(answer, (ClearedSpeed, ClearedIncline)):
            return
        goal = changes.goal(speed_kmh, incline_pct)
        if goal == changes.noted:
            return
        changes.noted = goal
        self.event(
            EventType.TARGET_CHANGED,
            now_s,
            from_kmh=before_kmh,
            target_speed_kmh=goal[0],
            from_pct=before_pct,
            target_incline_pct=goal[1],
        )

    # --- what everybody asks ---------------------------------------------------------------------

    @property
    def direction(self) -> Direction:
        """How the walker faces now, as the program has it; a free belt counts as backward."""
        return Direction.BACKWARD if self.run is None else self.run.segment.direction

    @property
    def rests_for_turn(self) -> bool:
        """The belt has been brought to rest for a turn and has not been started again."""
        if self.turn is TurnStep.ASKED:
            return self.drive.cleared_speed_kmh <= AT_REST_KMH
        return self.turn in {TurnStep.HALTING, TurnStep.AWAITING_START}

    @property
    def awaits_start(self) -> bool:
        """A person has been asked to start the belt."""
        waiting = self.session.phase in {Phase.ARMED, Phase.PAUSED}
        return self.tether_confirmed and (waiting or self.turn is TurnStep.AWAITING_START)

    @property
    def who(self) -> Walker:
        """The walker of this session, or the one configured for this treadmill."""
        return self.walker or self.settings.walkers[self.settings.walker]

    @property
    def _urgent(self) -> bool:
        """S7: the first step of a halt does not wait its second, unless one down has just left."""
        going_down = self.drive.watch.lowered_from_kmh is not None
        halt = self.halt
        return halt is not None and self.drive.written_at_s < halt.began_at_s and not going_down

    def view(self, now_s: float, *, direction: Direction | None = None) -> View:
        """What the governor may see at this moment."""
        walker = self.who
        belt, drive = self.belt, self.drive
        direction = direction or self.direction
        return View(
            now_s=now_s,
            level=walker.level,
            direction=direction,
            speed_range=belt.speed_range,
            incline_range=belt.machine.incline_range,
            person_max_kmh=walker.max_speed_kmh,
            units_proven=self.settings.units_proven,
            armed=self.run is not None,
            link_up=belt.link_up,
            control_held=belt.control_held,
            key_out=belt.key == "out",
            turn_open=self.turn is TurnStep.ASKED,
            fresh=belt.fresh(now_s),
            measured_speed_kmh=belt.measured_speed_kmh,
            measured_incline_pct=belt.measured_incline_pct,
            unknown_outcome=belt.unknown_outcome,
            heart_too_high=self.heart.freezes_rises(now_s),
            cleared_speed_kmh=drive.cleared_speed_kmh,
            cleared_incline_pct=drive.cleared_incline_pct,
            written_at_s=drive.written_at_s,
            changed_at_s=drive.changed_at_s,
            urgent=self._urgent,
            steady_since_s=drive.steady_since_s,
            proven_kmh=proven_kmh(walker, direction),
            permit=self.changes.permit(self.announcements),
        )
