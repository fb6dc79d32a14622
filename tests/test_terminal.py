"""The live view: what it shows on a terminal, and that it prints plain lines anywhere else."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from bridge.clock import PacedClock
from bridge.core.messages import (
    Announcement,
    CommandResult,
    Direction,
    EventType,
    NextChange,
    OpenPrompt,
    Outcome,
    Program,
    Reason,
    SessionEvent,
    State,
    Urgency,
    Verb,
)
from bridge.profiles import load_program
from bridge.terminal import LAST_EVENTS, TerminalView, event_line, progress_s
from tests.test_state_pacing import NOTHING_YET

ESCAPE = "\x1b"
WALKING = replace(
    NOTHING_YET,
    requested_speed_kmh=2.4,
    target_speed_kmh=2.2,
    acknowledged_speed_kmh=2.1,
    speed_kmh=2.0,
    incline_pct=1.5,
    distance_m=123.4,
    backward_distance_m=60.2,
    safety_key="in",
    segment=3,
    segments=9,
    segment_remaining_s=20.0,
    next_change=NextChange(in_s=20.0, direction=Direction.TURN, speed_kmh=1.0, incline_pct=0.0),
)
FASTER = Announcement(
    id="a-7", text="Faster.", language="en", urgency=Urgency.WARN, lead_s=8.0, expires_in_s=30.0
)


def event(kind: EventType, **data: object) -> SessionEvent:
    """An event of this type."""
    return SessionEvent(type=kind, session="s-1", at_s=0.0, data=data)


@pytest.fixture
def program() -> Program:
    """Nine segments; the third is a minute backward."""
    return load_program("first-minute")


class Shown:
    """A view on a screen made of memory."""

    def __init__(self, program: Program | None, **console: object) -> None:
        self.file = io.StringIO()
        self.spoken: list[str] = []
        made = Console(file=self.file, width=120, height=40, **console)  # type: ignore[arg-type]
        self.view = TerminalView(
            PacedClock(1), program, title="Title", spoken=self.spoken.append, console=made
        )

    @property
    def raw(self) -> str:
        """All that was written."""
        return self.file.getvalue()

    @property
    def text(self) -> str:
        """The same, for a reader."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw)

    def at_the_end(self, state: State | None = None) -> str:
        """Show ``state`` and leave; the last picture."""
        with self.view:
            if state is not None:
                self.view.state("garage", state)
        return self.text


