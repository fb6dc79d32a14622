"""An independent judge of one treadmill's pilot: the safety rules, seen from outside.

It is told what went in (machine, link, voices, people) and what came out (writes, announcements,
events, results, the public state), in order and with times, and notes every rule that was broken.
It shares the records and the byte layouts with the core, and nothing else: no room, no governor,
no constant. Rules it knows: S1 to S18, S20 and S21, as far as they can be seen from outside.

    judge = Judge(settings)
    judge.take_in(item, now_s)            before the pilot gets it
    judge.take_out(outputs, now_s)        what the pilot answered
    judge.look(pilot.state(now_s), now_s, ticked=...)
    judge.violations                      empty, or what went wrong

*Standing* is the target that the machine has by all that is known: the last one written, or what
was measured when a belt was taken over. A *rise* is a target above it.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from bridge.core.control_codec import ControlRequest, decode_request, decode_response, decode_status
from bridge.core.deck import PilotSettings
from bridge.core.errors import DecodeError
from bridge.core.ftms import decode_treadmill_data
from bridge.core.messages import (
    Announcement,
    Command,
    CommandResult,
    ControlPointWrite,
    ControlResponse,
    Delivered,
    Direction,
    EventType,
    Input,
    LinkDown,
    LinkUp,
    Machine,
    MachineStatus,
    Notification,
    OpCode,
    Outcome,
    Output,
    Phase,
    ResultCode,
    SessionEvent,
    Source,
    SpeedRange,
    State,
    StatusCode,
    Verb,
    VoicesListening,
    Walker,
    WriteOutcome,
)

REST_KMH = 0.05
TURN_KMH = 1.0
RUNAWAY_KMH = 0.3
RUNAWAY_S = 2.0
NOT_PROVEN_KMH = 2.0
STALE_S = 3.0
SILENCE_S = 10.0
LEVEL_PCT = 0.3
SPACING_S = 1.0
SETTLES_S = 1.5
"""How long a belt must run one of two possible targets to settle which one it has (S17)."""

ANSWER_S = 3.0
"""How long a control procedure may stay unanswered before its outcome is unknown (S17)."""

LATE_S = 0.5
"""What a rule with a time gives away to the interval at which the pilot is woken."""

STOP_SILENCE_S = 30.0
PROMPT_S = 60.0
LONGEST_WALK_DOWN_S = 90.0
"""S18: the slowest ramp of all levels, from the fastest speed of its level, and a wide margin."""

LONGEST_NAP_S = 2.0
"""What a gap in the pilot's own time counts towards rules with a time: it could not act in it."""

