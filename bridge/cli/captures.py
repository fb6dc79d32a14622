"""``capture`` and ``replay``: what a treadmill said, written down, and walked again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bridge.cli.arguments import above_zero
from bridge.cli.exit_codes import DONE, INTERRUPTED
from bridge.cli.output import log_to_stderr, print_json, say, say_aside

if TYPE_CHECKING:
    from bridge.replay import Replayed


def capture(
    target: Annotated[str, Parameter(help="Address or name, as `retrowalk scan` shows it.")],
    /,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"), help="File to write.")],
    seconds: Annotated[
        float | None,
        Parameter(help="How long; until Ctrl-C if not given.", validator=above_zero(86_400)),
    ] = None,
    config: Annotated[Path | None, Parameter(help="Settings file (which radio to use).")] = None,
) -> int:
    """Write down what a treadmill says.

    Features, ranges and every notification, with times. Nothing is written to
    the treadmill's control point: use its console while this listens.
    Addresses, serial numbers and the tail of the name are left out.

    For example:

      retrowalk capture "FS-D9D0A1" -o fitshow.jsonl
      retrowalk capture AA:BB:CC:DD:EE:FF -o mine.jsonl --seconds 120
    """
    import asyncio  # noqa: PLC0415 - heavy

    from bridge.config import load_settings  # noqa: PLC0415 - heavy

    bluetooth = load_settings(config).bluetooth
    log_to_stderr()
    try:
        frames = asyncio.run(
            _capture(bluetooth.backend, bluetooth.transport, target, output, seconds)
        )
    except KeyboardInterrupt:
        say_aside(f"{output} holds what was heard until now")
        return INTERRUPTED
    say(f"{output}: {frames} frames")
    return DONE


async def _capture(
    backend: str, transport: str, target: str, output: Path, seconds: float | None
) -> int:
    from bridge.bluetooth.backend import open_backend  # noqa: PLC0415 - heavy
    from bridge.capture import capture as listen  # noqa: PLC0415

    async with open_backend(backend, transport) as opened:
        return await listen(opened, target, output, seconds)


def replay(
    file: Annotated[Path, Parameter(help="A capture (JSON Lines).")],
    /,
    *,
    program: Annotated[
        str, Parameter(help="What the stand-in walks, for a capture without a walker.")
    ] = "first-minute",
    as_json: Annotated[bool, Parameter(name="--json", help="Print JSON.")] = False,
) -> int:
    """Run a capture through the whole core again.

    Same bytes, same times, no radio: what the bridge made of it, as a list of
    events, and what it would have written to the treadmill. A capture without
    a walker is walked by a stand-in who hears and confirms everything.

    For example:

      retrowalk replay fitshow.jsonl
      retrowalk replay fitshow.jsonl --json
    """
    from dataclasses import asdict  # noqa: PLC0415 - heavy

    from bridge.capture_file import read_capture  # noqa: PLC0415 - heavy
    from bridge.replay import replay as walk_again  # noqa: PLC0415
    from bridge.replay import settings_for  # noqa: PLC0415

    header, items = read_capture(file)
    replayed = walk_again(header, items, settings_for(header), program)
    if as_json:
        print_json(asdict(replayed))
    else:
        _print(replayed)
    return DONE


def _print(replayed: "Replayed") -> None:
    for event in replayed.events:
        say(f"{event['t']:9.1f}  {event['type']}  {event['data']}")
    say(
        f"{replayed.frames} frames, {replayed.malformed} of them without meaning; "
        f"{len(replayed.events)} events, {len(replayed.writes)} writes"
    )
