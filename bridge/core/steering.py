"""Walking a program: what it wants now, what is said before it changes, what is handed out.

One pass of `steer` looks at the program, announces the change that comes next, and moves the drive
one target towards the goal that has been announced (S5, S6, S14, S20). Nothing here can make the
governor say yes; a program that wants too much is simply refused.
"""

from bridge.core import stopping, turning
from bridge.core.changes import Change
from bridge.core.deck import Deck, TurnStep
from bridge.core.governor import next_rise_kmh, reachable_kmh, reachable_pct
from bridge.core.messages import (
    Announcement,
    Direction,
    EventType,
    NextChange,
    Reason,
    Refused,
    Segment,
    Urgency,
)
from bridge.core.session import Trigger

SPEAKING_S = 4.0
"""How long an announcement takes to be spoken, on top of the level's warning time."""

_DUST = 1e-9


def steer(deck: Deck, now_s: float) -> None:
    """One pass while the session is moving."""
    run = deck.run
    assert run is not None  # a session that moves has a program
    if run.remaining_s <= 0 and _leave_segment(deck, now_s):
        return
    _ease_for_heart(deck, now_s)
    say_ahead(deck, now_s)
    _drop_unheard(deck, now_s)
    speed_kmh, incline_pct = goal(deck, now_s)
    _drop_unwanted(deck, speed_kmh, incline_pct)
    _announce_rise(deck, speed_kmh, incline_pct, now_s)
    _hand_out(deck, speed_kmh, incline_pct, now_s)


def steer_turn(deck: Deck, now_s: float) -> None:
    """One pass while the session is turning; a confirmed turn lasts at least its segment's time."""
    turning.step(deck, now_s)
    run = deck.run
    if deck.turn is not TurnStep.CONFIRMED or run is None:
        return
    say_ahead(deck, now_s)
    if run.remaining_s > 0:
        return
    deck.turn = None
    deck.session.move(Trigger.TURNED)
    _leave_segment(deck, now_s)


def goal(deck: Deck, now_s: float) -> tuple[float, float]:
    """The present segment's speed and incline, within every ceiling and what a person eased to."""
    run = deck.run
    assert run is not None  # a session that moves has a program
    return _wanted(deck, run.segment, now_s)


def _wanted(deck: Deck, segment: Segment, now_s: float) -> tuple[float, float]:
    run = deck.run
    assert run is not None  # a session that moves has a program
    view = deck.view(now_s, direction=segment.direction)
    wanted_kmh = run.ceiling_kmh(segment)
    if deck.eased_kmh is not None:
        wanted_kmh = min(wanted_kmh, deck.eased_kmh)
    wanted_pct = segment.incline_pct
    if deck.eased_pct is not None:
        wanted_pct = min(wanted_pct, deck.eased_pct)
    return reachable_kmh(wanted_kmh, view), reachable_pct(wanted_pct, view)


def enter_segment(deck: Deck, now_s: float) -> None:
    """Say what begins, and count its ramps from now."""
    run = deck.run
    assert run is not None  # a session that moves has a program
    segment = run.segment
    deck.changes.next_segment()
    if deck.problem in {Reason.NOT_DELIVERED, Reason.NO_VOICE}:
        deck.problem = None
    deck.close_above(*goal(deck, now_s), Reason.SUPERSEDED)
    deck.drive.change_due(now_s)
    deck.event(
        EventType.SEGMENT_STARTED,
        now_s,
        segment=run.index + 1,
        direction=segment.direction.value,
        speed_kmh=run.ceiling_kmh(segment),
        incline_pct=segment.incline_pct,
        duration_s=segment.duration_s,
    )
    for cue in segment.cues[:1]:
        text = deck.announcements.language.cues.get(cue)
        if text is not None and segment.direction is not Direction.TURN:
            deck.say(text, now_s)


