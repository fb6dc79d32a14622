"""Breadth-first over every reachable abstract state, from the happy path outward.

The frontier begins with each state of one undisturbed walk (armed, confirmed, heard, followed to
the end), so that late states are near; they are reached by the same actions as any other.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.core.deck import TurnStep
from bridge.core.messages import Phase, Source
from tests.judge import Violation
from tests.search.model import (
    ALWAYS,
    ASKED,
    ASKED_SELDOM,
    SELDOM,
    SOURCES,
    Action,
    Scene,
    World,
    cell,
    coarse_key,
)
from tests.search.rules import changes_nothing

Key = Callable[[World], tuple[object, ...]]

LONGEST_WALK = 400
"""In actions; the undisturbed walk of the search's program takes about a hundred."""


@dataclass(frozen=True, slots=True)
class Path:
    """How a state was reached: the path before it, and the last action."""

    before: "Path | None"
    action: str

    def names(self) -> tuple[str, ...]:
        """Every action from the beginning."""
        names, path = [], self
        while True:
            names.append(path.action)
            if path.before is None:
                return tuple(reversed(names))
            path = path.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """A way to a broken rule."""

    scene: str
    path: tuple[str, ...]
    violation: Violation

    def __str__(self) -> str:
        """As it is printed."""
        steps = "".join(f"\n  {number:3} {name}" for number, name in enumerate(self.path, 1))
        return f"[{self.scene}]{steps}\n  ==> {self.violation}"


@dataclass(slots=True, kw_only=True)
class Report:
    """What a search has done. ``unexpanded`` states were reached and judged, no more."""

    scene: str
    states: int = 0
    transitions: int = 0
    cells: int = 0
    unexpanded: int = 0
    seconds: float = 0.0
    found: list[Counterexample] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for people."""
        bound = f"bounded: {self.unexpanded} not expanded" if self.unexpanded else "closed"
        return (
            f"{self.scene:6} {self.states:7} states, {self.transitions:8} transitions, "
            f"{self.cells:5} cells, {len(self.found)} violations, {self.seconds:5.1f} s ({bound})"
        )


class Search:
    """One search of one scene.

    ``key`` says which worlds are taken for the same.
    ``rule``: stop at the first violation of this rule, and look at no other. ``at_most``: how many
    states are expanded before the search gives up.
    """

    def __init__(
        self, scene: Scene, *, at_most: int, key: Key = coarse_key, rule: str | None = None
    ) -> None:
        self.scene = scene
        self.key = key
        self.at_most = at_most
        self.rule = rule
        self.report = Report(scene=scene.name)
        self.seen: set[tuple[object, ...]] = set()
        self.cells: set[tuple[object, ...]] = set()
        self.frontier: deque[tuple[World, Path | None]] = deque()
        self.last = World(scene)

    def run(self) -> Report:
        """Search until nothing new is found, or too much."""
        began_s = time.perf_counter()
        self._seed()
        while self.frontier and self.report.states < self.at_most and not self._done:
            world, path = self.frontier.popleft()
            self._expand(world, path)
        report = self.report
        report.unexpanded, report.cells = len(self.frontier), len(self.cells)
        report.seconds = time.perf_counter() - began_s
        return report

    @property
    def _done(self) -> bool:
        return self.rule is not None and bool(self.report.found)

    def _seed(self) -> None:
        world: World = World(self.scene)
        path: Path | None = None
        self._reach(world, path)
        for _ in range(LONGEST_WALK):
            action = undisturbed(world)
            if action is None:
                return
            path = self._step(world, path, action)
            if path is None or self._done:
                return
            world = self.last

    def _step(self, world: World, path: Path | None, action: Action) -> Path | None:
        """Take one action on a copy; the path to it, or ``None`` where a rule was broken."""
        child = world.fork()
        before = len(child.judge.violations)
        self.report.transitions += 1
        here = Path(path, action.name)
        try:
            action.act(child)
        except AssertionError as error:
            self._note(here, Violation(rule="crash", what=repr(error), at_s=child.now_s))
            return None
        if len(child.judge.violations) > before:
            for violation in child.judge.violations[before:]:
                self._note(here, violation)
            return None
        self._reach(child, here)
        self.last = child
        return here

    def _reach(self, world: World, path: Path | None) -> None:
        state = self.key(world)
        if state not in self.seen:
            self.seen.add(state)
            self.frontier.append((world, path))

    def _expand(self, world: World, path: Path | None) -> None:
        self.report.states += 1
        where = cell(world)
        first = where not in self.cells
        turn = self.report.states % len(SOURCES)
        for action in (*ALWAYS, *_BY[SOURCES[turn]]):
            if action.possible(world):
                self._step(world, path, action)
        if first:
            self.cells.add(where)
            self._first_of_cell(world, path)

    def _first_of_cell(self, world: World, path: Path | None) -> None:
        """Everything there is, by everybody."""
        for action in (*SELDOM, *(each for source in SOURCES for each in _ALL_BY[source])):
            if action.possible(world):
                self._step(world, path, action)
        self._refuse(world, path)

    def _refuse(self, world: World, path: Path | None) -> None:
        wrong = changes_nothing(world)
        self.report.transitions += 1
        if wrong is not None:
            self._note(Path(path, wrong[0]), wrong[1])

    def _note(self, path: Path, violation: Violation) -> None:
        if self.rule in {None, violation.rule}:
            found = Counterexample(scene=self.scene.name, path=path.names(), violation=violation)
            self.report.found.append(found)


_BY = {source: tuple(asks(source) for asks in ASKED) for source in SOURCES}
_ALL_BY = {source: (*_BY[source], *(asks(source) for asks in ASKED_SELDOM)) for source in SOURCES}
_BY_NAME = {action.name: action for action in (*ALWAYS, *_ALL_BY[Source.PAGE])}


def undisturbed(world: World) -> Action | None:
    """What happens next on a walk on which nothing goes wrong; ``None`` at its end."""
    name = _connects(world) or _answers(world) or _walks(world)
    return None if name is None else _BY_NAME[name]


def _connects(world: World) -> str | None:
    if not world.listening:
        return "voices"
    return None if world.judge.link_up else "link"


def _answers(world: World) -> str | None:
    if world.judge.open_write is not None:
        return "answer: success"
    if _BY_NAME["heard"].possible(world):
        return "heard"
    return None if world.judge.prompt is None else "page: confirm"


def _walks(world: World) -> str | None:
    deck, judge = world.pilot.deck, world.judge
    phase, halt = deck.session.phase, deck.halt
    if phase is Phase.ENDED:
        return None
    if phase is Phase.IDLE and judge.measured_kmh is not None:
        return "page: arm"
    if phase is Phase.IDLE or (halt is not None and halt.stop_sent_at_s is not None):
        return "1 s, runs 0"
    if phase is Phase.ARMED or deck.turn is TurnStep.AWAITING_START:
        return f"1 s, runs {world.scene.settled_kmh:g}"
    return f"1 s, runs {judge.standing_kmh:g}"
