"""What people and machines may ask of a session, and the one final answer that each gets.

Each verb is one function. A command is refused with a `Reason`, confirmed when what it asked is
measured, or ends as unknown when nobody can tell. Refuses to know topics, pages and payloads.
"""

import math
from collections.abc import Callable, Mapping
from typing import assert_never

from bridge.core import holding, stopping, turning
from bridge.core.deck import TARGETS, Deck, HaltGoal, OpenCommand
from bridge.core.governor import (
    ceiling_kmh,
    ceiling_pct,
    clear_start,
    control_held,
    data_fresh,
    heart_allows,
    key_in,
    link_holds,
    outcome_known,
    reachable_kmh,
    reachable_pct,
)
from bridge.core.messages import (
    Command,
    EventType,
    Outcome,
    Phase,
    Program,
    Reason,
    Refused,
    Verb,
    Walker,
)
from bridge.core.program import ProgramRun
from bridge.core.prompts import PromptKind
from bridge.core.session import Totals, Trigger

RESULT_TIMEOUT_S = 90.0
"""How long a target may take after its last step before its outcome is unknown: the longest hold
between two steps (CARE, 40 s), the announcement (15 s), its lead (15 s), and slack."""

STOP_RESULT_TIMEOUT_S = 90.0
"""The longest walk-down (10 km/h at 0.25 km/h per second), and `stopping.STOP_CONFIRM_S`."""

REACHED_KMH = 0.1
REACHED_PCT = 0.3
_DUST = 1e-9

Answer = Reason | Outcome | None
"""A reason refuses, an outcome accepts; ``None``: the answer has been given already."""


def answer(deck: Deck, command: Command, now_s: float) -> None:
    """Judge one command at the door, carry it out, and say what became of it."""
    reason = deck.admission.refuse(command, at_rest=deck.belt.at_rest)
    said: Answer = reason if reason is not None else _VERBS[command.verb](deck, command, now_s)
    if isinstance(said, Reason):
        deck.result(command.id, command.verb, Outcome.REJECTED, said)
        if command.verb in {Verb.ARM, Verb.SPEED, Verb.INCLINE, Verb.START}:
            deck.event(
                EventType.REFUSED,
                now_s,
                command=command.id,
                verb=command.verb.value,
                reason=said.value,
            )
    elif said is not None:
        deck.result(command.id, command.verb, said)


def settle(deck: Deck, now_s: float) -> None:
    """Give accepted commands their final outcome, once it is measured or cannot be known."""
    for command in list(deck.commands):
        if _reached(deck, command, now_s):
            deck.commands.remove(command)
            deck.result(command.id, command.verb, Outcome.CONFIRMED)
        elif now_s >= max(command.gives_up_at_s, _stepped_until_s(deck, command)):
            deck.commands.remove(command)
            deck.result(command.id, command.verb, Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME)


def _stepped_until_s(deck: Deck, command: OpenCommand) -> float:
    """A target that the drive still steps towards is given the time of another step."""
    return deck.drive.written_at_s + RESULT_TIMEOUT_S if command.verb in TARGETS else -math.inf


def _reached(deck: Deck, command: OpenCommand, now_s: float) -> bool:
    belt = deck.belt
    if command.verb in {Verb.STOP, Verb.PAUSE}:
        return deck.halt is None and stopping.stands(deck, now_s)
    if command.reaches_kmh is not None:
        measured_kmh = belt.measured_speed_kmh
        return measured_kmh is not None and abs(measured_kmh - command.reaches_kmh) <= REACHED_KMH
    wanted_pct, incline_pct = command.reaches_pct, belt.measured_incline_pct
    if wanted_pct is None or incline_pct is None:
        return False
    return abs(incline_pct - wanted_pct) <= REACHED_PCT


# --- always allowed ------------------------------------------------------------------------------


def _stop(deck: Deck, command: Command, now_s: float) -> Answer:
    """S7: from any state and any source. At rest already: confirmed, and nothing stays armed."""
    if deck.session.phase is Phase.ARMED:
        _disarm(deck, command, now_s)
    if stopping.stands(deck, now_s) and not deck.session.running and deck.halt is None:
        return Outcome.CONFIRMED
    if deck.session.phase is Phase.HOLDING:
        deck.drive.adopt(deck.belt, now_s)
    _wait_for_rest(deck, command, now_s)
    if not deck.belt.link_up:
        deck.close({Verb.STOP}, Outcome.UNKNOWN, Reason.LINK_DOWN)
    elif deck.halt is not None and deck.halt.alarmed:
        deck.close({Verb.STOP}, Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME)
    stopping.begin(deck, f"stop_{command.source.value}", now_s, at_once=command.now)
    return None