def _leave_segment(deck: Deck, now_s: float) -> bool:
    """Go on to what comes next; true when that is no longer steering's business."""
    run = deck.run
    assert run is not None  # a session that moves has a program
    following = run.next_segment
    run.go_on()
    if following is None:
        deck.say("announce.finished", now_s)
        stopping.begin(deck, stopping.FINISHED, now_s)
        return True
    enter_segment(deck, now_s)
    if following.direction is Direction.TURN:
        deck.session.move(Trigger.TURN)
        turning.begin(deck, now_s)
        return True
    return False


# --- saying --------------------------------------------------------------------------------------


def say_ahead(deck: Deck, now_s: float) -> None:
    """Announce the next segment early enough that its lead is over when it begins."""
    run = deck.run
    assert run is not None  # a session that moves has a program
    following, level = run.next_segment, deck.who.level
    easier = _is_easier(deck, following, now_s)
    if deck.changes.ahead_said or (deck.changes.pending is not None and not easier):
        return
    lead_s = level.warn_down_s if easier else level.warn_up_s
    if run.remaining_s > lead_s + SPEAKING_S:
        return
    deck.changes.ahead_said = True
    if easier:
        deck.changes.pending = None  # no rise on the way to something easier, a turn or the end
    if following is None:
        _say_lead(deck, "announce.finish", now_s, lead_s)
    elif following.direction is Direction.TURN:
        _say_lead(deck, "announce.turn", now_s, lead_s)
    else:
        _say_segment_ahead(deck, following, now_s)


def _is_easier(deck: Deck, following: Segment | None, now_s: float) -> bool:
    """What comes next makes the belt slower, or less steep at the same speed."""
    if following is None or following.direction is Direction.TURN:
        return True
    drive = deck.drive
    wanted_kmh, wanted_pct = _wanted(deck, following, now_s)
    if abs(wanted_kmh - drive.cleared_speed_kmh) > _DUST:
        return wanted_kmh < drive.cleared_speed_kmh
    return wanted_pct < drive.cleared_incline_pct - _DUST


def _say_segment_ahead(deck: Deck, following: Segment, now_s: float) -> None:
    view = deck.view(now_s, direction=following.direction)
    wanted_kmh, wanted_pct = _wanted(deck, following, now_s)
    lead_s = deck.who.level.warn_down_s
    if wanted_kmh < deck.drive.cleared_speed_kmh - _DUST:
        deck.changes.falling_to_kmh = wanted_kmh
        _say_lead(deck, "announce.fall", now_s, lead_s, speed_kmh=wanted_kmh)
    if wanted_pct < deck.drive.cleared_incline_pct - _DUST:
        _say_lead(deck, "announce.incline_fall", now_s, lead_s, incline_pct=wanted_pct)
    _announce(deck, next_rise_kmh(view, wanted_kmh), wanted_pct, now_s)


def _say_lead(
    deck: Deck, phrase: str, now_s: float, lead_s: float, **values: str | float
) -> Announcement:
    """Say what comes in ``lead_s`` seconds."""
    return deck.say(
        phrase, now_s, urgency=Urgency.WARN, lead_s=lead_s, values={"lead_s": lead_s, **values}
    )


def _announce_rise(deck: Deck, speed_kmh: float, incline_pct: float, now_s: float) -> None:
    """Announce the next step up within this segment, unless one is pending or was not heard."""
    changes, drive = deck.changes, deck.drive
    rising = speed_kmh > drive.cleared_speed_kmh + _DUST
    steeper = incline_pct > drive.cleared_incline_pct + _DUST
    if not (rising or steeper) or changes.pending is not None or changes.cancelled:
        return
    if changes.ahead_said:
        return  # what comes next has been announced; nothing else on top of it
    view = deck.view(now_s)
    if not view.fresh or view.unknown_outcome or not view.control_held:
        return
    step_kmh = next_rise_kmh(view, speed_kmh)
    _announce(deck, step_kmh, incline_pct, now_s)


