"""The rules that compare two states: what must change nothing (S16), and a pilot that crashes.

Every other rule is `tests.judge`'s, which looks at one history at a time.
"""

from bridge.core.deck import Deck
from bridge.core.messages import Command, CommandResult, EventType, Outcome, SessionEvent
from tests.judge import Violation
from tests.search.model import BAD_VALUES, CAN_SPEAK, HARMLESS, SILENT, SOURCES, World, refused

RULES = {
    "S1": "nothing starts a belt as a side effect",
    "S2": "a session begins slowly, after the tether, by a local start",
    "S3": "four speeds, none borrowed from another",
    "S4": "no target above the ceilings or off the machine's range",
    "S5": "one target a second, each within the ramp",
    "S6": "no rise that was not announced, heard and waited for",
    "S7": "a stop is obeyed, repeated and answered",
    "S8": "the console wins until a person says go on",
    "S9": "key out or stopped by the machine latches",
    "S10": "no rise on stale data; silence holds",
    "S11": "nothing is sent after a reconnect before a person says so",
    "S12": "no rise on a belt that does not follow; a runaway is stopped",
    "S13": "a turn waits for its own confirmation, slow and level",
    "S14": "speed and incline never move together",
    "S15": "a remote does not raise",
    "S16": "what is old, ill-formed or unknown changes nothing",
    "S17": "no rise while an outcome is unknown",
    "S18": "every end ends the belt",
    "S20": "beyond the proven speed one step each announcement",
    "S21": "no more than 2.0 km/h before the units are proven",
}
"""What is looked for. Not searched: S19 (crashes of the process), S22 (heart rate: no record of the
model carries one) and S23 (progression)."""


def exact(deck: Deck) -> str:
    """Everything the rooms hold, but for the ids that the door remembers."""
    rooms = (
        deck.belt,
        deck.control_point,
        deck.drive,
        deck.announcements,
        deck.prompts,
        deck.session,
        deck.changes,
        deck.run,
        deck.halt,
        deck.commands,
        (deck.turn, deck.problem, deck.walker, deck.tether_confirmed, deck.too_fast_said),
        (deck.waiting_since_s, deck.rest_since_s, deck.eased_kmh, deck.eased_pct),
        (deck.slower_kmh, deck.stood, deck.started_at_s),
    )
    return repr(rooms)


def changes_nothing(world: World) -> tuple[str, Violation] | None:
    """S16: everything that must be turned away here, one after the other, leaves no trace."""
    world = world.fork()
    world.give(CAN_SPEAK if world.listening else SILENT)  # whatever is due has happened now
    before = exact(world.pilot.deck)
    if (wrong := _all_refused(world)) is not None:
        return wrong
    if exact(world.pilot.deck) == before:
        return None
    return "refused commands", Violation(
        rule="S16", what="something that was refused left a trace", at_s=world.now_s
    )


def _all_refused(world: World) -> tuple[str, Violation] | None:
    for command in refused(world):
        if (wrong := _refused(world, command)) is not None:
            return wrong
    for asks in BAD_VALUES:
        for source in SOURCES:
            world.out = []
            action = asks(source)
            action.act(world)
            if (wrong := _said_no(world, action.name)) is not None:
                return wrong
    for action in HARMLESS:
        world.out = []
        if action.possible(world):
            action.act(world)
        if world.out:
            return action.name, Violation(rule="S16", what="it had an effect", at_s=world.now_s)
    return None


def _refused(world: World, command: Command) -> tuple[str, Violation] | None:
    world.out = []
    world.give(command)
    name = f"{command.source}: {command.verb}, id {command.id}, to be refused"
    return _said_no(world, name)


def _said_no(world: World, name: str) -> tuple[str, Violation] | None:
    if world.judge.violations:
        return name, world.judge.violations[0]
    for output in world.out:
        match output:
            case CommandResult(outcome=Outcome.REJECTED) | SessionEvent(type=EventType.REFUSED):
                pass
            case _:
                what = f"not only refused: {output}"
                return name, Violation(rule="S16", what=what, at_s=world.now_s)
    if not world.out:
        return name, Violation(rule="S16", what="not answered", at_s=world.now_s)
    return None
