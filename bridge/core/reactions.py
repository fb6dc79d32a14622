"""What a session does about what the machine says: records, status events, answers, silence.

Bytes are decoded and believed (`Belt`), then acted on where the machine did something of its own
accord (S8, S9, S10, S12). Refuses to know who asked for what.
"""

import math

from bridge.core import commands, holding, stopping
from bridge.core.control_codec import decode_response, decode_status
from bridge.core.control_point import Kind, Settled, Verdict
from bridge.core.deck import TARGETS, Deck
from bridge.core.ftms import RecordJoiner, decode_treadmill_data
from bridge.core.governor import clear_start
from bridge.core.messages import (
    ClearedStart,
    Delivered,
    EventType,
    MachineStatus,
    Notification,
    Outcome,
    Phase,
    Reading,
    Reason,
    StatusCode,
    Urgency,
    Verb,
)
from bridge.core.neighbours import decode_heart_rate
from bridge.core.quirks import correct_frame, correct_reading, correct_status
from bridge.core.session import DRIVING
from bridge.core.watch import Finding

TREADMILL_DATA = 0x2ACD
CONTROL_POINT = 0x2AD9
MACHINE_STATUS = 0x2ADA
HEART_RATE = 0x2A37

_DUST = 1e-9

CONSOLE_STOP = "console_stop"
"""The reason of an end that somebody at the machine wanted."""

SAME_INCLINE_PCT = 0.25
"""Half of the finest incline step in the captures: closer than this is the same target."""

STOPPED_BY_ITSELF_S = 2.0
"""A belt at rest for this long, unasked, was stopped at the machine. One record of zero may lie
(Merach sends single spurious zeros, QZ horizontreadmill.cpp:2891)."""


def notified(deck: Deck, joiner: RecordJoiner, item: Notification, now_s: float) -> None:
    """Take in one notification or indication. Raises `DecodeError` for bytes that mean nothing."""
    if item.characteristic == TREADMILL_DATA:
        frame = correct_frame(item.payload, deck.quirks)
        reading = joiner.push(decode_treadmill_data(frame), now_s)
        if reading is not None:
            accepted_pct = deck.belt.acknowledged_incline_pct
            _reading(deck, correct_reading(reading, deck.quirks, accepted_pct), now_s)
    elif item.characteristic == CONTROL_POINT:
        settled(deck, deck.control_point.response(decode_response(item.payload)), now_s)
    elif item.characteristic == MACHINE_STATUS:
        _told(deck, decode_status(item.payload), now_s)
    elif item.characteristic == HEART_RATE:
        deck.heart.read(decode_heart_rate(item.payload), now_s)


def _told(deck: Deck, said: MachineStatus, now_s: float) -> None:
    """A status event: put right first, then an answer where there is no other, then acted on."""
    if now_s - deck.linked_at_s < deck.quirks.status_settle_ms / 1000:
        return
    status = correct_status(said, deck.quirks, at_rest=deck.belt.at_rest)
    if status is None:
        return
    procedure = deck.control_point.status(status)
    if procedure is not None:
        settled(deck, procedure, now_s)
        return
    _status(deck, status, now_s)


def _reading(deck: Deck, reading: Reading, now_s: float) -> None:
    deck.belt.read(reading, now_s)
    if deck.belt.measured_speed_kmh is None:
        return
    if deck.belt.moving:
        deck.started_at_s = -math.inf
    else:
        deck.stood = True
    if deck.session.running:
        deck.session.count(deck.belt.measured_speed_kmh, deck.direction, now_s)
    driving = deck.session.phase in DRIVING and deck.halt is None
    if driving and deck.drive.measured(deck.belt, now_s):
        _reached(deck, now_s)
    _look_for_rest(deck, now_s)
    if deck.session.phase in DRIVING and deck.halt is None and deck.belt.moving:
        _act_on(deck, deck.drive.watch.look(deck.belt, now_s), now_s)


def _reached(deck: Deck, now_s: float) -> None:
    """The belt runs what was cleared; on the record only where that is the goal of the change."""
    noted = deck.changes.noted
    if noted is None or abs(noted[0] - deck.drive.cleared_speed_kmh) > _DUST:
        return
    deck.changes.noted = None
    deck.event(EventType.SPEED_REACHED, now_s, speed_kmh=deck.belt.measured_speed_kmh)


def _look_for_rest(deck: Deck, now_s: float) -> None:
    """S9: a belt that stands without having been asked was stopped at the machine."""
    watched = deck.session.phase in DRIVING or deck.session.phase is Phase.HOLDING
    expected = deck.halt is not None or deck.rests_for_turn
    if not deck.belt.at_rest or not watched or expected:
        deck.rest_since_s = None
        return
    if deck.rest_since_s is None:
        deck.rest_since_s = now_s
    elif now_s - deck.rest_since_s >= STOPPED_BY_ITSELF_S - _DUST:
        unseen = deck.session.phase is Phase.HOLDING and deck.problem is Reason.LINK_DOWN
        _stopped_by_machine(deck, Reason.LINK_DOWN.value if unseen else CONSOLE_STOP, now_s)