_NOT_RESUMABLE = {
    Phase.TURNING: Reason.PROMPT_OPEN,
    Phase.STOPPING: Reason.STOPPING,
    Phase.ARMED: Reason.BELT_AT_REST,
    Phase.PAUSED: Reason.BELT_AT_REST,
}
"""Why neither a pause nor a resume means anything in a phase; in the others nothing is armed."""


def _wait_for_rest(deck: Deck, command: Command, now_s: float) -> None:
    """Answer now, and finally at rest; a repeat of a stop that is still open shares its answer."""
    if any(each.id == command.id for each in deck.commands):
        return
    deck.result(command.id, command.verb, Outcome.ACCEPTED)
    gives_up_at_s = now_s + STOP_RESULT_TIMEOUT_S
    deck.commands.append(OpenCommand(id=command.id, verb=command.verb, gives_up_at_s=gives_up_at_s))


def _pause(deck: Deck, command: Command, now_s: float) -> Answer:
    if deck.session.phase not in {Phase.MOVING, Phase.TURNING, Phase.HOLDING}:
        return _NOT_RESUMABLE.get(deck.session.phase, Reason.NOT_ARMED)
    if not deck.belt.link_up:
        return Reason.LINK_DOWN
    if deck.session.phase is Phase.HOLDING:
        deck.drive.adopt(deck.belt, now_s)
    _wait_for_rest(deck, command, now_s)
    stopping.begin(deck, "pause", now_s, goal=HaltGoal.PAUSE)
    return None


def _slow(deck: Deck, command: Command, now_s: float) -> Answer:
    """One of the level's steps slower than now."""
    slower_kmh = _present_kmh(deck) - deck.who.level.step_kmh
    return _ease(deck, command, max(0.0, slower_kmh), now_s)


# --- the session ---------------------------------------------------------------------------------


def _arm(deck: Deck, command: Command, now_s: float) -> Answer:
    """S2: get ready for a start at the console; nothing moves by this."""
    settings = deck.settings
    walker = settings.walkers.get(command.walker or settings.walker)
    program = settings.programs.get(command.program or next(iter(settings.programs), ""))
    if (reason := _not_ready(deck)) is not None:
        return reason
    if walker is None:
        return Reason.UNKNOWN_WALKER
    if program is None:
        return Reason.UNKNOWN_PROGRAM
    if (reason := _not_for(deck, walker, program)) is not None:
        return reason
    deck.session.move(Trigger.ARM)
    deck.session.id = None
    deck.session.totals = Totals()
    deck.walker, deck.run = walker, ProgramRun(program=program, walker=walker)
    deck.tether_confirmed = deck.too_fast_said = False
    deck.eased_kmh = deck.eased_pct = None
    deck.belt.key = "unknown" if deck.belt.key == "out" else deck.belt.key
    deck.changes.clear()
    deck.heart.limit_bpm = walker.heart_limit_bpm
    deck.problem = None
    deck.waiting_since_s = now_s
    deck.event(EventType.ARMED, now_s, program=program.id, walker=walker.id)
    deck.ask(PromptKind.TETHER, "prompt.tether", now_s)
    return Outcome.CONFIRMED


def _not_ready(deck: Deck) -> Reason | None:
    """Why this treadmill cannot be armed now."""
    if deck.session.running or deck.session.phase is Phase.ARMED:
        return Reason.ALREADY_ARMED
    if deck.halt is not None:
        return Reason.STOPPING
    if not deck.belt.link_up:
        return Reason.LINK_DOWN
    steerable = deck.belt.machine.controllable and "speed" not in deck.quirks.ignored_ops
    return None if steerable else Reason.NOT_SUPPORTED


def _not_for(deck: Deck, walker: Walker, program: Program) -> Reason | None:
    """Why this walker may not walk this program (consent; the level's gate, S4)."""
    if walker.accepted_safety < deck.settings.safety_version:
        return Reason.NOT_ACCEPTED
    needed = deck.settings.levels[program.level]
    return Reason.LEVEL_TOO_LOW if needed > walker.level.rank else None


def _disarm(deck: Deck, command: Command, now_s: float) -> Answer:
    if deck.session.phase is not Phase.ARMED:
        return Reason.NOT_ARMED
    disarm(deck, f"disarm_{command.source.value}", now_s)
    return Outcome.CONFIRMED


def disarm(deck: Deck, reason: str, now_s: float) -> None:
    """Take the arming back before anything has moved."""
    deck.session.move(Trigger.DISARM)
    deck.prompts.withdraw()
    deck.run = None
    deck.problem = None
    deck.tether_confirmed = False
    deck.event(EventType.DISARMED, now_s, reason=reason)
    if any(each.verb is Verb.START for each in deck.commands):
        # Start has gone out and the belt has yet to follow it: nobody would be there to stop it.
        stopping.begin(deck, reason, now_s, at_once=True)


