"""``programs``: what there is to train, what a program asks, and what is wrong with a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from bridge.cli.exit_codes import DONE, USAGE
from bridge.cli.output import clock, print_json, print_table, say

if TYPE_CHECKING:
    from bridge.core.messages import Program, Segment
    from bridge.program_file import CheckedProgram

AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON.")]

programs = App(name="programs", help="List, show and check training programs.")


@programs.command(name="list")
def list_programs(*, as_json: AsJson = False) -> None:
    """List the training programs: those that came along and your own.

    Your own are TOML files in profiles/training in the platform's config
    folder; one with the id of a shipped program takes its place.

    For example:

      retrowalk programs list
      retrowalk programs list --json
    """
    from bridge.profiles import load_programs  # noqa: PLC0415 - heavy

    found = load_programs().values()
    if as_json:
        print_json([_summary(program) for program in found])
        return
    titles = ("id", "level", "total", "backward", "what")
    print_table(
        titles,
        [
            (
                program.id,
                program.level,
                clock(_duration_s(program)),
                clock(_backward_s(program)),
                program.summary,
            )
            for program in found
        ],
    )


@programs.command(name="show")
def show_program(
    program: Annotated[str, Parameter(help="Id of a training program.")],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Show one program, stretch by stretch, and what it rests on.

    For example:

      retrowalk programs show first-minute
      retrowalk programs show retro-ten --json
    """
    from bridge.core.messages import json_value  # noqa: PLC0415 - for a quick --help
    from bridge.profiles import load_program  # noqa: PLC0415 - heavy

    shown = load_program(program)
    if as_json:
        segments = json_value(shown.segments)
        print_json(_summary(shown) | {"evidence": shown.evidence, "segments": segments})
        return
    say(f"{shown.name} ({shown.id}), level {shown.level}: {shown.summary}\n")
    print_table(
        ("", "direction", "km/h", "%", "time", "cues"),
        [_row(number, segment) for number, segment in enumerate(shown.segments, start=1)],
    )
    say(f"\nTotal {clock(_duration_s(shown))}, backward {clock(_backward_s(shown))}.")
    say(f"\n{shown.evidence}")


@programs.command(name="check")
def check_program(
    file: Annotated[Path, Parameter(help="A training program (TOML).")],
    /,
    *,
    as_json: AsJson = False,
) -> int:
    """Check a program file: every error at once, each with its line.

    Ends with 0 when the file is right and 2 when it is not. The form is
    described by: retrowalk schema program

    For example:

      retrowalk programs check my-program.toml
    """
    from bridge.profiles import check_program_file  # noqa: PLC0415 - heavy

    checked = check_program_file(file)
    if as_json:
        print_json(_report(file, checked))
    elif checked.program is None:
        say("\n".join(map(str, checked.findings)))
    else:
        shown = checked.program
        say(
            f"{file}: {shown.name} is right: {clock(_duration_s(shown))}, "
            f"{clock(_backward_s(shown))} of it backward"
        )
    return DONE if checked.program is not None else USAGE


def _report(file: Path, checked: "CheckedProgram") -> dict[str, object]:
    return {
        "file": str(file),
        "ok": checked.program is not None,
        "program": None if checked.program is None else checked.program.id,
        "findings": [
            {"line": found.line, "key": found.key, "value": found.value, "message": found.message}
            for found in checked.findings
        ],
    }


def _summary(program: "Program") -> dict[str, object]:
    return {
        "id": program.id,
        "name": program.name,
        "level": program.level,
        "summary": program.summary,
        "duration_s": _duration_s(program),
        "backward_s": _backward_s(program),
    }


def _row(number: int, segment: "Segment") -> tuple[str, ...]:
    speed = f"{segment.speed_kmh:.1f}"
    return (
        str(number),
        segment.direction.value.replace("_", " "),
        speed if segment.relative is None else f"{segment.relative} ({speed})",
        f"{segment.incline_pct:g}",
        clock(segment.duration_s),
        " ".join(segment.cues),
    )


def _duration_s(program: "Program") -> float:
    return sum(segment.duration_s for segment in program.segments)


def _backward_s(program: "Program") -> float:
    return sum(
        segment.duration_s for segment in program.segments if segment.direction.value == "backward"
    )