def _act_on(deck: Deck, finding: Finding | None, now_s: float) -> None:
    measured_kmh = deck.belt.measured_speed_kmh
    match finding:
        case Finding.RUNAWAY:
            deck.event(
                EventType.RUNAWAY,
                now_s,
                measured_kmh=measured_kmh,
                cleared_kmh=deck.drive.cleared_speed_kmh,
            )
            deck.say("announce.runaway", now_s, urgency=Urgency.ALARM)
            stopping.begin(deck, Reason.RUNAWAY.value, now_s)
        case Finding.NOT_FOLLOWING:
            holding.begin(deck, Reason.NOT_FOLLOWING, now_s, measured_kmh=measured_kmh)
        case Finding.CONSOLE:
            _console_override(deck, measured_kmh, now_s)
        case _:
            pass  # nothing, or silence, which time tells (`look_for_silence`)


def _console_override(deck: Deck, speed_kmh: float | None, now_s: float) -> None:
    """S8: the console wins."""
    deck.event(EventType.CONSOLE_OVERRIDE, now_s, speed_kmh=speed_kmh)
    holding.begin(deck, Reason.CONSOLE_OVERRIDE, now_s, speed_kmh=speed_kmh)


def _stopped_by_machine(deck: Deck, reason: str, now_s: float) -> None:
    """S9: the end, latched: the table has no way back into motion but arming."""
    if not deck.session.running:
        return
    deck.event(EventType.BELT_STOPPED, now_s, reason=reason)
    stopping.end(deck, reason, now_s, by_machine=True)


def _status(deck: Deck, status: MachineStatus, now_s: float) -> None:
    deck.belt.status(status)
    match status.opcode:
        case StatusCode.STOPPED_BY_SAFETY_KEY:
            _key_out(deck, now_s)
        case StatusCode.STOPPED_OR_PAUSED_BY_USER:
            _stopped_or_paused(deck, status, now_s)
        case StatusCode.TARGET_SPEED_CHANGED if deck.session.phase in DRIVING:
            target_kmh = status.target_speed_kmh
            if target_kmh is not None and deck.halt is None:
                _told_target(deck, target_kmh, now_s)
        case StatusCode.TARGET_INCLINE_CHANGED if deck.session.phase in DRIVING:
            target_pct = status.target_incline_pct
            if target_pct is not None and deck.halt is None:
                _told_incline(deck, target_pct, now_s)
        case StatusCode.STARTED_OR_RESUMED_BY_USER:
            _started(deck, now_s)
        case StatusCode.CONTROL_PERMISSION_LOST:
            _not_ours(deck, Reason.CONTROL_LOST, now_s)
        case _:
            pass


def _started(deck: Deck, now_s: float) -> None:
    """Somebody pressed Start; the belt may still stand for a while."""
    deck.stood = True
    if deck.belt.moving:
        return
    before_s, deck.started_at_s = deck.started_at_s, now_s
    echo = (
        now_s - before_s < stopping.START_TAKES_S
    )  # of our own Start, or the same press told twice
    if deck.quirks.start_handshake and deck.awaits_start and not echo:
        _shake_hands(deck, now_s)
    if deck.problem is Reason.KEY_OUT:
        deck.problem = None


def _shake_hands(deck: Deck, now_s: float) -> None:
    """S1, S2: the console's START only asks here; the belt moves when the client says so too.

    The press is the explicit, fresh, local action that a start needs.
    """
    cleared = clear_start(deck.view(now_s), allowed=True, gesture_age_s=0.0)
    if isinstance(cleared, ClearedStart):
        deck.control_point.want_control()
        deck.control_point.want_start(cleared)


def _told_incline(deck: Deck, target_pct: float, now_s: float) -> None:
    """S8: a slope between where the machine is and where we sent it is ours; else the console's."""
    belt = deck.belt
    ours = (deck.drive.cleared_incline_pct, belt.acknowledged_incline_pct)
    known = [pct for pct in (*ours, belt.measured_incline_pct) if pct is not None]
    low_pct, high_pct = min(known) - SAME_INCLINE_PCT, max(known) + SAME_INCLINE_PCT
    if not low_pct <= target_pct <= high_pct:
        _console_override(deck, belt.measured_speed_kmh, now_s)


def _told_target(deck: Deck, target_kmh: float, now_s: float) -> None:
    """The machine names a target speed: an echo of ours, or the console's (S8)."""
    finding = deck.drive.watch.told_target(target_kmh, now_s)
    if finding is Finding.CONSOLE:
        _console_override(deck, target_kmh, now_s)
    else:
        _act_on(deck, finding, now_s)