def _confirm(deck: Deck, command: Command, now_s: float) -> Answer:
    """S13: only the id of the open prompt answers it."""
    prompt = deck.prompts.open
    if prompt is None or prompt.id != command.prompt:
        return Reason.PROMPT_MISMATCH
    if prompt.kind is PromptKind.RESUME and (reason := holding.not_now(deck, now_s)) is not None:
        return reason
    deck.prompts.confirm(prompt.id)
    match prompt.kind:
        case PromptKind.TETHER:
            deck.tether_confirmed = True
            deck.waiting_since_s = now_s
            deck.control_point.want_control()
            deck.say("announce.press_start", now_s)
        case PromptKind.TURN:
            turning.confirmed(deck, now_s)
        case PromptKind.RESUME:
            holding.release(deck, now_s)
        case _:
            assert_never(prompt.kind)
    return Outcome.CONFIRMED


def _resume(deck: Deck, command: Command, now_s: float) -> Answer:
    """Go on after a hold, or lift what slowed the program. Never a start (S1, S2)."""
    phase = deck.session.phase
    prompt = deck.prompts.open
    if phase is Phase.HOLDING:
        reason = holding.not_now(deck, now_s)
        if prompt is None or reason is not None:
            return reason or deck.problem or Reason.CONSOLE_OVERRIDE
        deck.prompts.withdraw()
        holding.release(deck, now_s)
        return Outcome.CONFIRMED
    if phase is Phase.PAUSED:
        deck.say("announce.press_start", now_s)
        return Reason.BELT_AT_REST
    if phase is not Phase.MOVING:
        return _NOT_RESUMABLE.get(phase, Reason.NOT_ARMED)
    eased = deck.eased_kmh is not None or deck.eased_pct is not None
    if eased and not deck.admission.may_raise(command.source):
        return Reason.REMOTE_NOT_ALLOWED
    deck.eased_kmh = deck.eased_pct = None
    deck.changes.cancelled = False
    return Outcome.CONFIRMED


def _start(deck: Deck, command: Command, now_s: float) -> Answer:
    """S2: hold-to-start on the page, where the settings allow it."""
    if not deck.awaits_start:
        return Reason.NOT_ARMED
    if any(each.verb is Verb.START for each in deck.commands):
        return Reason.ONE_AT_A_TIME  # a second Start is a pause on some machines
    cleared = clear_start(
        deck.view(now_s),
        allowed=deck.settings.start == "page",
        gesture_age_s=command.age_s,
    )
    if isinstance(cleared, Refused):
        return cleared.reason
    deck.control_point.want_start(cleared)
    deck.started_at_s = now_s
    deck.commands.append(
        OpenCommand(
            id=command.id,
            verb=Verb.START,
            gives_up_at_s=now_s + RESULT_TIMEOUT_S,
            reaches_kmh=deck.belt.speed_range.min_speed_kmh,
        )
    )
    return Outcome.ACCEPTED


def _rate(deck: Deck, command: Command, now_s: float) -> Answer:
    if deck.session.id is None:
        return Reason.NOT_ARMED
    deck.event(
        EventType.RATED,
        now_s,
        effort=command.effort,
        comfort=command.comfort,
        rails=command.rails,
        pain=command.pain,
    )
    return Outcome.CONFIRMED


# --- targets -------------------------------------------------------------------------------------


def _present_kmh(deck: Deck) -> float:
    """What a wish is measured against: the cleared speed, or what the belt runs while it holds."""
    measured_kmh = deck.belt.measured_speed_kmh
    if deck.session.phase is Phase.HOLDING and measured_kmh is not None:
        return measured_kmh
    return deck.drive.cleared_speed_kmh


def _speed(deck: Deck, command: Command, now_s: float) -> Answer:
    """A speed: lower passes; higher must be allowed (S15), within the program and its ceilings."""
    asked_kmh = command.speed_kmh
    if asked_kmh is None or not math.isfinite(asked_kmh) or asked_kmh < 0:
        return Reason.BAD_PAYLOAD
    if (reason := _no_target_now(deck)) is not None:
        return reason
    if asked_kmh <= _present_kmh(deck) + _DUST:
        return _ease(deck, command, asked_kmh, now_s)
    run = deck.run
    assert run is not None  # `_no_target_now` has passed
    reason = _may_rise(deck, command, now_s)
    if reason is not None:
        return reason
    most_kmh = min(ceiling_kmh(deck.view(now_s)), run.ceiling_kmh(run.segment))
    if asked_kmh > most_kmh + _DUST:
        return Reason.ABOVE_CEILING
    deck.eased_kmh = asked_kmh
    deck.changes.cancelled = False  # asked anew, and announced anew
    return _wait_for_speed(deck, command, reachable_kmh(asked_kmh, deck.view(now_s)), now_s)


