"""``run`` and ``demo``: the bridge itself, for a treadmill and for the curious."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bridge.cli.arguments import above_zero
from bridge.cli.output import log_to_stderr


def run(
    *,
    config: Annotated[Path | None, Parameter(help="Settings file.")] = None,
    capture: Annotated[
        Path | None, Parameter(help="New file for all that goes by, for `retrowalk replay`.")
    ] = None,
) -> int:
    """Run the bridge, until it is told to end.

    Connects treadmills, the page, MQTT and the record of every session.
    Settings come from --config, else $RETROWALK_CONFIG, else config.toml in
    the platform's config folder; any key also from the environment, such as
    RETROWALK_MQTT__PASSWORD. Everything has a default. Ctrl-C and SIGTERM walk
    the belt down, stop it, and end in order.

    For example:

      retrowalk run
      retrowalk run --config /etc/retrowalk.toml
    """
    from bridge.config import load_settings  # noqa: PLC0415 - heavy
    from bridge.daemon import run_bridge  # noqa: PLC0415 - heavy

    settings = load_settings(config)
    log_to_stderr()
    return run_bridge(settings, capture)


def demo(
    *,
    program: Annotated[str, Parameter(help="Id of a training program.")] = "first-minute",
    speedup: Annotated[
        float,
        Parameter(
            help="How many times faster than life; 1 is real time.", validator=above_zero(1000)
        ),
    ] = 10.0,
    web: Annotated[bool, Parameter(name="--web", negative="--no-web", help="Serve the page.")] = (
        True
    ),
    seed: Annotated[int, Parameter(help="Same seed, same simulated walker.")] = 1,
) -> int:
    """See the whole product, with nothing to install or own.

    A simulated treadmill on a virtual Bluetooth link, a broker, and a walker
    who answers prompts. Ends by itself, with a summary.

    For example:

      retrowalk demo
      retrowalk demo --program retro-ten --speedup 30
      retrowalk demo --speedup 1 --no-web
    """
    from bridge.demo import run_demo  # noqa: PLC0415 - heavy

    return run_demo(program=program, speedup=speedup, seed=seed, web=web)