def _key_out(deck: Deck, now_s: float) -> None:
    deck.event(EventType.SAFETY_KEY_REMOVED, now_s)
    deck.say("announce.key_out", now_s, urgency=Urgency.ALARM)
    deck.control_point.forget_targets()
    deck.started_at_s = -math.inf
    deck.close(TARGETS | {Verb.START}, Outcome.REJECTED, Reason.KEY_OUT)
    if deck.session.phase is Phase.ARMED:
        commands.disarm(deck, Reason.KEY_OUT.value, now_s)
    _stopped_by_machine(deck, Reason.KEY_OUT.value, now_s)
    deck.problem = Reason.KEY_OUT


def _stopped_or_paused(deck: Deck, status: MachineStatus, now_s: float) -> None:
    """Somebody pressed Stop or Pause at the machine, unless it echoes what we asked."""
    if deck.halt is not None:
        deck.halt.at_once = True  # S9: no more targets for a belt that somebody has stopped
        return
    if deck.rests_for_turn or deck.session.phase is Phase.PAUSED:
        return
    if status.stop_or_pause == "pause":
        stopping.pause(deck, "console", now_s)
    else:
        _stopped_by_machine(deck, CONSOLE_STOP, now_s)


def settled(deck: Deck, procedure: Settled | None, now_s: float) -> None:
    """A control procedure is over, if ``procedure`` says so: believe it, record a refusal."""
    if procedure is None:
        return
    deck.drive.settled(procedure, deck.belt)
    kind, verdict = procedure.procedure.kind, procedure.verdict
    if kind in {Kind.STOP, Kind.PAUSE}:
        if verdict is Verdict.NO_CONTROL:
            stopping.without_control(deck)
        elif verdict in {Verdict.DONE, Verdict.TAKEN}:
            stopping.taken(deck)
    elif verdict in {Verdict.REFUSED, Verdict.NO_CONTROL}:
        _refused(deck, procedure, now_s)
    elif kind is Kind.CONTROL and verdict is Verdict.DONE:
        stopping.control_given(deck)


_ASKED_BY = {
    Kind.START: frozenset({Verb.START}),
    Kind.SPEED: frozenset({Verb.SPEED, Verb.SLOW}),
    Kind.INCLINE: frozenset({Verb.INCLINE}),
}


def _refused(deck: Deck, answer: Settled, now_s: float) -> None:
    """S17: the machine said no. What was asked is answered so, and it is put on the record."""
    kind, value = answer.procedure.kind, answer.procedure.value
    lost = answer.verdict is Verdict.NO_CONTROL
    reason = Reason.CONTROL_LOST if lost else Reason.REFUSED_BY_MACHINE
    deck.event(
        EventType.REFUSED,
        now_s,
        request=kind.value,
        value=value,
        result_code=answer.result_code,
        reason=reason.value,
    )
    deck.close(_ASKED_BY.get(kind, ()), Outcome.REJECTED, reason)
    deck.changes.pending = None
    deck.changes.cancelled = True
    if deck.halt is not None:
        deck.halt.at_once = True
    elif kind is Kind.CONTROL:
        _not_ours(deck, Reason.CONTROL_LOST, now_s)
    elif lost:
        deck.control_point.want_control()
    elif kind is not Kind.START:
        _target_refused(deck, answer, now_s)


def _not_ours(deck: Deck, reason: Reason, now_s: float) -> None:
    if deck.session.phase in DRIVING and not deck.rests_for_turn:
        holding.begin(deck, reason, now_s)


def _target_refused(deck: Deck, answer: Settled, now_s: float) -> None:
    """A rise that is refused is left alone; a belt that will not be slowed down needs a person."""
    belt, value = deck.belt, answer.procedure.value or 0.0
    speed = answer.procedure.kind is Kind.SPEED
    present = belt.acknowledged_speed_kmh if speed else belt.acknowledged_incline_pct
    deck.slower_kmh = None
    if present is not None and value < present:
        _not_ours(deck, Reason.REFUSED_BY_MACHINE, now_s)
    else:
        deck.say("announce.refused", now_s, urgency=Urgency.WARN)


def delivered(deck: Deck, item: Delivered, now_s: float) -> None:
    """A voice channel says that it spoke (S6)."""
    spoken = deck.announcements.delivered(item, now_s)
    if spoken is not None:
        deck.event(
            EventType.ANNOUNCED,
            now_s,
            announcement=item.announcement_id,
            text=spoken.announcement.text,
            channel=item.channel,
            waited_s=round(now_s - spoken.said_at_s, 1),
        )


def look_for_silence(deck: Deck, now_s: float) -> None:
    """S10: nothing heard for so long that the program holds."""
    rests = deck.rests_for_turn and not deck.belt.moving
    if not deck.belt.link_up or rests:  # some machines say nothing at rest (T318)
        return
    known = deck.problem is Reason.STALE_DATA and deck.prompts.open is None
    holds = deck.session.phase is Phase.HOLDING and not known
    if not holds and deck.session.phase not in DRIVING:
        return
    if deck.drive.watch.stale(deck.belt, now_s):
        age_s = deck.belt.data_age_s(now_s)
        deck.event(EventType.STALE, now_s, age_s=None if age_s is None else round(age_s, 1))
        holding.begin(deck, Reason.STALE_DATA, now_s)
