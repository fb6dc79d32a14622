"""The live view of one treadmill in a terminal: what runs, what comes next, what was said.

On a terminal it redraws in place; anywhere else it prints one plain line for each thing that
happens, without cursor codes. Shows only what it is given.
"""

from collections import deque
from collections.abc import Callable
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bridge.clock import Clock
from bridge.control import Outlet
from bridge.core.messages import (
    Announcement,
    CommandResult,
    Direction,
    EventType,
    Program,
    SessionEvent,
    State,
    Urgency,
)

LAST_EVENTS = 8
REDRAWS_PER_S = 8

_ARROWS = {
    Direction.BACKWARD: "◀◀ BACKWARD",
    Direction.FORWARD: "FORWARD ▶▶",
    Direction.LATERAL_LEFT: "▲ LEFT SIDE FIRST",
    Direction.LATERAL_RIGHT: "▼ RIGHT SIDE FIRST",
    Direction.TURN: "↻ TURN",
}
_COLOURS = {Urgency.INFO: "cyan", Urgency.WARN: "yellow", Urgency.ALARM: "bold red"}


class TerminalView(Outlet):
    """An outlet that draws. ``spoken`` is called with the id of each announcement it has shown.

    Use as a context manager around the time it should be visible.
    """

    def __init__(
        self,
        clock: Clock,
        program: Program | None,
        *,
        title: str,
        spoken: Callable[[str], None],
        console: Console | None = None,
    ) -> None:
        self._clock = clock
        self._program = program
        self._title = title
        self._spoken = spoken
        self._console = console or Console()
        self._began_s = clock.now_s()
        self._state: State | None = None
        self._said = Text("")
        self._happened: deque[str] = deque(maxlen=LAST_EVENTS)
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._draw, console=self._console, refresh_per_second=REDRAWS_PER_S
            )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        else:
            self._print(self._title)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    # --- an outlet -------------------------------------------------------------------------------

    def event(self, treadmill: str, event: SessionEvent) -> None:
        """Something happened."""
        del treadmill
        if event.type is not EventType.ANNOUNCED:
            self._line(event_line(event))

    def announcement(self, treadmill: str, announcement: Announcement) -> None:
        """Something is said; shown at once, which is this channel's delivery."""
        del treadmill
        self._said = Text(f"“{announcement.text}”", style=_COLOURS[announcement.urgency])
        if self._live is None:
            self._line(f"says “{announcement.text}”")
        self._spoken(announcement.id)

    def result(self, treadmill: str, result: CommandResult) -> None:
        """A command was refused; accepted ones show by what they do."""
        del treadmill
        if result.reason is not None:
            self._line(f"{result.verb} {result.outcome}: {result.reason}")

    def state(self, treadmill: str, state: State) -> None:
        """The newest snapshot."""
        del treadmill
        self._state = state

    def _line(self, text: str) -> None:
        line = f"{_clock(self._clock.now_s() - self._began_s)}  {text}"
        self._happened.append(line)
        if self._live is None:
            self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    # --- drawing ---------------------------------------------------------------------------------

    def _draw(self) -> Panel:
        """Called from rich's own thread: a terminal that is held up (Ctrl-S) holds up no belt."""
        parts: list[RenderableType] = []
        if (state := self._state) is not None:
            parts += [self._headline(state), self._speeds(state)]
            parts += [self._progress(state), self._coming(state)]
        parts += [self._said, Text("\n".join(self._happened.copy()), style="dim")]
        return Panel(Group(*parts), title=self._title)

    def _headline(self, state: State) -> Text:
        direction = "" if state.direction is None else _ARROWS[state.direction]
        speed = "-" if state.speed_kmh is None else f"{state.speed_kmh:.1f}"
        link = "link up" if state.link == "up" else "NO LINK"
        stale = "  OLD DATA" if state.stale else ""
        return Text.assemble(
            (f" {state.phase.value.upper():9}", "bold reverse"),
            (f"  {direction:20}", "bold"),
            (f"{speed} km/h", "bold green"),
            f"   {link}{stale}   key {state.safety_key}",
            ("" if state.problem is None else f"   {state.problem.value}", "bold red"),
        )

    def _speeds(self, state: State) -> Table:
        table = Table.grid(padding=(0, 3))
        table.add_row("requested", "cleared", "acknowledged", "measured", "incline", "distance")
        table.add_row(
            _number(state.requested_speed_kmh, "km/h"),
            _number(state.target_speed_kmh, "km/h"),
            _number(state.acknowledged_speed_kmh, "km/h"),
            _number(state.speed_kmh, "km/h"),
            _number(state.incline_pct, "%"),
            _number(state.distance_m, "m", digits=0)
            + f" ({_number(state.backward_distance_m, 'm', digits=0)} backward)",
        )
        return table

    def _progress(self, state: State) -> Table:
        done_s, total_s = progress_s(self._program, state)
        bar = Table.grid(padding=(0, 1), expand=True)
        bar.add_column(ratio=1)
        bar.add_column(no_wrap=True)
        segment = "" if state.segment is None else f"  segment {state.segment}/{state.segments}"
        bar.add_row(
            ProgressBar(total=max(total_s, 1.0), completed=done_s),
            f"{_clock(done_s)} / {_clock(total_s)}{segment}",
        )
        return bar

    def _coming(self, state: State) -> Text:
        if state.prompt is not None:
            return Text(f"? {state.prompt.text}", style="bold yellow")
        change = state.next_change
        if change is None:
            return Text("")
        what = "stop" if change.speed_kmh == 0 else f"{change.direction} {change.speed_kmh:g} km/h"
        return Text(f"next: {what} in {_clock(change.in_s)}")


def event_line(event: SessionEvent) -> str:
    """One event as a line for people."""
    details = " ".join(f"{name}={value}" for name, value in event.data.items() if value is not None)
    return f"{event.type.value} {details}".rstrip()


def progress_s(program: Program | None, state: State) -> tuple[float, float]:
    """Seconds walked and planned of a program, as far as the snapshot tells."""
    if program is None:
        return 0.0, 0.0
    times = [segment.duration_s for segment in program.segments]
    if state.segment is None or state.segment_remaining_s is None:
        return 0.0, sum(times)
    return sum(times[: state.segment]) - state.segment_remaining_s, sum(times)


def _number(value: float | None, unit: str, *, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f} {unit}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0.0)), 60)
    return f"{minutes:02d}:{rest:02d}"
