"""The command ``retrowalk``: its commands by name, and how each of them ends.

Knows no command's arguments.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from bridge import __version__
from bridge.cli.exit_codes import DONE, INTERRUPTED, USAGE, exit_code, leading_error
from bridge.cli.output import print_json, say_aside
from bridge.core.errors import BridgeError

NAME = "retrowalk"
COMMANDS = (
    ("demo", "running:demo", "See the whole product, with nothing to install or own."),
    ("run", "running:run", "Run the bridge, until it is told to end."),
    ("scan", "scan:scan", "List the FTMS machines in reach."),
    ("accept", "accept:accept", "Read the safety text and accept it, once for each walker."),
    ("programs", "programs:programs", "List, show and check training programs."),
    ("decode", "decode:decode", "Decode FTMS payloads, one frame as it is."),
    ("simulate", "simulate:simulate", "Be treadmills that misbehave when told to."),
    ("capture", "captures:capture", "Write down what a treadmill says."),
    ("replay", "captures:replay", "Run a capture through the whole core again."),
    ("schema", "schema:schema", "Print a JSON Schema, for editors and programs."),
)
"""Name, place and first line of help. The line stands here too, so that the list of all commands
imports none of them."""


def build_app(chosen: str | None = None) -> App:
    """The whole command. The ``chosen`` one, once imported, gives its own full help."""
    app = App(
        name=NAME,
        version=f"{NAME} {__version__}",
        help="A bridge between a Bluetooth treadmill and a home, made for walking backward.\n\n"
        "Try it without a treadmill: retrowalk demo\n"
        "The belt's own safety key is the emergency stop: wear it.",
        # Plain: a quarter less to start than markdown and frames, and right for screen readers.
        help_format="plaintext",
        help_formatter="plain",
        default_parameter=Parameter(negative=()),
    )
    for name, place, line in COMMANDS:
        app.command(f"bridge.cli.{place}", name=name, help=None if name == chosen else line)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (contract section 1)."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    app = build_app(tokens[0] if tokens else None)
    try:
        result = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except (CycloptsError, BridgeError, ModuleNotFoundError, BaseExceptionGroup) as error:
        explained = _explained(error)
        if explained is None:
            raise
        return _failed(*explained, as_json="--json" in tokens)
    return result if isinstance(result, int) else DONE


_EXTRAS = {"bumble": "sim", "amqtt": "broker"}
"""Packages that only some commands need, and the extra of ours that brings each."""


def _explained(error: BaseException) -> tuple[str, int] | None:
    """What to tell a person, and the exit code; ``None`` for a bug, whose traceback tells more."""
    if isinstance(error, BaseExceptionGroup):
        leader = leading_error(error)
        return None if leader is None else _explained(leader)
    if isinstance(error, BridgeError):
        return str(error), exit_code(error)
    if isinstance(error, CycloptsError):
        return f"{error}\nTry: {NAME} --help", USAGE
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    extra = _EXTRAS.get((name or "").partition(".")[0])
    if extra is None:
        return None
    return f'this needs an extra: pip install "retrowalk[{extra}]"', USAGE


def _failed(message: str, code: int, *, as_json: bool) -> int:
    """Say what went wrong on stderr; with ``--json`` stdout still gets its one document."""
    say_aside(message)
    if as_json:
        print_json({"error": message})
    return code


def _reader_left() -> int:
    """The reader (``| head``) has what it wanted; Python must not flush to it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE
