"""The small world that is searched: the real pilot, abstract speeds, few moments, every action.

A `World` is one pilot with its judge. `ACTIONS` are all that can happen to it: time passes in a few
sizes while the belt reports one of five speeds or nothing; machine, radio, voices and people act.
`key` maps a world to its abstract state: what the rooms hold, with every age cut off at the limit
that decides about it. Two worlds with one key are taken for the same, and the first is explored.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

from bridge.core.control_codec import encode_response, encode_status
from bridge.core.deck import Deck, PilotSettings
from bridge.core.ftms import encode_treadmill_data
from bridge.core.messages import (
    Command,
    ControlResponse,
    Delivered,
    Direction,
    InclineRange,
    Input,
    Language,
    Level,
    LinkDown,
    LinkUp,
    Machine,
    Notification,
    OpCode,
    Output,
    Program,
    Reading,
    ResultCode,
    Segment,
    Source,
    SpeedRange,
    StatusCode,
    Verb,
    VoicesListening,
    Walker,
    WriteOutcome,
)
from bridge.core.pilot import Pilot
from tests.judge import Judge

REST_KMH, MIN_KMH, MID_KMH, CAP_KMH, OVER_KMH = 0.0, 1.0, 2.0, 3.0, 5.0
SPEEDS_KMH = (REST_KMH, MIN_KMH, MID_KMH, CAP_KMH, OVER_KMH)
"""Standing, the machine's minimum, between, the fastest cap there is, above every cap."""

HOLD_S, WARN_UP_S, WARN_DOWN_S = 2.0, 2.0, 1.0
AHEAD_S = 6.0
"""When the next segment is announced: the longer warning time and the time to say it."""

SOURCES = (Source.MQTT, Source.PAGE, Source.LOCAL)
VOICE, DEAF = "mqtt", "radio"
CAN_SPEAK = VoicesListening(channels=frozenset({VOICE}))
SILENT = VoicesListening(channels=frozenset())


def _level(*, turn_at_rest: bool) -> Level:
    """A level of big steps, so that few speeds are enough."""
    return Level(
        id="L",
        rank=1,
        name="of the search",
        backward_max_kmh=MID_KMH,
        forward_max_kmh=CAP_KMH,
        lateral_max_kmh=None,
        step_kmh=1.0,
        hold_s=HOLD_S,
        ramp_up_backward_kmh_per_s=0.5,
        ramp_up_forward_kmh_per_s=0.5,
        ramp_down_kmh_per_s=1.0,
        warn_up_s=WARN_UP_S,
        warn_down_s=WARN_DOWN_S,
        incline_max_pct=1.0,
        incline_rate_pct_per_s=1.0,
        assumed_proven_backward_kmh=MIN_KMH,
        assumed_proven_forward_kmh=MIN_KMH,
        assumed_proven_lateral_kmh=MIN_KMH,
        turn_at_rest=turn_at_rest,
    )


_SEGMENTS = (
    Segment(direction=Direction.FORWARD, duration_s=30.0, speed_kmh=OVER_KMH, incline_pct=1.0),
    Segment(direction=Direction.TURN, duration_s=2.0, speed_kmh=1.0),
    Segment(direction=Direction.BACKWARD, duration_s=18.0, speed_kmh=OVER_KMH),
)
"""Forward, turn, backward, end. The program asks for more than any cap allows."""