def _ease(deck: Deck, command: Command, speed_kmh: float, now_s: float) -> Answer:
    """S7: slower always passes, in every phase in which the belt is ours."""
    if (reason := _no_target_now(deck)) is not None:
        return reason
    deck.eased_kmh = reachable_kmh(speed_kmh, deck.view(now_s))
    deck.changes.pending = None  # what was heard before is not leave to rise again after it
    deck.drive.change_due(now_s)
    if deck.session.phase is Phase.HOLDING:
        deck.drive.adopt(deck.belt, now_s)
        deck.slower_kmh = deck.eased_kmh
    if not deck.belt.control_held:
        deck.control_point.want_control()
    return _wait_for_speed(deck, command, deck.eased_kmh, now_s)


def _wait_for_speed(deck: Deck, command: Command, speed_kmh: float, now_s: float) -> Answer:
    """A newer target replaces an older one, which then has its own final answer."""
    deck.close({Verb.SPEED, Verb.SLOW}, Outcome.REJECTED, Reason.SUPERSEDED)
    deck.commands.append(
        OpenCommand(
            id=command.id,
            verb=command.verb,
            gives_up_at_s=now_s + RESULT_TIMEOUT_S,
            reaches_kmh=speed_kmh,
        )
    )
    return Outcome.ACCEPTED


def _incline(deck: Deck, command: Command, now_s: float) -> Answer:
    asked_pct = command.incline_pct
    if asked_pct is None or not math.isfinite(asked_pct) or asked_pct < 0:
        return Reason.BAD_PAYLOAD
    if (reason := _no_incline_now(deck)) is not None:
        return reason
    if asked_pct > deck.drive.cleared_incline_pct + _DUST:
        if (reason := _may_rise(deck, command, now_s)) is not None:
            return reason
        run = deck.run
        assert run is not None  # a session that moves has a program
        if asked_pct > min(ceiling_pct(deck.view(now_s)), run.segment.incline_pct) + _DUST:
            return Reason.ABOVE_CEILING
        deck.changes.cancelled = False
    else:
        deck.changes.pending = None
        deck.drive.change_due(now_s)
    deck.eased_pct = asked_pct
    deck.close({Verb.INCLINE}, Outcome.REJECTED, Reason.SUPERSEDED)
    deck.commands.append(
        OpenCommand(
            id=command.id,
            verb=Verb.INCLINE,
            gives_up_at_s=now_s + RESULT_TIMEOUT_S,
            reaches_pct=reachable_pct(asked_pct, deck.view(now_s)),
        )
    )
    return Outcome.ACCEPTED


def _no_incline_now(deck: Deck) -> Reason | None:
    """Why no incline at all can be asked now; a turn and a hold leave it where it is (S8, S13)."""
    if deck.belt.machine.incline_range is None:
        return Reason.NOT_SUPPORTED
    if (reason := _no_target_now(deck)) is not None:
        return reason
    match deck.session.phase:
        case Phase.TURNING:
            return Reason.PROMPT_OPEN
        case Phase.HOLDING:
            return deck.problem or Reason.CONSOLE_OVERRIDE
        case _:
            return None


def _no_target_now(deck: Deck) -> Reason | None:
    """Why no target at all can be asked in this phase."""
    if not deck.belt.link_up:
        return Reason.LINK_DOWN
    match deck.session.phase:
        case Phase.MOVING | Phase.TURNING | Phase.HOLDING:
            return Reason.BELT_AT_REST if deck.belt.at_rest else None
        case Phase.STOPPING:
            return Reason.STOPPING
        case _:
            return Reason.BELT_AT_REST if deck.belt.at_rest else Reason.NOT_ARMED


def _may_rise(deck: Deck, command: Command, now_s: float) -> Reason | None:
    """Who may ask, and whether anything forbids a rise for longer than a moment."""
    if not deck.admission.may_raise(command.source):
        return Reason.REMOTE_NOT_ALLOWED
    if deck.session.phase is Phase.HOLDING:
        return deck.problem or Reason.CONSOLE_OVERRIDE
    if deck.session.phase is Phase.TURNING:
        return Reason.PROMPT_OPEN
    view = deck.view(now_s)
    for rule in (link_holds, key_in, control_held, data_fresh, outcome_known, heart_allows):
        if (reason := rule(view)) is not None:
            return reason
    return None if deck.announcements.voice else Reason.NO_VOICE


_VERBS: Mapping[Verb, Callable[[Deck, Command, float], Answer]] = {
    Verb.STOP: _stop,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.SLOW: _slow,
    Verb.ARM: _arm,
    Verb.DISARM: _disarm,
    Verb.CONFIRM: _confirm,
    Verb.START: _start,
    Verb.SPEED: _speed,
    Verb.INCLINE: _incline,
    Verb.RATE: _rate,
}
