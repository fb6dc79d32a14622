"""The pilot: joins the rooms. Inputs and time in; writes, announcements, events and results out.

    receive(input, now_s)   bytes from the machine, a command, a voice, the link
    tick(now_s)             time has passed
    next_wakeup_s(now_s)    when the next tick is due at the latest
    state(now_s)            a snapshot for publishing

Both `receive` and `tick` return what must go out now, in order. One task owns a pilot; it never
blocks, waits, logs or raises on anything that comes from outside.
"""

from typing import assert_never

from bridge.core import commands, holding, reactions, starting, steering, stopping
from bridge.core.admission import Admission
from bridge.core.announcements import Announcements
from bridge.core.belt import Belt
from bridge.core.control_point import ControlPoint, Kind
from bridge.core.deck import Deck, PilotSettings, TurnStep
from bridge.core.drive import Drive
from bridge.core.errors import DecodeError
from bridge.core.ftms import RecordJoiner
from bridge.core.messages import (
    Command,
    Delivered,
    EventType,
    Input,
    LinkDown,
    LinkUp,
    Notification,
    Outcome,
    Output,
    Phase,
    Reason,
    State,
    Urgency,
    Verb,
    VoicesListening,
    WriteOutcome,
)
from bridge.core.prompts import PromptKind, Prompts
from bridge.core.quirks import STANDARD, machine_limits
from bridge.core.session import DRIVING
from bridge.core.snapshot import snapshot

TICK_S = 0.25
IDLE_TICK_S = 1.0

LONGEST_TICK_S = 1.5
"""A longer gap between ticks (a sleeping laptop) does not move a program's clock further."""

START_WAIT_S = 300.0
"""How long an armed session waits for the console's Start (long enough to tie a shoe)."""

PAUSE_WAIT_S = 900.0
"""How long a paused session waits to be started again before it ends."""

CONTROL_RETRY_S = 5.0
"""How soon the right to set targets is asked for again when nobody answered."""


