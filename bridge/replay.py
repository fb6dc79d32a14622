"""Runs a capture through the whole core again: same bytes, same times, no radio and no clock.

A capture of our own, with its commands and deliveries, gives the same events and the same writes.
One that holds only what a machine said is walked by a stand-in: someone who arms a program, hears
everything and confirms every prompt. What comes out is a list that a test can keep.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bridge.capture_file import Frame, Happening, Header, Item
from bridge.core.control_codec import encode_response
from bridge.core.deck import PilotSettings
from bridge.core.decode import decode
from bridge.core.errors import CaptureError, DecodeError
from bridge.core.ftms import decode_incline_range, decode_speed_range, read_features
from bridge.core.matching import STANDARD_ID
from bridge.core.messages import (
    Announcement,
    Command,
    CommandResult,
    ControlPointWrite,
    ControlResponse,
    Delivered,
    Identity,
    Input,
    LinkDown,
    LinkUp,
    Machine,
    Notification,
    Output,
    SessionEvent,
    Source,
    Verb,
    VoicesListening,
    Walker,
    WriteOutcome,
    json_value,
)
from bridge.core.pilot import Pilot
from bridge.device_profile import load_devices
from bridge.profiles import load_language, load_levels, load_programs

FEATURES, SPEED_RANGE, INCLINE_RANGE, CONTROL_POINT = 0x2ACC, 0x2AD4, 0x2AD5, 0x2AD9
FIRST_ITEM_LINE = 2
HEARS_AFTER_S = 2.0
ANSWERS_AFTER_S = 3.0
"""How long the stand-in takes to hear and to answer."""


@dataclass(slots=True)
class Replayed:
    """What came of a capture: frames that meant nothing, and all that the pilot said, in order."""

    frames: int = 0
    malformed: int = 0
    events: list[dict[str, object]] = field(default_factory=list)
    writes: list[dict[str, object]] = field(default_factory=list)
    results: list[dict[str, object]] = field(default_factory=list)


def replay(header: Header, items: list[Item], settings: PilotSettings, program: str) -> Replayed:
    """Everything in a capture through a new pilot."""
    own = any(isinstance(item, Happening) and item.event in _INPUTS for item in items)
    return _Replay(Pilot(settings), stand_in=not own, program=program).run(header, items)


class _Replay:
    def __init__(self, pilot: Pilot, *, stand_in: bool, program: str) -> None:
        self.pilot = pilot
        self.stand_in = stand_in
        self.program = program
        self.now_s = 0.0
        self.wakes_at_s = 0.0
        self.later: list[tuple[float, Input]] = []
        self.asked = ""
        self.out = Replayed()

    def run(self, header: Header, items: list[Item]) -> Replayed:
        if self.stand_in:
            self._give(VoicesListening(channels=frozenset({"mqtt"})))
            reads = {int(key, 16): bytes.fromhex(value) for key, value in header.reads.items()}
            self._give(LinkUp(machine=machine_from(reads, Identity(model=header.device))))
            self._give(Command(id="arm", verb=Verb.ARM, source=Source.LOCAL, program=self.program))
        for number, item in enumerate(items, start=FIRST_ITEM_LINE):
            self._pass_time(self.now_s if item.t is None else item.t)
            try:
                self._item(item)
            except (KeyError, TypeError, ValueError) as error:
                raise CaptureError(f"line {number}: not a whole event: {error}") from None
        self._pass_time(self.now_s + ANSWERS_AFTER_S)
        return self.out

    def _item(self, item: Item) -> None:
        match item:
            case Frame(dir="rx"):
                self.out.frames += 1
                self.out.malformed += not _meant_something(item)
                if item.op != "read":
                    self._give(Notification(int(item.characteristic, 16), item.payload))
            case Frame():
                self.out.frames += 1
            case Happening(event="tick"):
                self._take(self.pilot.tick(self.now_s))
            case Happening() if item.event in _INPUTS:
                self._give(_INPUTS[item.event](item.data))
            case _:
                pass

    def _pass_time(self, until_s: float) -> None:
        """Ticks and the stand-in's answers, each at its own moment, up to ``until_s``.

        A capture of our own holds the ticks that there were.
        """
        while self.stand_in:
            due_s = min([self.wakes_at_s, *(at_s for at_s, _ in self.later)])
            if due_s > until_s:
                break
            self.now_s = max(self.now_s, due_s)
            ready = [entry for entry in self.later if entry[0] <= self.now_s]
            self.later = [entry for entry in self.later if entry[0] > self.now_s]
            for _, item in ready:
                self._give(item)
            if self.wakes_at_s <= self.now_s:
                self._take(self.pilot.tick(self.now_s))
                self.wakes_at_s = self.pilot.next_wakeup_s(self.now_s)
        self.now_s = max(self.now_s, until_s)

    def _give(self, item: Input) -> None:
        self._take(self.pilot.receive(item, self.now_s))

    def _take(self, outputs: list[Output]) -> None:
        at = {"t": round(self.now_s, 3)}
        for output in outputs:
            match output:
                case SessionEvent():
                    self.out.events.append({**at, "type": output.type.value, "data": output.data})
                case CommandResult():
                    result = json_value(output)
                    assert isinstance(result, dict)
                    self.out.results.append({**at, **result})
                case ControlPointWrite():
                    self.out.writes.append({**at, "hex": output.payload.hex(), "why": output.why})
                    self._answer(output)
                case Announcement() if self.stand_in:
                    heard = Delivered(announcement_id=output.id, channel="mqtt")
                    self.later.append((self.now_s + HEARS_AFTER_S, heard))
        self._see_prompt()

    def _answer(self, write: ControlPointWrite) -> None:
        """A machine that only ever spoke is not there to be asked: it takes everything."""
        if not self.stand_in:
            return
        response = ControlResponse(request_opcode=write.payload[0], result_code=1)
        self.later.append((self.now_s, WriteOutcome(write_id=write.write_id)))
        self.later.append((self.now_s, Notification(CONTROL_POINT, encode_response(response))))

    def _see_prompt(self) -> None:
        prompt = self.pilot.deck.prompts.open
        if not self.stand_in or prompt is None or prompt.id == self.asked:
            return
        self.asked = prompt.id
        confirm = Command(
            id=f"confirm-{prompt.id}", verb=Verb.CONFIRM, source=Source.LOCAL, prompt=prompt.id
        )
        self.later.append((self.now_s + ANSWERS_AFTER_S, confirm))


def machine_from(
    reads: Mapping[int, bytes], identity: Identity, *, controllable: bool = True
) -> Machine:
    """A machine from what was read of it at connect; what means nothing is left out."""
    claims: dict[str, Any] = {}
    speed_range = incline_range = None
    for uuid16, payload in reads.items():
        try:
            if uuid16 == FEATURES:
                claims = read_features(payload)
            elif uuid16 == SPEED_RANGE:
                speed_range = decode_speed_range(payload)
            elif uuid16 == INCLINE_RANGE:
                incline_range = decode_incline_range(payload)
        except DecodeError:
            continue
    return Machine(
        identity=identity,
        features=frozenset(claims.get("features", ())),
        targets=frozenset(claims.get("targets", ())),
        speed_range=speed_range,
        incline_range=incline_range,
        controllable=controllable,
        reads=tuple(reads.items()),
    )


def settings_for(header: Header, treadmill: str = "replay") -> PilotSettings:
    """The pilot of a capture: as its header has it, else one with nothing in its way.

    A capture from elsewhere is walked by somebody of the highest level, whose belt is trusted.
    """
    levels, said = load_levels(), header.pilot
    level = levels[said.get("level", max(levels, key=lambda name: levels[name].rank))]
    walker = Walker(id="walker", level=level, accepted_safety=1)
    return PilotSettings(
        treadmill=said.get("treadmill", treadmill),
        boot=said.get("boot", "replay"),
        language=load_language(said.get("language", "en")),
        programs=load_programs(),
        levels={each.id: each.rank for each in levels.values()},
        walkers={said.get("walker", walker.id): replace(walker, id=said.get("walker", walker.id))},
        walker=said.get("walker", walker.id),
        voices=frozenset(said.get("voices", ("mqtt",))),
        start=said.get("start", "console"),
        remote=said.get("remote", "slow-only"),
        units_proven=said.get("units_proven", True),
        new_session_id=lambda: "replayed",
        devices={ident: each.quirks for ident, each in load_devices().items()},
    )


def _meant_something(frame: Frame) -> bool:
    try:
        decode(frame.characteristic, frame.payload)
    except DecodeError:
        return False
    return True


# --- inputs that were written down ---------------------------------------------------------------


def _link_up(data: dict[str, Any]) -> Input:
    reads = {int(key, 16): bytes.fromhex(value) for key, value in data.get("reads", {}).items()}
    identity = Identity(**data.get("identity", {}))
    return LinkUp(
        machine=machine_from(reads, identity, controllable=data.get("controllable", True)),
        device=data.get("device", STANDARD_ID),
    )


def _command(data: dict[str, Any]) -> Input:
    known = {item.name for item in fields(Command)}
    values = {key: value for key, value in data.items() if key in known}
    values["verb"], values["source"] = Verb(data["verb"]), Source(data["source"])
    return Command(**values)


_INPUTS: dict[str, Callable[[dict[str, Any]], Input]] = {
    "link_up": _link_up,
    "link_down": lambda data: LinkDown(detail=str(data.get("detail", ""))),
    "command": _command,
    "delivered": lambda data: Delivered(**data),
    "voices": lambda data: VoicesListening(channels=frozenset(data["channels"])),
    "write_outcome": lambda data: WriteOutcome(**data),
}
