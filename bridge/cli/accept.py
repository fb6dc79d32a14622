"""``accept``: a walker reads the safety text, once, and says that they accept it."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bridge.cli.exit_codes import DONE, REFUSED, UsageError
from bridge.cli.output import say, say_aside


def accept(
    *,
    walker: Annotated[str, Parameter(help="Id of the walker.")] = "me",
    config: Annotated[Path | None, Parameter(help="Settings file.")] = None,
) -> int:
    """Read the safety text and accept it, once for each walker.

    Without it nobody can arm a session (not_accepted). The acceptance is
    written to the walker's table in the settings file; its comments and order
    stay. Anything but "yes" accepts nothing and ends with 4.

    For example:

      retrowalk accept
      retrowalk accept --walker anna
    """
    from bridge.config import load_settings, settings_path  # noqa: PLC0415 - heavy
    from bridge.consent import load_safety_text, write_acceptance  # noqa: PLC0415 - heavy
    from bridge.settings import Settings, checked_id  # noqa: PLC0415

    try:
        checked_id(walker)
    except ValueError as error:
        raise UsageError(f"--walker {walker}: {error}") from None
    path = settings_path(config)
    settings = load_settings(config) if path.exists() else Settings()
    file = load_safety_text()
    text = file.in_language(settings.language)
    say(f"{text.title}\n")
    for paragraph in text.text:
        say(f"  {paragraph}\n")
    say(text.not_for_title)
    for item in text.not_for:
        say(f"  - {item}")
    say()
    sys.stdout.write(text.question)
    sys.stdout.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        say_aside("not accepted; nothing was changed")
        return REFUSED
    write_acceptance(path, walker, file.version)
    say(f"{walker} has accepted version {file.version}; written to {path}")
    return DONE