_EPS = 1e-6
_DRIVING = frozenset({Phase.MOVING, Phase.TURNING})
_EASING = frozenset({Verb.PAUSE, Verb.SLOW, Verb.SPEED})
_OVER = frozenset({Phase.IDLE, Phase.ARMED, Phase.ENDED})
_FALLBACK_RANGE = SpeedRange(min_speed_kmh=1.0, max_speed_kmh=6.0, step_speed_kmh=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One rule broken, when, and how."""

    rule: str
    what: str
    at_s: float

    def __str__(self) -> str:
        """As it is printed under a counterexample."""
        return f"{self.rule} at {self.at_s:.2f} s: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A rise that was announced: to where, from where, and when it was heard."""

    id: str
    speed_kmh: float | None
    incline_pct: float | None
    said_at_s: float
    from_kmh: float
    since_target_s: float
    heard_at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A write that the machine has not answered. ``before`` is what stood before it."""

    opcode: int
    write_id: int
    sent_at_s: float
    before: float | None = None
    value: float | None = None


@lru_cache(maxsize=16)
def _pattern(template: str, name: str, mark: str) -> re.Pattern[str]:
    number = rf"(?P<{name}>\d+(?:{re.escape(mark)}\d+)?)"
    text = re.escape(template)
    text = text.replace(re.escape(f"{{{name}}}"), number)
    return re.compile(re.sub(r"\\\{\w+\\\}", r".+?", text))


@dataclass(slots=True, kw_only=True)
class Judge:
    """See the module's text. ``period_s`` is how often this machine really reports."""

    settings: PilotSettings
    period_s: float = 1.0
    violations: list[Violation] = field(default_factory=list)
    # the machine
    link_up: bool = False
    machine: Machine = field(default_factory=Machine)
    measured_kmh: float | None = None
    measured_pct: float | None = None
    read_at_s: float | None = None
    falling: bool = False
    key_out: bool = False
    # the session
    walker: Walker | None = None
    phase: Phase = Phase.IDLE
    direction: Direction = Direction.BACKWARD
    segment_kmh: float | None = None
    segment_pct: float = 0.0
    prompt: str | None = None
    prompted_at_s: float = 0.0
    tether: bool = False
    turn_open: bool = False
    turn_rests: bool = False
    told_stopped: bool = False
    stopped_by_machine: bool = False
    console: bool = False
    looking: bool = False
    released: bool = False
    eased_in_hold: bool = False
    # targets
    standing_kmh: float = 0.0
    standing_pct: float = 0.0
    target_at_s: float = -1e9
    due_at_s: float = -1e9
    climb_from_kmh: float = 0.0
    climb_since_s: float | None = None
    open_write: Open | None = None
    doubt: tuple[float, ...] = ()
    doubt_kmh: float | None = None
    doubt_since_s: float = 0.0
    over_since_s: float | None = None
    own_targets: tuple[tuple[float, float], ...] = ()
    acknowledged: tuple[float, ...] = ()
    told: tuple[Told, ...] = ()
    starts: int = 0
    just_wrote: bool = False
    awake_s: float = 0.0
    looked_at_s: float | None = None
    # people
    commands: dict[tuple[str, Verb], tuple[Command, float, bool]] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    stop_asked_at_s: float | None = None
    stop_asked_awake_s: float | None = None
    stop_sent_at_s: float | None = None
    first_stop_awake_s: float | None = None
    slower_at_s: float = -1e9
    lowest_kmh: float | None = None
    stopping_since_s: float | None = None

    # --- notes -----------------------------------------------------------------------------------

    def broken(self, rule: str, what: str, now_s: float) -> None:
        """Note that a rule was broken."""
        self.violations.append(Violation(rule=rule, what=what, at_s=now_s))

    @property
    def who(self) -> Walker:
        """Who walks."""
        return self.walker or self.settings.walkers[self.settings.walker]

    @property
    def speed_range(self) -> SpeedRange:
        """What the machine says that it can do."""
        return self.machine.speed_range or _FALLBACK_RANGE

    @property
    def at_rest(self) -> bool:
        """The last record says so."""
        return self.measured_kmh is not None and self.measured_kmh <= REST_KMH

    def fresh(self, now_s: float) -> bool:
        """S10: young enough to act on."""
        limit_s = max(STALE_S, 3 * self.period_s)
        return self.read_at_s is not None and now_s - self.read_at_s <= limit_s + _EPS

    def cap_kmh(self) -> float:
        """S4, S13, S21: the highest target of this moment."""
        level = self.who.level
        caps = {
            Direction.BACKWARD: level.backward_max_kmh,
            Direction.FORWARD: level.forward_max_kmh,
            Direction.LATERAL_LEFT: level.lateral_max_kmh or 0.0,
            Direction.LATERAL_RIGHT: level.lateral_max_kmh or 0.0,
            Direction.TURN: TURN_KMH,
        }
        limits = [caps[self.direction], self.speed_range.max_speed_kmh]
        limits += [] if self.who.max_speed_kmh is None else [self.who.max_speed_kmh]
        limits += [] if self.segment_kmh is None else [self.segment_kmh]
        limits += [] if self.settings.units_proven else [NOT_PROVEN_KMH]
        return min(limits)

    # --- what goes in ----------------------------------------------------------------------------

    def take_in(self, item: Input, now_s: float) -> None:
        """Something is about to be handed to the pilot."""
        match item:
            case LinkUp():
                self.linked(item.machine)
            case LinkDown():
                self.unlinked()
            case Notification():
                self._notified(item, now_s)
            case WriteOutcome():
                self._written(item)
            case Delivered():
                self.heard(item, now_s)
            case Command():
                self.asked(item, now_s)
            case VoicesListening():
                pass

    def linked(self, machine: Machine) -> None:
        """The link is up."""
        self.unlinked()
        self.link_up, self.machine = True, machine
        self.looking = self.phase not in _OVER
        if self.stopping_since_s is not None:
            self.stopping_since_s = self.awake_s

    def unlinked(self) -> None:
        """The link is gone, and with it whatever was known."""
        self.link_up = False
        self.measured_kmh = self.measured_pct = self.read_at_s = None
        self.open_write = None
        self.doubt = ()
        self.falling = False
        self.over_since_s = None
        self._stop_over()

    def _stop_over(self) -> None:
        """Nothing more is to be expected of a stop."""
        self.stop_asked_at_s = self.stop_asked_awake_s = None
        self.stop_sent_at_s = self.first_stop_awake_s = None

    def _notified(self, item: Notification, now_s: float) -> None:
        try:
            match item.characteristic:
                case 0x2ACD:
                    reading = decode_treadmill_data(item.payload)
                    self.read(reading.speed_kmh, reading.incline_pct, now_s)
                case 0x2AD9:
                    self.answered(decode_response(item.payload))
                case 0x2ADA:
                    self.status(decode_status(item.payload), now_s)
                case _:
                    pass
        except DecodeError:
            pass

    def read(self, speed_kmh: float | None, incline_pct: float | None, now_s: float) -> None:
        """The machine reports."""
        self.read_at_s = now_s
        if incline_pct is not None:
            self.measured_pct = incline_pct
        if speed_kmh is None:
            return
        self.falling = self.measured_kmh is not None and speed_kmh < self.measured_kmh
        self.measured_kmh = speed_kmh
        if self.lowest_kmh is None or speed_kmh < self.lowest_kmh - _EPS:
            self.lowest_kmh, self.slower_at_s = speed_kmh, now_s
        self._settle(speed_kmh, now_s)
        most_kmh = max((self.standing_kmh, *self.doubt)) + RUNAWAY_KMH + 1e-3
        over = speed_kmh > most_kmh and not self.falling
        resting = self.stop_sent_at_s is not None or self.turn_rests
        if not over or self.phase not in _DRIVING or resting:
            self.over_since_s = None
        elif self.over_since_s is None:
            self.over_since_s = self.awake_s

    def _settle(self, speed_kmh: float, now_s: float) -> None:
        """S17: a doubt is over when the belt has run one of the two targets for a while."""
        candidates = (self.standing_kmh, *self.doubt) if self.doubt else ()
        near = [kmh for kmh in candidates if abs(speed_kmh - kmh) <= REST_KMH + _EPS]
        if not near or near[0] != self.doubt_kmh:
            self.doubt_kmh, self.doubt_since_s = near[0] if near else None, now_s
        elif now_s - self.doubt_since_s >= SETTLES_S - _EPS:
            self.doubt, self.standing_kmh = (), near[0]
            self.over_since_s = None

    def status(self, status: MachineStatus, now_s: float) -> None:
        """The machine tells what was done to it."""
        ours = self.stop_sent_at_s is not None or self.turn_rests or self.phase in _OVER
        self.told_stopped = self.told_stopped or status.stop_or_pause == "stop"
        match status.opcode:
            case StatusCode.STOPPED_BY_SAFETY_KEY:
                self.key_out = True
                self.stopped_by_machine = True
            case StatusCode.STOPPED_OR_PAUSED_BY_USER if (
                not ours and self.phase is not Phase.PAUSED
            ):
                paused = status.stop_or_pause == "pause"
                self.console = self.console or paused
                self.stopped_by_machine = self.stopped_by_machine or not paused
            case StatusCode.TARGET_INCLINE_CHANGED if status.target_incline_pct is not None:
                known = (self.standing_pct, self.measured_pct or 0.0)
                low_pct, high_pct = min(known) - LEVEL_PCT, max(known) + LEVEL_PCT
                foreign = not low_pct <= status.target_incline_pct <= high_pct
                self.console = self.console or (foreign and self.phase in _DRIVING and not ours)
            case StatusCode.TARGET_SPEED_CHANGED if status.target_speed_kmh is not None:
                recent = [kmh for at_s, kmh in self.own_targets if now_s - at_s <= STOP_SILENCE_S]
                recent.append(self.standing_kmh)
                low_kmh, high_kmh = min(recent) - 0.06, max(recent) + 0.06
                foreign = not low_kmh <= status.target_speed_kmh <= high_kmh
                self.console = self.console or (foreign and self.phase in _DRIVING and not ours)
            case _:
                pass

    def answered(self, answer: ControlResponse) -> None:
        """An indication of the control point."""
        write = self.open_write
        if write is None or write.opcode != answer.request_opcode:
            return
        self._close(done=answer.result_code == ResultCode.SUCCESS)

    def _written(self, outcome: WriteOutcome) -> None:
        write = self.open_write
        if write is None or outcome.write_id != write.write_id:
            return
        if outcome.error is not None:
            self._doubtful()
        elif outcome.att_error is not None:
            self._close(done=False)

    def _close(self, *, done: bool) -> None:
        write = self.open_write
        assert write is not None  # both callers have looked
        self.open_write = None
        if write.opcode == OpCode.SET_TARGET_SPEED:
            if not done and write.before is not None:
                self.standing_kmh = write.before
            known = (self.standing_kmh,) if write.value is None else (write.value,)
            self.acknowledged = (*known, self.standing_kmh, *self.acknowledged[:4])
        elif write.opcode == OpCode.SET_TARGET_INCLINE and not done and write.before is not None:
            self.standing_pct = write.before

    def _doubtful(self) -> None:
        """S17: whether the machine has this target is not known."""
        write = self.open_write
        self.open_write = None
        if write is not None and write.opcode == OpCode.SET_TARGET_SPEED:
            before = () if write.before is None else (write.before,)
            self.doubt = (self.standing_kmh, *before, *self.doubt[:4])

    def heard(self, item: Delivered, now_s: float) -> None:
        """A voice says that it spoke; only configured voices count (S6)."""
        if item.channel not in self.settings.voices:
            return
        self.told = tuple(
            Told(
                **{
                    **{name: getattr(told, name) for name in Told.__slots__},
                    "heard_at_s": now_s,
                }
            )
            if told.id == item.announcement_id and told.heard_at_s is None
            else told
            for told in self.told
        )

    def asked(self, command: Command, now_s: float) -> None:
        """Somebody asks."""
        bad = command.retained or command.malformed or command.expired or command.age_s > 5
        bad = bad or command.id in self.seen
        if not bad and command.verb is Verb.CONFIRM and command.prompt == self.prompt:
            self.released = self.prompt is not None
        elif not bad and command.verb is Verb.RESUME:
            self.released = True
        if self.released and self.phase is Phase.HOLDING:
            self.console = self.looking = False
            self._take_over(now_s)
        self.seen |= {command.id}
        eases = command.verb is Verb.STOP or (command.verb in _EASING and not bad)
        if self.phase is Phase.HOLDING and eases:
            self._take_over(now_s)
            self.eased_in_hold = True
        self.commands[command.id, command.verb] = (command, self.standing_kmh, bad)
        if command.verb is Verb.STOP and not (command.retained and self.at_rest):
            self._stop_asked(now_s)

    def _stop_asked(self, now_s: float) -> None:
        self.first_stop_awake_s = None  # the answer's time counts from this asking on
        self.due_at_s = now_s
        if self.link_up and not self.at_rest:
            if self.stop_asked_at_s is None:
                self.stop_asked_at_s, self.stop_asked_awake_s = now_s, self.awake_s
            self.lowest_kmh = self.measured_kmh

    # --- what comes out --------------------------------------------------------------------------

    def take_out(self, outputs: list[Output], now_s: float) -> None:
        """What the pilot answered, in order."""
        for output in outputs:
            match output:
                case ControlPointWrite():
                    self.wrote(output.payload, now_s, write_id=output.write_id)
                case Announcement():
                    self.said(output, now_s)
                case SessionEvent():
                    self.event(output, now_s)
                case CommandResult():
                    self.result(output, now_s)

    def said(self, announcement: Announcement, now_s: float) -> None:
        """Something is to be spoken; of interest are the rises it names."""
        speed_kmh = self._named(announcement.text, "announce.rise", "speed_kmh")
        incline_pct = self._named(announcement.text, "announce.incline_rise", "incline_pct")
        if speed_kmh is None and incline_pct is None:
            return
        told = Told(
            id=announcement.id,
            speed_kmh=speed_kmh,
            incline_pct=incline_pct,
            said_at_s=now_s,
            from_kmh=self.standing_kmh,
            since_target_s=now_s - self.target_at_s,
        )
        self.told = (told, *self.told[:1])

    def _named(self, text: str, phrase: str, name: str) -> float | None:
        phrases = self.settings.language.phrases
        mark = phrases.get("number.decimal", ".")
        found = _pattern(phrases[phrase], name, mark).fullmatch(text)
        return None if found is None else float(found[name].replace(mark, "."))

    def event(self, event: SessionEvent, now_s: float) -> None:
        """An event on the record."""
        match event.type:
            case EventType.SEGMENT_STARTED:
                self.direction = Direction(str(event.data["direction"]))
                self.segment_kmh = float(str(event.data["speed_kmh"]))
                self.segment_pct = float(str(event.data["incline_pct"]))
                self.due_at_s = now_s
            case EventType.TURN_REQUESTED:
                self.turn_open = True
                self._turn_begins(now_s)
            case EventType.TURN_CONFIRMED:
                if not self.released:
                    self.broken("S13", "a turn went on without its confirmation", now_s)
                self.turn_open = False
            case EventType.ARMED:
                self._armed(event)
            case EventType.STOP_REQUESTED:
                self.due_at_s = now_s
                self._moved(Phase.STOPPING, now_s)
            case EventType.SESSION_ENDED:
                self._ended(str(event.data["reason"]), now_s)
            case _:
                pass

    def _turn_begins(self, now_s: float) -> None:
        if self.measured_kmh is None or self.measured_kmh > TURN_KMH + REST_KMH + _EPS:
            self.broken("S13", f"asked to turn at {self.measured_kmh} km/h", now_s)
        pct = self.standing_pct if self.measured_pct is None else self.measured_pct
        if pct >= LEVEL_PCT:
            self.broken("S14", f"asked to turn at {pct} %", now_s)

    def _armed(self, event: SessionEvent) -> None:
        self.walker = self.settings.walkers[str(event.data["walker"])]
        self.key_out = self.stopped_by_machine = self.console = self.looking = False
        self.tether = self.turn_open = self.told_stopped = False
        self.segment_kmh = None
        self.direction = Direction.BACKWARD
        self.starts = 0

    def _ended(self, reason: str, now_s: float) -> None:
        """S18: a belt at rest, a machine that stopped itself, no link, or nobody can tell."""
        given_up = reason == "unknown_outcome" and self.stop_sent_at_s and not self.fresh(now_s)
        if given_up or not self.link_up:
            self._stop_over()
        elif reason == "console_stop" and self.told_stopped:
            pass
        elif not self.at_rest and not self.stopped_by_machine:
            self.broken("S18", f"session over with the belt at {self.measured_kmh} km/h", now_s)
        if not self.link_up:  # nothing was left to tell the machine, and nothing is later (S11)
            self.stop_sent_at_s = self.stop_asked_at_s = self.first_stop_awake_s = None

    def result(self, result: CommandResult, now_s: float) -> None:
        """A command is answered."""
        command, standing_kmh, bad = self.commands.get((result.id, result.verb), (None, 0.0, False))
        if result.outcome is not Outcome.ACCEPTED:
            self.commands.pop((result.id, result.verb), None)
        if command is None:
            self.broken("S16", f"an answer to nothing: {result.id} {result.outcome}", now_s)
            return
        taken = result.outcome in {Outcome.ACCEPTED, Outcome.CONFIRMED}
        if command.verb is Verb.STOP:
            if result.outcome is Outcome.REJECTED and not (command.retained and self.at_rest):
                self.broken("S7", f"a stop was refused: {result.reason}", now_s)
        elif bad and taken:
            self.broken("S16", f"{command.verb} was taken though it is old or ill", now_s)
        if result.outcome is Outcome.REJECTED and result.reason is None:
            self.broken("S16", f"{command.verb} was refused without a reason", now_s)
        if taken:
            self._obeyed(command, standing_kmh, now_s)

    def _obeyed(self, command: Command, standing_kmh: float, now_s: float) -> None:
        remote = command.source is Source.MQTT
        match command.verb:
            case Verb.CONFIRM:
                if command.prompt is None or command.prompt != self.prompt:
                    self.broken("S13", f"{command.prompt} confirmed, {self.prompt} open", now_s)
                self.tether = self.tether or self.phase is Phase.ARMED
            case Verb.START:
                self.starts = min(self.starts + 1, 2)
                if remote or self.settings.start != "page" or not self.tether:
                    self.broken("S2", f"a start by {command.source} was taken", now_s)
            case Verb.SPEED | Verb.INCLINE if self.settings.remote == "slow-only" and remote:
                asked = command.speed_kmh if command.verb is Verb.SPEED else command.incline_pct
                stood = standing_kmh if command.verb is Verb.SPEED else self.standing_pct
                runs = self.measured_kmh if command.verb is Verb.SPEED else self.measured_pct
                if asked is None or asked > max(stood, runs or 0.0, *self.doubt) + _EPS:
                    self.broken("S15", f"{asked} from afar was taken, {stood} stands", now_s)
                self.due_at_s = now_s
            case Verb.SPEED | Verb.SLOW:
                self.due_at_s = now_s
            case _:
                pass

    # --- writes ----------------------------------------------------------------------------------

    def wrote(self, payload: bytes, now_s: float, *, write_id: int = 0) -> None:
        """A control-point write leaves. The heart of the matter."""
        request = decode_request(payload)
        if not self.link_up:
            self.broken("S11", "written while the link is down", now_s)
        before: float | None = None
        if self.open_write is not None and now_s - self.open_write.sent_at_s >= ANSWER_S - _EPS:
            self._doubtful()
        if request.opcode == OpCode.STOP_OR_PAUSE:
            self._stop_written(now_s)
        elif request.opcode == OpCode.START_OR_RESUME:
            self._start_written(now_s)
        elif request.target_speed_kmh is not None:
            before = self.standing_kmh
            self._before_target(request, now_s)
            self._speed_written(request.target_speed_kmh, now_s)
        elif request.target_incline_pct is not None:
            before = self.standing_pct
            self._before_target(request, now_s)
            self._incline_written(request.target_incline_pct, now_s)
        elif request.opcode == OpCode.REQUEST_CONTROL:
            self._unasked(now_s)
        else:
            self.broken("S1", f"op code 0x{request.opcode:02X} is never sent", now_s)
        if self.open_write is not None and request.opcode != OpCode.STOP_OR_PAUSE:
            self.broken("S17", "written while an earlier procedure is open", now_s)
        self.just_wrote = request.target_speed_kmh is not None
        self.open_write = Open(
            opcode=request.opcode,
            write_id=write_id,
            sent_at_s=now_s,
            before=before,
            value=request.target_speed_kmh,
        )

    def _unasked(self, now_s: float) -> None:
        """S11: after a reconnect nothing leaves until a person says so."""
        stopping = self.phase is Phase.STOPPING or self.phase in _OVER
        stopping = stopping or self.stop_asked_at_s is not None
        if self.looking and not self.eased_in_hold and not stopping:
            self.broken("S11", "sent after a reconnect, before anybody said go on", now_s)

    def _stop_written(self, now_s: float) -> None:
        self.stop_sent_at_s = now_s
        self.turn_rests = self.phase is Phase.TURNING
        self.first_stop_awake_s = self.first_stop_awake_s or self.awake_s
        self.slower_at_s = max(self.slower_at_s, now_s - SPACING_S)
        self.lowest_kmh = self.measured_kmh
        self.climb_since_s = None

    def _start_written(self, now_s: float) -> None:
        if self.starts == 0:
            self.broken("S1", "Start was sent though nobody asked for it", now_s)
        self.starts = max(0, self.starts - 1)
        if self.key_out or self.stopped_by_machine:
            self.broken("S9", "Start was sent to a machine that has stopped itself", now_s)
        if not self.at_rest:
            self.broken("S2", f"Start was sent at {self.measured_kmh} km/h", now_s)

    def _before_target(self, request: ControlRequest, now_s: float) -> None:
        """What holds for every target, up or down, speed or incline."""
        self._unasked(now_s)
        if self.phase in _OVER or self.phase is Phase.PAUSED:
            self.broken("S1", f"a target was sent while {self.phase}", now_s)
        if self.key_out or self.stopped_by_machine:
            self.broken("S9", "a target was sent to a machine that has stopped itself", now_s)
        if self.phase is Phase.HOLDING and not self.eased_in_hold and not self.released:
            self.broken("S8", "a target was sent while the session holds", now_s)
        if self.console and not self.eased_in_hold and self.phase is not Phase.STOPPING:
            self.broken("S8", "a target was sent against the console", now_s)
        rising = (request.target_speed_kmh or 0.0) > self.standing_kmh + _EPS or (
            request.target_incline_pct or 0.0
        ) > self.standing_pct + _EPS
        first_of_stop = self.due_at_s > self.target_at_s and self.phase is not Phase.MOVING
        if now_s - self.target_at_s < SPACING_S - _EPS and (rising or not first_of_stop):
            self.broken("S5", f"two targets within {now_s - self.target_at_s:.2f} s", now_s)
        if rising:
            self._before_rise(now_s)

    def _before_rise(self, now_s: float) -> None:
        if not self.fresh(now_s):
            self.broken("S10", "a rise on stale data", now_s)
        if self.doubt:
            self.broken("S17", "a rise while an outcome is unknown", now_s)
        if self.phase not in _DRIVING:
            self.broken("S18", f"a rise while {self.phase}", now_s)
        if self.stop_asked_at_s is not None:
            self.broken("S7", "a rise after a stop", now_s)
        if self.turn_open:
            self.broken("S13", "a rise while a turn is not confirmed", now_s)
        measured_kmh = self.measured_kmh
        if measured_kmh is None or abs(measured_kmh - self.standing_kmh) > RUNAWAY_KMH + 1e-3:
            self.broken("S12", f"a rise from {self.standing_kmh} at {measured_kmh}", now_s)

    def _speed_written(self, target_kmh: float, now_s: float) -> None:
        limits = self.speed_range
        if not limits.min_speed_kmh - _EPS <= target_kmh <= limits.max_speed_kmh + _EPS:
            self.broken("S4", f"{target_kmh} km/h is not in the machine's range", now_s)
        if self.measured_kmh is None or self.at_rest:
            self.broken("S1", f"{target_kmh} km/h to a belt at {self.measured_kmh}", now_s)
        if target_kmh > self.standing_kmh + _EPS:
            self._faster(target_kmh, now_s)
        else:
            self._slower(target_kmh, now_s)
        self.standing_kmh = target_kmh
        self.target_at_s = now_s
        self.own_targets = ((now_s, target_kmh), *self.own_targets[:31])

    def _faster(self, target_kmh: float, now_s: float) -> None:
        if target_kmh > self.cap_kmh() + _EPS:
            rule = "S21" if self.cap_kmh() == NOT_PROVEN_KMH else "S4"
            rule = "S13" if self.direction is Direction.TURN else rule
            self.broken(rule, f"{target_kmh} km/h, the ceiling is {self.cap_kmh()}", now_s)
        pct = self.measured_pct
        half_pct = 0.05 + (
            self.machine.incline_range.step_incline_pct / 2 if self.machine.incline_range else 0.0
        )
        if pct is not None and abs(pct - self.standing_pct) > half_pct:
            self.broken("S14", f"faster while the incline moves from {pct}", now_s)
        permit = next((told for told in self.told if told.speed_kmh is not None), None)
        lead_s = self.who.level.warn_up_s
        if permit is None or permit.speed_kmh is None or permit.heard_at_s is None:
            self.broken("S6", f"{target_kmh} km/h was not heard before", now_s)
            return
        over_at_s = permit.heard_at_s + lead_s
        if now_s < over_at_s - _EPS:
            self.broken("S6", f"{target_kmh} km/h {over_at_s - now_s:.2f} s too early", now_s)
        if target_kmh > permit.speed_kmh + 0.05 + _EPS:
            self.broken("S6", f"{target_kmh} km/h, but {permit.speed_kmh} was said", now_s)
        self._ramp(target_kmh, over_at_s, now_s)
        self._step(target_kmh, permit, now_s)

    def _ramp(self, target_kmh: float, over_at_s: float, now_s: float) -> None:
        """S5: one acceleration limit, over the whole climb."""
        if self.climb_since_s is None or self.climb_since_s < over_at_s:
            self.climb_since_s, self.climb_from_kmh = over_at_s, self.standing_kmh
        level = self.who.level
        forward = self.direction is Direction.FORWARD
        ramp = level.ramp_up_forward_kmh_per_s if forward else level.ramp_up_backward_kmh_per_s
        most_kmh = self.climb_from_kmh + ramp * (now_s - self.climb_since_s)
        if target_kmh > most_kmh + _EPS:
            self.broken("S5", f"{target_kmh} km/h where the ramp allows {most_kmh:.3f}", now_s)

    def _step(self, target_kmh: float, permit: Told, now_s: float) -> None:
        """S20: straight to a proven speed; beyond it one step each announcement, after a hold."""
        level = self.who.level
        assumed = {
            Direction.FORWARD: level.assumed_proven_forward_kmh,
            Direction.LATERAL_LEFT: level.assumed_proven_lateral_kmh,
            Direction.LATERAL_RIGHT: level.assumed_proven_lateral_kmh,
        }.get(self.direction, level.assumed_proven_backward_kmh)
        held = [kmh for where, kmh in self.who.proven_kmh if where is self.direction]
        proven_kmh = max(assumed, *held, 0.0)
        if target_kmh <= proven_kmh + _EPS:
            return
        step_kmh = max(level.step_kmh, self.speed_range.step_speed_kmh)
        if target_kmh > permit.from_kmh + step_kmh + _EPS:
            self.broken("S20", f"{target_kmh} km/h in one step from {permit.from_kmh}", now_s)
        if permit.since_target_s < level.hold_s - _EPS:
            held_s = permit.since_target_s
            self.broken("S20", f"{target_kmh} km/h announced after {held_s:.1f} s", now_s)

    def _slower(self, target_kmh: float, now_s: float) -> None:
        """S5: a decrease is spread as well; at least one of the machine's steps at a time."""
        self.climb_since_s = None
        self.slower_at_s = max(self.slower_at_s, now_s)
        passed_s = now_s - max(self.target_at_s, self.due_at_s)
        drop_kmh = self.who.level.ramp_down_kmh_per_s * passed_s + self.speed_range.step_speed_kmh
        written_kmh = self.own_targets[0][1] if self.own_targets else self.standing_kmh
        measured_kmh = self.measured_kmh or self.standing_kmh
        runs_kmh = min(self.standing_kmh, measured_kmh, written_kmh, *self.doubt)
        step_kmh = max(self.speed_range.step_speed_kmh, 0.01)
        runs_kmh -= (runs_kmh - self.speed_range.min_speed_kmh + _EPS) % step_kmh - _EPS
        if target_kmh < runs_kmh - max(drop_kmh, 0.0) - _EPS:
            self.broken("S5", f"from {runs_kmh} to {target_kmh} km/h at once", now_s)

    def _incline_written(self, target_pct: float, now_s: float) -> None:
        limits = self.machine.incline_range
        highest = 0.0 if limits is None else limits.max_incline_pct
        most_pct = min(self.who.level.incline_max_pct, highest)
        if target_pct < -_EPS or (
            target_pct > most_pct + _EPS and target_pct > self.standing_pct + _EPS
        ):
            self.broken("S4", f"{target_pct} %, allowed are 0 to {most_pct}", now_s)
        if self.turn_open:
            self.broken("S13", "an incline move while a turn is not confirmed", now_s)
        if target_pct > self.standing_pct + _EPS:
            self._steeper(target_pct, now_s)
        self.standing_pct = target_pct
        self.target_at_s = now_s

    def _steeper(self, target_pct: float, now_s: float) -> None:
        half_kmh = self.speed_range.step_speed_kmh / 2 + 0.01
        if self.measured_kmh is None or abs(self.measured_kmh - self.standing_kmh) > half_kmh:
            self.broken("S14", f"steeper while the speed moves from {self.measured_kmh}", now_s)
        permit = next((told for told in self.told if told.incline_pct is not None), None)
        if permit is None or permit.incline_pct is None or permit.heard_at_s is None:
            self.broken("S6", f"{target_pct} % was not heard before", now_s)
            return
        if now_s < permit.heard_at_s + self.who.level.warn_up_s - _EPS:
            self.broken("S6", f"{target_pct} % came too early", now_s)
        if target_pct > permit.incline_pct + 0.05 + _EPS:
            self.broken("S6", f"{target_pct} %, but {permit.incline_pct} was said", now_s)

    # --- after each step -------------------------------------------------------------------------

    def look(self, state: State, now_s: float, *, ticked: bool) -> None:
        """The public state after a step; rules with a time are judged after a tick only."""
        passed_s = now_s - (self.looked_at_s or now_s)
        self.awake_s += min(passed_s, LONGEST_NAP_S)
        self.looked_at_s = now_s
        self._four_speeds(state, now_s)
        if state.phase is not self.phase:
            self._moved(state.phase, now_s)
        prompt = None if state.prompt is None else state.prompt.id
        if prompt != self.prompt:
            self.prompt, self.prompted_at_s = prompt, now_s
        if state.phase in _DRIVING:
            self._driving(state.phase, now_s, ticked=ticked)
        if ticked:
            self._timed(now_s)
        self.released = self.just_wrote = False

    def _four_speeds(self, state: State, now_s: float) -> None:
        """S3: four fields, and none of them borrowed from another."""
        if state.speed_kmh != (self.measured_kmh if self.link_up else None):
            self.broken("S3", f"measured {self.measured_kmh}, shown {state.speed_kmh}", now_s)
        write = self.open_write
        if self.just_wrote and write is not None:
            shown_kmh = state.target_speed_kmh
            if shown_kmh is not None and abs(shown_kmh - self.standing_kmh) > _EPS:
                self.broken("S3", f"written {self.standing_kmh}, cleared {shown_kmh}", now_s)
            if state.acknowledged_speed_kmh == self.standing_kmh and (
                self.standing_kmh not in (*self.acknowledged, write.before)
            ):
                self.broken("S3", f"{self.standing_kmh} acknowledged before the answer", now_s)

    def _take_over(self, now_s: float) -> None:
        """From now on what the belt runs is what stands."""
        if self.measured_kmh is None:
            return
        self.standing_kmh = round(self.measured_kmh, 2)
        self.standing_pct = round(self.measured_pct or 0.0, 1)
        self.acknowledged = (self.standing_kmh, *self.acknowledged[:3])
        self.climb_since_s = None
        self.doubt = ()
        self.due_at_s = now_s
        self.own_targets = ((now_s, self.standing_kmh), *self.own_targets[:31])

    def _moved(self, phase: Phase, now_s: float) -> None:
        before, self.phase = self.phase, phase
        self.over_since_s = None
        if phase is not Phase.MOVING or before is not Phase.TURNING:
            # What is said in the very moment of going on is said for what comes.
            self.told = tuple(told for told in self.told if told.said_at_s >= now_s)
        self.stopping_since_s = self.awake_s if phase is Phase.STOPPING else None
        if before is Phase.TURNING:
            if self.turn_rests:
                self._take_over(now_s)
            self.turn_open = self.turn_rests = False
        elif phase in _DRIVING:
            self._drives(before, now_s)
        match phase:
            case Phase.STOPPING if before in {Phase.HOLDING, Phase.PAUSED}:
                self._take_over(now_s)
            case Phase.ENDED if self.stopped_by_machine:
                self._stop_over()
            case Phase.HOLDING:
                self._holds(now_s)
            case _:
                pass

    def _drives(self, before: Phase, now_s: float) -> None:
        """S2, S8: what has to have happened before a belt is driven, or driven again."""
        if before in {Phase.ARMED, Phase.PAUSED}:
            self._adopted(before, now_s)
        if before is Phase.HOLDING and not self.released:
            self.broken("S8", "a held session went on without a confirmation", now_s)
        if before is not Phase.MOVING:
            self.console = self.looking = self.eased_in_hold = False
        if self.stop_sent_at_s != now_s:  # a turn that begins slow enough begins with its Stop
            self._stop_over()

    def _holds(self, now_s: float) -> None:
        if self.stop_asked_at_s is None:
            self.stop_sent_at_s = self.first_stop_awake_s = None
        self.eased_in_hold = False
        self.due_at_s = now_s

    def _adopted(self, before: Phase, now_s: float) -> None:
        level, own_kmh = self.who.level, self.speed_range.min_speed_kmh
        most_kmh = max(TURN_KMH, own_kmh if own_kmh <= level.backward_max_kmh else 0.0)
        if self.measured_kmh is None or not REST_KMH < self.measured_kmh <= most_kmh + REST_KMH:
            self.broken("S2", f"a belt was taken over at {self.measured_kmh} km/h", now_s)
        if before is Phase.ARMED and not self.tether:
            self.broken("S2", "a session began before the tether was confirmed", now_s)
        self._take_over(now_s)
        self.stopped_by_machine = False

    def _driving(self, phase: Phase, now_s: float, *, ticked: bool) -> None:
        """What must not go on as if nothing had happened."""
        if self.key_out or (self.stopped_by_machine and phase is Phase.MOVING):
            self.broken("S9", f"still {phase} after the machine has stopped itself", now_s)
        if self.console and phase is Phase.MOVING:
            self.broken("S8", "the program goes on against the console", now_s)
        if not self.link_up and phase is Phase.MOVING:
            self.broken("S11", "the program goes on without a link", now_s)
        if self.stop_asked_at_s is not None and phase is Phase.MOVING and not self.at_rest:
            self.broken("S7", "the program goes on after a stop", now_s)
        over_s = self.awake_s - (self.over_since_s or self.awake_s)
        stopping = self.stop_sent_at_s is not None
        if over_s > RUNAWAY_S + 1.0 and self.read_at_s == now_s and not stopping:
            self.broken("S12", f"{self.measured_kmh} km/h where {self.standing_kmh} stands", now_s)
        silent = self.read_at_s is not None and now_s - self.read_at_s >= SILENCE_S + LATE_S
        if ticked and silent and self.stop_sent_at_s is None and not self.at_rest:
            self.broken("S10", "the program goes on without data", now_s)

    def _timed(self, now_s: float) -> None:
        if self.open_write is not None and now_s - self.open_write.sent_at_s >= ANSWER_S - _EPS:
            self._doubtful()
        if self.turn_open and now_s - self.prompted_at_s >= PROMPT_S + LATE_S and self.prompt:
            self.broken("S13", "a turn waits for more than 60 s", now_s)
        self._stop_goes_on(now_s)
        since_s = self.stopping_since_s
        late = since_s is not None and self.awake_s - since_s > LONGEST_WALK_DOWN_S
        if late and not self.at_rest and self.stop_sent_at_s is None and self.link_up:
            self.broken("S18", "the walk down does not come to an end", now_s)

    def _stop_goes_on(self, now_s: float) -> None:
        """S7: something slower leaves soon, again while the belt does not slow, and an answer."""
        if self.at_rest and self.fresh(now_s):
            self._stop_over()
        waiting = any(command.verb is Verb.STOP for command, _, _ in self.commands.values())
        walked_s = self.awake_s - (self.stop_asked_awake_s or self.awake_s)
        stopped_s = self.awake_s - (self.first_stop_awake_s or self.awake_s)
        if waiting and (walked_s > LONGEST_WALK_DOWN_S or stopped_s > STOP_SILENCE_S + LATE_S):
            self.broken("S7", f"no word about the stop for {walked_s:.0f} s", now_s)
        if not self.link_up or self.at_rest or self.measured_kmh is None:
            return
        waited_s = max(self.stop_asked_at_s or -1e9, self.stop_sent_at_s or -1e9)
        if waited_s > 0 and now_s - max(waited_s, self.slower_at_s) > ANSWER_S + LATE_S:
            self.broken("S7", "a stop is not carried on with", now_s)