_PHRASES = {
    "announce.rise": "rise to {speed_kmh} in {lead_s}",
    "announce.incline_rise": "incline to {incline_pct} in {lead_s}",
    "announce.turn": "turn in {lead_s}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One set of settings and one machine to search under."""

    name: str
    settings: PilotSettings
    machine: Machine

    @property
    def settled_kmh(self) -> float:
        """Where this machine runs after its Start."""
        assert self.machine.speed_range is not None  # every scene has one
        return self.machine.speed_range.min_speed_kmh


def _scene(
    name: str, *, min_kmh: float = MIN_KMH, turn_at_rest: bool = False, **values: Any
) -> Scene:
    level = _level(turn_at_rest=turn_at_rest)
    program = Program(id="p", name="p", level="L", segments=_SEGMENTS)
    settings = PilotSettings(
        treadmill="t",
        boot="b",
        language=Language(id="en", phrases=_PHRASES, cues={}),
        programs={"p": program},
        levels={"L": 1},
        walkers={"me": Walker(id="me", level=level, accepted_safety=1)},
        walker="me",
        voices=frozenset({VOICE}),
        new_session_id=lambda: "s",
        **{"units_proven": True, **values},
    )
    machine = Machine(
        speed_range=SpeedRange(
            min_speed_kmh=min_kmh, max_speed_kmh=OVER_KMH + 1.0, step_speed_kmh=1.0
        ),
        incline_range=InclineRange(min_incline_pct=0, max_incline_pct=3, step_incline_pct=1),
    )
    return Scene(name=name, settings=settings, machine=machine)


SCENES: Mapping[str, Scene] = {
    scene.name: scene
    for scene in (
        _scene("plain"),
        _scene("page", start="page", remote="within-program", units_proven=False),
        _scene("rest", min_kmh=MID_KMH, turn_at_rest=True),
    )
}
"""*plain* is the default; *page* starts from the page, lets a remote ask and has not proven its
units; *rest* has a machine too fast for turns on a moving belt."""


# --- forking -------------------------------------------------------------------------------------


def fork(value: Any) -> Any:
    """A copy of a pilot or a judge: mutable rooms are copied, frozen values shared."""
    return _fork(value, {})


def _fork(value: Any, done: dict[int, Any]) -> Any:
    if id(value) in done:
        return done[id(value)]
    kind = type(value)
    names = _attributes(kind)
    if names is None:
        return value
    copy = done[id(value)] = object.__new__(kind)
    for name in names:
        part = getattr(value, name)
        plain = type(part)
        if plain in {dict, list, deque}:
            part = part.copy()
        elif plain not in _SHARED and _attributes(plain) is not None:
            part = _fork(part, done)
        setattr(copy, name, part)
    return copy


_SHARED = {float, int, bool, str, tuple, frozenset, type(None), bytes}
_JOINER = ("_open", "_opened_s", "_last", "_emitted_s")
_PILOT = ("deck", "joiner", "ticked_at_s", "control_asked_at_s", "malformed_notifications")


def _attributes(kind: type) -> tuple[str, ...] | None:
    """What to copy of an object of this kind; ``None``: it is a value, and shared."""
    if kind not in _copied:
        _copied[kind] = _find_attributes(kind)
    return _copied[kind]


_copied: dict[type, tuple[str, ...] | None] = {}


def _find_attributes(kind: type) -> tuple[str, ...] | None:
    if kind.__name__ in {"Pilot", "RecordJoiner"}:
        return _PILOT if kind.__name__ == "Pilot" else _JOINER
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is None or parameters.frozen:
        return None
    return tuple(kind.__dataclass_fields__)  # type: ignore[attr-defined]


class World:
    """One pilot, its judge, and the moment. ``out`` is what the last action brought out."""

    __slots__ = ("judge", "listening", "now_s", "number", "out", "pilot", "scene")

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.pilot = Pilot(scene.settings)
        self.judge = Judge(settings=scene.settings)
        self.now_s = 1000.0
        self.number = 0
        self.listening = False
        self.out: list[Output] = []

    def fork(self) -> "World":
        """The same world once more."""
        world = World.__new__(World)
        world.scene, world.now_s, world.number = self.scene, self.now_s, self.number
        world.listening = self.listening
        world.out = []
        world.pilot, world.judge = fork(self.pilot), fork(self.judge)
        return world

    def give(self, item: Input) -> None:
        """One input, judged."""
        self.judge.take_in(item, self.now_s)
        self._judged(self.pilot.receive(item, self.now_s), ticked=False)

    def tick(self) -> None:
        """The pilot is woken."""
        self._judged(self.pilot.tick(self.now_s), ticked=True)

    def _judged(self, outputs: list[Output], *, ticked: bool) -> None:
        self.out += outputs
        self.judge.take_out(outputs, self.now_s)
        self.judge.look(self.pilot.state(self.now_s), self.now_s, ticked=ticked)

    def command(self, verb: Verb, source: Source, **values: Any) -> Command:
        """A command with a fresh id."""
        self.number += 1
        return Command(id=f"c{self.number}", verb=verb, source=source, **values)


# --- what can happen -----------------------------------------------------------------------------


class Action(NamedTuple):
    """One thing that can happen, and whether it can happen here."""

    name: str
    act: Callable[[World], None]
    possible: Callable[[World], bool] = lambda world: True


@lru_cache(maxsize=64)
def _record(speed_kmh: float, incline_pct: float) -> Notification:
    reading = Reading(speed_kmh=speed_kmh, incline_pct=incline_pct)
    return Notification(0x2ACD, encode_treadmill_data(reading))


def _up(world: World) -> bool:
    return world.judge.link_up


def _second(speed_kmh: float) -> Action:
    return Action(f"1 s, runs {speed_kmh:g}", lambda world: _pass_second(world, speed_kmh), _up)


def _pass_second(world: World, speed_kmh: float | None, *, incline_follows: bool = True) -> None:
    judge = world.judge
    world.now_s += 1.0
    if speed_kmh is None:
        speed_kmh = judge.standing_kmh if judge.measured_kmh else 0.0
    pct = judge.standing_pct if incline_follows else judge.measured_pct or 0.0
    world.give(_record(speed_kmh, pct))
    world.tick()


def _lagging(world: World) -> None:
    for _ in range(3):
        _pass_second(world, None, incline_follows=False)


def _steady(world: World) -> None:
    for _ in range(int(AHEAD_S)):
        _pass_second(world, None)


def _silent(seconds: float) -> Action:
    def act(world: World) -> None:
        world.now_s += seconds
        world.tick()

    return Action(f"{seconds:g} s, nothing", act)


def _asleep(seconds: float) -> Action:
    """A long time in one piece: a computer that slept, with a record on waking up."""

    def act(world: World) -> None:
        world.now_s += seconds
        if world.judge.link_up:
            world.give(_record(world.judge.measured_kmh or 0.0, world.judge.standing_pct))
        world.tick()

    return Action(f"asleep for {seconds:g} s", act)


def _status(name: str, opcode: int, **values: Any) -> Action:
    payload = encode_status(opcode, **values)
    return Action(name, lambda world: world.give(Notification(0x2ADA, payload)), _up)


def _own_target(world: World) -> None:
    payload = encode_status(
        StatusCode.TARGET_SPEED_CHANGED, target_speed_kmh=world.judge.standing_kmh
    )
    world.give(Notification(0x2ADA, payload))


def _open(world: World) -> bool:
    return world.judge.link_up and world.judge.open_write is not None


def _answer(name: str, result: int) -> Action:
    def act(world: World) -> None:
        write = world.judge.open_write
        assert write is not None  # `_open` has looked
        answer = ControlResponse(request_opcode=write.opcode, result_code=result)
        world.give(Notification(0x2AD9, encode_response(answer)))

    return Action(f"answer: {name}", act, _open)


def _outcome(name: str, **values: Any) -> Action:
    def act(world: World) -> None:
        write = world.judge.open_write
        assert write is not None  # `_open` has looked
        world.give(WriteOutcome(write_id=write.write_id, **values))

    return Action(f"write: {name}", act, _open)


def _unasked_answer(world: World) -> None:
    answer = ControlResponse(request_opcode=OpCode.RESET, result_code=ResultCode.SUCCESS)
    world.give(Notification(0x2AD9, encode_response(answer)))


def _heard(channel: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        for announcement_id in list(world.pilot.deck.announcements.open):
            world.give(Delivered(announcement_id=announcement_id, channel=channel))

    return act


def _said(world: World) -> bool:
    spoken = world.pilot.deck.announcements.open.values()
    return world.listening and any(each.delivery == "queued" for each in spoken)


def _voices(world: World) -> None:
    world.listening = not world.listening
    world.give(CAN_SPEAK if world.listening else SILENT)


def _link(world: World) -> None:
    if world.judge.link_up:
        world.give(LinkDown())
    else:
        world.give(LinkUp(machine=world.scene.machine))


ALWAYS: tuple[Action, ...] = (
    *(_second(speed_kmh) for speed_kmh in SPEEDS_KMH),
    Action("3 s, incline lags", _lagging, _up),
    Action("6 s, follows", _steady, lambda world: bool(_up(world) and world.judge.measured_kmh)),
    _silent(4.0),
    _silent(11.0),
    _asleep(125.0),
    _status("key out", StatusCode.STOPPED_BY_SAFETY_KEY),
    _status("stopped", StatusCode.STOPPED_OR_PAUSED_BY_USER, stop_or_pause="stop"),
    _status("paused", StatusCode.STOPPED_OR_PAUSED_BY_USER, stop_or_pause="pause"),
    _status("console chose 5", StatusCode.TARGET_SPEED_CHANGED, target_speed_kmh=OVER_KMH),
    _answer("success", ResultCode.SUCCESS),
    _answer("failed", ResultCode.OPERATION_FAILED),
    _answer("no control", ResultCode.CONTROL_NOT_PERMITTED),
    _outcome("busy (0xFE)", att_error=0xFE),
    Action("link", _link),
    Action("voices", _voices),
    Action("heard", _heard(VOICE), _said),
)
"""What machine, radio and voices can do, in every state."""

SELDOM: tuple[Action, ...] = (
    _asleep(901.0),
    _status("started", StatusCode.STARTED_OR_RESUMED_BY_USER),
    _status("control lost", StatusCode.CONTROL_PERMISSION_LOST),
    _status("reset", StatusCode.RESET),
    Action("own target echoed", _own_target, _up),
    _outcome("refused (0x0E)", att_error=0x0E),
    _outcome("failed", error="no answer"),
)
"""And what they can do in the first state of every cell."""

HARMLESS: tuple[Action, ...] = (
    Action("answer to nothing", _unasked_answer, _up),
    Action("write taken", lambda world: world.give(WriteOutcome(write_id=0))),
    Action("noise", lambda world: world.give(Notification(0x2ACD, b"")), _up),
    Action("noise at the control point", lambda world: world.give(Notification(0x2AD9, b"\x80"))),
    Action("heard by a voice that does not count", _heard(DEAF)),
)
"""What must change nothing at all."""


def _asks(name: str, verb: Verb, **values: Any) -> Callable[[Source], Action]:
    def by(source: Source) -> Action:
        def act(world: World) -> None:
            world.give(world.command(verb, source, **values))

        return Action(f"{source}: {name}", act)

    return by


def _confirms(source: Source) -> Action:
    def act(world: World) -> None:
        world.give(world.command(Verb.CONFIRM, source, prompt=world.judge.prompt))

    return Action(f"{source}: confirm", act, lambda world: world.judge.prompt is not None)


ASKED: tuple[Callable[[Source], Action], ...] = (
    _confirms,
    _asks("stop", Verb.STOP),
    _asks("pause", Verb.PAUSE),
    _asks("resume", Verb.RESUME),
    _asks("slow", Verb.SLOW),
    _asks("speed cap", Verb.SPEED, speed_kmh=CAP_KMH),
)
"""What people ask in every state, each time another of them."""

ASKED_SELDOM: tuple[Callable[[Source], Action], ...] = (
    _asks("arm", Verb.ARM),
    _asks("stop now", Verb.STOP, now=True),
    _asks("stop, old and ill-formed", Verb.STOP, malformed=True, expired=True, age_s=99.0),
    _asks("stop, retained", Verb.STOP, retained=True),
    _asks("start", Verb.START),
    _asks("disarm", Verb.DISARM),
    _asks("speed mid", Verb.SPEED, speed_kmh=MID_KMH),
    _asks("incline 1", Verb.INCLINE, incline_pct=1.0),
)
"""And what all of them ask in the first state of every cell."""

BAD_VALUES: tuple[Callable[[Source], Action], ...] = (
    _asks("confirm a wrong prompt", Verb.CONFIRM, prompt="t-b-ask-0"),
    _asks("confirm without a prompt", Verb.CONFIRM),
    _asks("speed NaN", Verb.SPEED, speed_kmh=float("nan")),
    _asks("speed -1", Verb.SPEED, speed_kmh=-1.0),
    _asks("speed infinite", Verb.SPEED, speed_kmh=float("inf")),
    _asks("speed 9", Verb.SPEED, speed_kmh=9.0),
    _asks("incline NaN", Verb.INCLINE, incline_pct=float("nan")),
    _asks("incline 9", Verb.INCLINE, incline_pct=9.0),
    _asks("arm nothing known", Verb.ARM, program="none"),
)
"""What people ask that must be refused and must change nothing."""

BAD_DOORS: Mapping[str, Mapping[str, Any]] = {
    "retained": {"retained": True},
    "expired": {"expired": True},
    "old": {"age_s": 6.0},
    "malformed": {"malformed": True},
}
DOOR_VERBS: Mapping[Verb, Mapping[str, Any]] = {
    Verb.PAUSE: {},
    Verb.RESUME: {},
    Verb.SLOW: {},
    Verb.ARM: {},
    Verb.DISARM: {},
    Verb.CONFIRM: {},
    Verb.START: {},
    Verb.SPEED: {"speed_kmh": MIN_KMH},
    Verb.INCLINE: {"incline_pct": 0.0},
    Verb.RATE: {"effort": 3},
}


def refused(world: World) -> Iterator[Command]:
    """Every command that must be turned away here (S16), whatever it asks."""
    earlier = min(world.judge.seen, default=None)
    for source in SOURCES:
        for verb, values in DOOR_VERBS.items():
            prompt: dict[str, Any] = {"prompt": world.judge.prompt} if verb is Verb.CONFIRM else {}
            for door in BAD_DOORS.values():
                yield world.command(verb, source, **values, **prompt, **door)
            if earlier is not None:
                yield Command(id=earlier, verb=verb, source=source, **values, **prompt)


# --- the abstract state --------------------------------------------------------------------------


def _age(since_s: float | None, now_s: float, *limits: float) -> int:
    """In which of the ranges between these limits an age lies; -1: it has not begun."""
    if since_s is None:
        return -1
    age_s = now_s - since_s
    return sum(age_s + 1e-6 >= limit_s for limit_s in limits)


def cell(world: World) -> tuple[object, ...]:
    """The coordinates that the safety page names: phase, link, key, age, prompt, speed."""
    deck, now_s = world.pilot.deck, world.now_s
    prompt = deck.prompts.open
    return (
        deck.session.phase,
        deck.turn,
        deck.belt.link_up,
        deck.belt.key,
        _age(deck.belt.measured_at_s, now_s, deck.belt.stale_after_s, 10.0),
        None if prompt is None else prompt.kind,
        deck.belt.measured_speed_kmh,
    )


def coarse_key(world: World) -> tuple[object, ...]:
    """The cell, and with it what is being done: halted, permitted, in doubt, asked too much."""
    deck, now_s = world.pilot.deck, world.now_s
    halt, permit = deck.halt, deck.changes.permit(deck.announcements)
    measured_kmh, cleared_kmh = deck.belt.measured_speed_kmh or 0.0, deck.drive.cleared_speed_kmh
    return (
        *cell(world),
        None if halt is None else (halt.goal, halt.at_once),
        (measured_kmh > cleared_kmh) - (measured_kmh < cleared_kmh),
        (deck.belt.measured_incline_pct or 0.0) == deck.drive.cleared_incline_pct,
        deck.changes.pending is None,
        None if permit is None else _age(permit.delivered_at_s, now_s, 1.0, WARN_UP_S),
        (deck.belt.unknown_outcome, deck.control_point.busy),
    )


def fine_key(world: World) -> tuple[object, ...]:
    """Everything: every room with its ages, and what the judge remembers."""
    deck, now_s = world.pilot.deck, world.now_s
    run, changes, commands = deck.run, deck.changes, deck.commands
    permit = changes.permit(deck.announcements)
    return (
        *cell(world),
        *_abstract(deck, now_s),
        *(_abstract(room, now_s) for room in _rooms(deck)),
        world.listening,
        None if run is None else (run.index, -(-run.remaining_s // AHEAD_S)),
        None if permit is None else _age(permit.delivered_at_s, now_s, WARN_UP_S),
        None if (change := changes.pending) is None else (change.speed_kmh, change.incline_pct),
        None if (open_ := deck.control_point.outstanding) is None else open_.kind,
        frozenset(command.verb for command in commands),
        _judge_key(world.judge, now_s),
    )


def _rooms(deck: Deck) -> Iterator[object]:
    yield from (deck.belt, deck.control_point, deck.drive, deck.drive.watch, deck.changes)
    if deck.halt is not None:
        yield deck.halt


_LEFT_OUT = frozenset(
    {
        "acknowledged_incline_pct",
        "id",
        "last_number",
        "last_write_id",
        "machine",
        "noted",
        "period_s",
    }
    | {"counted_at_s", "problem", "rank", "reason", "slowest_kmh", "due_at_s", "waiting_since_s"}
    | {"requested_speed_kmh", "requested_incline_pct", "retry_at_s", "sent_at_s", "too_fast_said"}
    | {"heart_rate_bpm", "pending", "outstanding", "out", "commands", "seen", "own_targets"}
)
"""What the abstract state forgets: names and numbers of things, what is only shown to people, and
times that another one in the state goes with."""

_LIMITS_S: Mapping[str, tuple[float, ...]] = {
    "written_at_s": (1,),
    "measured_at_s": (),
    "steady_since_s": (HOLD_S,),
    "behind_since_s": (6, 12, 20),
    "began_at_s": (3, 30),
    "stop_sent_at_s": (1,),
    "slowest_at_s": (2, 3),
}
"""At which ages something is decided; two seconds where nothing else is said."""


def _plan(kind: type) -> tuple[tuple[str, tuple[float, ...] | None], ...]:
    """Which fields of a room are part of the state; times with their limits."""
    if kind not in _plans:
        names = [name for name in kind.__dataclass_fields__ if name not in _LEFT_OUT]  # type: ignore[attr-defined]
        _plans[kind] = tuple(
            (name, _LIMITS_S.get(name, (2.0,)) if name.endswith(_TIMES) else None) for name in names
        )
    return _plans[kind]


_plans: dict[type, tuple[tuple[str, tuple[float, ...] | None], ...]] = {}
_TIMES = ("_at_s", "_since_s")


def _abstract(room: object, now_s: float) -> tuple[object, ...]:
    values: list[object] = []
    for name, limits_s in _plan(type(room)):
        value = getattr(room, name)
        if limits_s is not None:
            values.append(_age(value, now_s, *limits_s))
        elif value.__class__ in _PLAIN or isinstance(value, Enum):
            values.append(value)
        else:  # another room, or a container: its own part of the key, or whether it is there
            values.append(value is None)
    return tuple(values)


_PLAIN = {float, int, bool, str, type(None)}


def _judge_key(judge: Judge, now_s: float) -> tuple[object, ...]:
    return (
        (judge.key_out, judge.stopped_by_machine, judge.console, judge.looking),
        (judge.tether, judge.turn_open, judge.eased_in_hold, judge.standing_kmh),
        (judge.standing_pct, judge.starts, judge.doubt),
        _age(judge.stop_asked_at_s, now_s, 3.5, 30),
        _age(judge.stop_sent_at_s, now_s, 3.5),
        None if judge.open_write is None else judge.open_write.opcode,
    )