def _announce(deck: Deck, step_kmh: float | Refused, incline_pct: float, now_s: float) -> None:
    """Say the next rise and keep it as the pending change: the incline's first (S14)."""
    drive = deck.drive
    present_kmh, present_pct = drive.cleared_speed_kmh, drive.cleared_incline_pct
    steeper = incline_pct > present_pct + _DUST
    if not steeper and isinstance(step_kmh, Refused):
        return
    if not deck.announcements.voice:
        deck.problem = Reason.NO_VOICE
        return
    if deck.problem is Reason.NO_VOICE:
        deck.problem = None
    lead_s = deck.who.level.warn_up_s
    if steeper or isinstance(step_kmh, Refused):
        to_kmh, to_pct = present_kmh, incline_pct
        spoken = _say_lead(deck, "announce.incline_rise", now_s, lead_s, incline_pct=to_pct)
    else:
        to_kmh, to_pct = step_kmh, present_pct
        spoken = _say_lead(deck, "announce.rise", now_s, lead_s, speed_kmh=to_kmh)
    deck.changes.announce(
        Change(
            announcement_id=spoken.id,
            lead_s=lead_s,
            from_kmh=present_kmh,
            speed_kmh=to_kmh,
            from_pct=present_pct,
            incline_pct=to_pct,
        )
    )


def _drop_unwanted(deck: Deck, speed_kmh: float, incline_pct: float) -> None:
    """A change that nothing wants any more must not be made later, when nobody expects it (S6)."""
    changes, drive = deck.changes, deck.drive
    faster = speed_kmh > drive.cleared_speed_kmh + _DUST
    steeper = incline_pct > drive.cleared_incline_pct + _DUST
    if not changes.ahead_said and not faster and not steeper:
        changes.pending = None


def _drop_unheard(deck: Deck, now_s: float) -> None:
    """S6: a cue that was not delivered cancels the rise."""
    change = deck.changes.unheard(deck.announcements)
    if change is None:
        return
    deck.problem = Reason.NOT_DELIVERED
    drive = deck.drive
    deck.close_above(drive.cleared_speed_kmh, drive.cleared_incline_pct, Reason.NOT_DELIVERED)
    deck.event(
        EventType.NOT_DELIVERED,
        now_s,
        announcement=change.announcement_id,
        speed_kmh=change.speed_kmh,
        incline_pct=change.incline_pct,
    )


def _ease_for_heart(deck: Deck, now_s: float) -> None:
    """S22: one level step slower every 20 s while the heart is above its limit."""
    if not deck.heart.ease_now(now_s):
        return
    deck.eased_kmh = max(0.0, deck.drive.cleared_speed_kmh - deck.who.level.step_kmh)
    deck.problem = Reason.HEART_RATE
    deck.say("announce.heart_rate", now_s, urgency=Urgency.WARN)


# --- handing out ---------------------------------------------------------------------------------


def _hand_out(deck: Deck, speed_kmh: float, incline_pct: float, now_s: float) -> None:
    drive, changes = deck.drive, deck.changes
    if speed_kmh < drive.cleared_speed_kmh - _DUST:
        changes.fall()
    if speed_kmh < drive.cleared_speed_kmh - _DUST and changes.falling_to_kmh != speed_kmh:
        changes.falling_to_kmh = speed_kmh
        drive.change_due(now_s)
        _say_lead(deck, "announce.fall", now_s, 0, speed_kmh=speed_kmh)
    deck.drive_towards(speed_kmh, incline_pct, now_s)
    reached = changes.reached(drive.cleared_speed_kmh, drive.cleared_incline_pct)
    if reached and deck.problem is Reason.NOT_DELIVERED:
        deck.problem = None


def next_change(deck: Deck) -> NextChange | None:
    """What the program changes next, for people and dashboards."""
    run = deck.run
    if run is None or run.finished or not deck.session.running:
        return None
    following = run.next_segment
    if following is None:
        return NextChange(
            in_s=run.remaining_s, direction=run.segment.direction, speed_kmh=0.0, incline_pct=0.0
        )
    return NextChange(
        in_s=run.remaining_s,
        direction=following.direction,
        speed_kmh=run.ceiling_kmh(following),
        incline_pct=following.incline_pct,
    )