class Pilot:
    """One treadmill's pilot. See the module's text for its four doors."""

    def __init__(self, settings: PilotSettings) -> None:
        belt = Belt()
        control_point = ControlPoint(belt.speed_range)
        prefix = f"{settings.treadmill}-{settings.boot}"
        self.deck = Deck(
            settings=settings,
            belt=belt,
            control_point=control_point,
            drive=Drive(control_point),
            admission=Admission(settings.remote),
            announcements=Announcements(prefix, settings.language, settings.voices),
            prompts=Prompts(prefix),
        )
        self.joiner = RecordJoiner()
        self.ticked_at_s: float | None = None
        self.control_asked_at_s = 0.0
        self.malformed_notifications = 0

    # --- the doors -------------------------------------------------------------------------------

    def receive(self, item: Input, now_s: float) -> list[Output]:
        """Take in one thing from outside and act on it."""
        deck = self.deck
        match item:
            case Notification():
                self._notified(item, now_s)
            case WriteOutcome():
                reactions.settled(deck, deck.control_point.outcome(item, now_s), now_s)
            case Command():
                commands.answer(deck, item, now_s)
            case Delivered():
                reactions.delivered(deck, item, now_s)
            case VoicesListening():
                deck.announcements.listening = item.channels
            case LinkUp():
                self._link_up(item, now_s)
            case LinkDown():
                self._link_down(item, now_s)
            case _:
                assert_never(item)
        self._proceed(now_s)
        return self._collect(now_s)

    def tick(self, now_s: float) -> list[Output]:
        """Let time pass: programs go on, leads end, prompts and procedures run out."""
        deck = self.deck
        passed_s = 0.0 if self.ticked_at_s is None else now_s - self.ticked_at_s
        self.ticked_at_s = now_s
        driving = deck.session.phase in DRIVING and deck.halt is None
        if deck.run is not None and driving and deck.belt.fresh(now_s):
            deck.run.pass_time(min(max(passed_s, 0.0), LONGEST_TICK_S))
        reactions.settled(deck, deck.control_point.tick(now_s), now_s)
        self._expire(now_s)
        reactions.look_for_silence(deck, now_s)
        self._proceed(now_s)
        return self._collect(now_s)

    def next_wakeup_s(self, now_s: float) -> float:
        """When `tick` should be called next, at the latest."""
        busy = self.deck.session.running or self.deck.halt is not None
        due_s = now_s + (TICK_S if busy else IDLE_TICK_S)
        procedure_s = self.deck.control_point.next_wakeup_s()
        return due_s if procedure_s is None else min(due_s, max(procedure_s, now_s))

    def _collect(self, now_s: float) -> list[Output]:
        deck = self.deck
        while (write := deck.control_point.next_write(now_s)) is not None:
            # A stop leaves before whatever else was decided in the same moment (S7).
            if deck.control_point.outstanding is not None and write.why in {Kind.STOP, Kind.PAUSE}:
                deck.out.insert(0, write)
            else:
                deck.out.append(write)
        out, deck.out = deck.out, []
        return out

    # --- what goes on by itself ------------------------------------------------------------------

    def _proceed(self, now_s: float) -> None:
        """One pass of whatever the phase is about."""
        deck = self.deck
        stopping.step(deck, now_s)
        match deck.session.phase:
            case Phase.ARMED | Phase.PAUSED:
                starting.step(deck, now_s)
            case Phase.MOVING if deck.halt is None:
                self._keep_control(now_s)
                steering.steer(deck, now_s)
            case Phase.TURNING:
                self._keep_control(now_s)
                if deck.turn is TurnStep.AWAITING_START:
                    starting.step_in_turn(deck, now_s)
                steering.steer_turn(deck, now_s)
            case Phase.HOLDING:
                holding.step(deck, now_s)
            case _:
                pass
        commands.settle(deck, now_s)

    def _keep_control(self, now_s: float) -> None:
        """Ask again for the right to set targets when the first asking went unanswered."""
        deck = self.deck
        if deck.belt.control_held or now_s - self.control_asked_at_s < CONTROL_RETRY_S:
            return
        self.control_asked_at_s = now_s
        deck.control_point.want_control()

    # --- time runs out ---------------------------------------------------------------------------

    def _expire(self, now_s: float) -> None:
        deck = self.deck
        deck.announcements.expire(now_s)
        prompt = deck.prompts.expire(now_s)
        if prompt is not None:
            match prompt.kind:
                case PromptKind.TETHER:
                    commands.disarm(deck, "not_confirmed", now_s)
                case PromptKind.TURN:
                    stopping.begin(deck, "not_confirmed", now_s)
                case PromptKind.RESUME:
                    holding.given_up(deck, now_s)
                case _:
                    assert_never(prompt.kind)
        waited_s = now_s - deck.waiting_since_s
        if deck.session.phase is Phase.ARMED and deck.tether_confirmed and waited_s >= START_WAIT_S:
            commands.disarm(deck, "not_started", now_s)
        elif deck.session.phase is Phase.PAUSED and waited_s >= PAUSE_WAIT_S:
            # S18: a belt that was started too fast to be taken over still has to stop.
            give_up = stopping.begin if deck.belt.moving else stopping.end
            give_up(deck, "not_resumed", now_s)

    # --- the link --------------------------------------------------------------------------------

    def _notified(self, item: Notification, now_s: float) -> None:
        """Bytes that mean nothing are counted, never raised."""
        try:
            reactions.notified(self.deck, self.joiner, item, now_s)
        except DecodeError:
            self.malformed_notifications += 1

    def _link_up(self, item: LinkUp, now_s: float) -> None:
        """S11: look first. Nothing is sent."""
        deck = self.deck
        if deck.belt.link_up:  # a new link without word that the old one is gone
            self._link_down(LinkDown(detail="replaced"), now_s)
        self.joiner.drop()
        deck.quirks = deck.settings.devices.get(item.device, STANDARD)
        deck.belt.connect(machine_limits(item.machine, deck.quirks))
        deck.belt.control_held = deck.quirks.control_requests == 0
        deck.control_point.quirks = deck.quirks
        deck.control_point.speed_range = deck.belt.speed_range
        deck.control_point.incline_range = deck.belt.machine.incline_range
        deck.linked_at_s = now_s
        deck.drive.written_at_s = now_s
        if deck.session.running:
            deck.event(EventType.LINK_RESTORED, now_s)
            deck.say("announce.link_restored", now_s, urgency=Urgency.WARN)

    def _link_down(self, item: LinkDown, now_s: float) -> None:
        deck = self.deck
        self.joiner.drop()
        was_up = deck.belt.link_up
        deck.control_point.drop()
        deck.belt.forget()
        if not was_up:
            return
        deck.close(frozenset(Verb), Outcome.UNKNOWN, Reason.LINK_DOWN)
        if deck.session.phase is Phase.ARMED:
            commands.disarm(deck, Reason.LINK_DOWN.value, now_s)
        if deck.session.running:
            deck.event(EventType.LINK_LOST, now_s, detail=item.detail)
            if deck.session.phase is Phase.STOPPING:
                deck.say("announce.link_lost", now_s, urgency=Urgency.ALARM)
            else:
                holding.begin(deck, Reason.LINK_DOWN, now_s)

    def state(self, now_s: float) -> State:
        """What everybody may see now. Unknown is ``None``."""
        return snapshot(self.deck, now_s)

    def summary(self) -> dict[str, object]:
        """The running or last session so far (the retained session topic)."""
        return stopping.summary(self.deck, None)

    @property
    def at_rest(self) -> bool:
        """Nothing of ours is armed, moves, or is being brought to rest."""
        idle = self.deck.session.phase in {Phase.IDLE, Phase.ENDED}
        return idle and self.deck.halt is None
