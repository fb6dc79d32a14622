"""What commands print: results on stdout, everything else on stderr."""

import json
import logging
import sys
from collections.abc import Sequence


def say(text: str = "") -> None:
    """One line of the result."""
    sys.stdout.write(f"{text}\n")


def say_aside(text: str) -> None:
    """One line that is not the result: why there is none, what to do next."""
    sys.stderr.write(f"retrowalk: {text}\n")


def print_json(value: object) -> None:
    """The one JSON document of a ``--json`` command. Refuses NaN, which is not JSON.

    Escaped to ASCII, because a pipe may have any encoding.
    """
    say(json.dumps(value, allow_nan=False, indent=2))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be. Plain text, so that it can be cut and grepped."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def clock(seconds: float) -> str:
    """``10:05`` for 605 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def log_to_stderr(level: int = logging.INFO) -> None:
    """Logs go to stderr, always; stdout belongs to results."""
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