class TestPlain:
    """Without a terminal."""

    def test_each_thing_that_happens_is_a_line(self, program: Program) -> None:
        """No cursor codes, no colours, nothing for a state that only measures."""
        shown = Shown(program)
        with shown.view as view:
            view.event("garage", event(EventType.ARMED, program="first-minute", walker=None))
            view.announcement("garage", FASTER)
            view.state("garage", WALKING)
            view.result("garage", CommandResult(id="1", verb=Verb.STOP, outcome=Outcome.CONFIRMED))
            view.result(
                "garage",
                CommandResult(
                    id="2", verb=Verb.SPEED, outcome=Outcome.REJECTED, reason=Reason.STALE_DATA
                ),
            )
        assert shown.raw.splitlines() == [
            "Title",
            "00:00  armed program=first-minute",
            "00:00  says “Faster.”",
            "00:00  speed rejected: stale_data",
        ]

    def test_a_long_line_stays_one_line(self, program: Program) -> None:
        """Whoever greps wants whole events."""
        shown = Shown(program)
        with shown.view as view:
            view.event("garage", event(EventType.REFUSED, why="x" * 300))
        assert len(shown.raw.splitlines()) == 2

    def test_brackets_are_not_markup(self, program: Program) -> None:
        """A name that a person chose is shown as it is."""
        shown = Shown(program)
        with shown.view as view:
            view.event("garage", event(EventType.ARMED, walker="[red]me"))
        assert "walker=[red]me" in shown.raw

    def test_a_dumb_terminal_gets_lines_too(
        self, program: Program, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``TERM=dumb`` (an editor's shell) knows no cursor."""
        monkeypatch.setenv("TERM", "dumb")
        shown = Shown(program, force_terminal=True)
        with shown.view as view:
            view.event("garage", event(EventType.ARMED))
        assert shown.raw.splitlines() == ["Title", "00:00  armed"]


@pytest.fixture(autouse=True)
def _no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


class TestLive:
    """On a terminal."""

    def test_the_four_speeds_stand_apart(self, program: Program) -> None:
        """S3: each under its own name, beside incline and distance."""
        lines = Shown(program, force_terminal=True).at_the_end(WALKING).splitlines()
        [names] = {line for line in lines if "requested" in line}
        [values] = {line for line in lines if "2.4 km/h" in line}
        for name, value in {
            "requested": "2.4 km/h",
            "cleared": "2.2 km/h",
            "acknowledged": "2.1 km/h",
            "measured": "2.0 km/h",
            "incline": "1.5 %",
            "distance": "123 m (60 m backward)",
        }.items():
            assert values.index(value) == names.index(name)

    def test_phase_direction_link_and_problem_are_in_the_first_line(self, program: Program) -> None:
        """What a person at the rail looks for."""
        state = replace(WALKING, link="down", stale=True, problem=Reason.LINK_DOWN)
        text = Shown(program, force_terminal=True).at_the_end(state)
        [line] = {line for line in text.splitlines() if "MOVING" in line}
        for word in ("BACKWARD", "2.0 km/h", "NO LINK", "OLD DATA", "key in", "link_down"):
            assert word in line

    def test_a_prompt_takes_the_place_of_what_comes_next(self, program: Program) -> None:
        """One thing to do at a time."""
        plain = Shown(program, force_terminal=True).at_the_end(WALKING)
        assert "next: turn 1 km/h in 00:20" in plain
        asked = replace(
            WALKING, prompt=OpenPrompt(id="p", text="Turn, then confirm.", expires_at_s=9)
        )
        text = Shown(program, force_terminal=True).at_the_end(asked)
        assert "? Turn, then confirm." in text
        assert "next:" not in text

    def test_the_end_is_announced_as_a_stop(self, program: Program) -> None:
        """Speed 0 is not a speed."""
        end = NextChange(in_s=5.0, direction=Direction.FORWARD, speed_kmh=0.0, incline_pct=0.0)
        text = Shown(program, force_terminal=True).at_the_end(replace(WALKING, next_change=end))
        assert "next: stop in 00:05" in text

    def test_progress_counts_seconds_of_the_program(self, program: Program) -> None:
        """2:00 + 0:45 + 40 s of the third segment's minute, of 9:00 in all."""
        assert progress_s(program, WALKING) == (205.0, 540.0)
        assert "03:25 / 09:00  segment 3/9" in Shown(program, force_terminal=True).at_the_end(
            WALKING
        )

    def test_unknown_is_a_dash(self, program: Program) -> None:
        """Never a nought."""
        text = Shown(program, force_terminal=True).at_the_end(
            replace(NOTHING_YET, direction=None, target_speed_kmh=None)
        )
        assert "0.0" not in text
        assert "00:00 / 09:00" in text

    def test_the_last_announcement_and_the_last_events_stay(self, program: Program) -> None:
        """The newest eight; older ones go."""
        shown = Shown(program, force_terminal=True)
        with shown.view as view:
            view.announcement("garage", FASTER)
            for number in range(LAST_EVENTS + 1):
                view.event("garage", event(EventType.TARGET_CHANGED, n=number))
        picture = shown.text.rpartition("╭")[2]
        assert "“Faster.”" in picture
        assert "n=0" not in picture
        assert all(f"n={number}" in picture for number in range(1, LAST_EVENTS + 1))

    def test_the_cursor_comes_back(self, program: Program) -> None:
        """However the block ends."""
        shown = Shown(program, force_terminal=True)
        with pytest.raises(KeyboardInterrupt), shown.view:
            raise KeyboardInterrupt
        assert shown.raw.count(f"{ESCAPE}[?25l") == shown.raw.count(f"{ESCAPE}[?25h") == 1

    def test_no_color_is_honoured(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
        """``NO_COLOR``: drawn all the same, without one colour (SGR 30 to 49, 90 to 107)."""
        colour = re.compile(r"\x1b\[[0-9;]*\b(?:[34][0-9]|9[0-7]|10[0-7])[0-9;]*m")
        assert colour.search(_drawn(program))
        monkeypatch.setenv("NO_COLOR", "1")
        assert not colour.search(_drawn(program))

    def test_without_a_program_there_is_no_progress(self) -> None:
        """A belt that somebody started at the console."""
        assert progress_s(None, WALKING) == (0.0, 0.0)
        assert "00:00 / 00:00" in Shown(None, force_terminal=True).at_the_end(WALKING)


def _drawn(program: Program) -> str:
    shown = Shown(program, force_terminal=True)
    shown.at_the_end(replace(WALKING, problem=Reason.LINK_DOWN))
    return shown.raw


class TestDelivery:
    """S6: showing is this channel's delivery."""

    @pytest.mark.parametrize("terminal", [True, False])
    def test_what_is_shown_counts_as_spoken(self, program: Program, *, terminal: bool) -> None:
        """Each announcement once, by its id."""
        shown = Shown(program, force_terminal=terminal)
        with shown.view as view:
            view.announcement("garage", FASTER)
            assert shown.spoken == ["a-7"]

    def test_an_announcement_is_not_shown_twice(self, program: Program) -> None:
        """Its event follows; the words were enough."""
        shown = Shown(program)
        with shown.view as view:
            view.announcement("garage", FASTER)
            view.event("garage", event(EventType.ANNOUNCED, text="Faster."))
        assert shown.raw.count("Faster.") == 1


def test_an_event_without_details_is_its_name() -> None:
    """No trailing blank; unknown details are left out."""
    assert event_line(event(EventType.STALE)) == "stale"
    assert event_line(event(EventType.STALE, age_s=4.0, why=None)) == "stale age_s=4.0"
