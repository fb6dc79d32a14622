"""``simulate``: treadmills as Bluetooth peripherals."""

from typing import Annotated

from cyclopts import Parameter


def simulate(
    *,
    air: Annotated[
        str | None, Parameter(help="HOST:PORT to serve a virtual radio on; port 0 is any.")
    ] = None,
    transport: Annotated[
        str | None, Parameter(help='A controller that exists, such as "usb:0".')
    ] = None,
    model: Annotated[str, Parameter(help="Which treadmill to be.")] = "standard",
    fault: Annotated[
        tuple[str, ...],
        Parameter(help="What goes wrong, such as drop-link:30; may be repeated."),
    ] = (),
    name: Annotated[str | None, Parameter(help="Advertised name; the model's if none.")] = None,
    address: Annotated[
        str | None, Parameter(help="Bluetooth address; counts up with --count.")
    ] = None,
    count: Annotated[int, Parameter(help="How many treadmills.")] = 1,
    press_start_after: Annotated[
        float | None,
        Parameter(help="Seconds after which somebody presses the console's Start, once armed."),
    ] = None,
    heart_rate: Annotated[
        int | None, Parameter(help="Heart rate in bpm that the treadmill reports.")
    ] = None,
    as_json: Annotated[bool, Parameter(name="--json", help="Print JSON lines.")] = False,
) -> None:
    """Be treadmills that misbehave when told to.

    One or more, as Bluetooth peripherals. With --air, each TCP client gets a
    fresh controller on a virtual radio; a bridge joins with the transport
    tcp-client:HOST:PORT. With --transport the treadmill advertises for real.
    Lines on stdin are orders while it runs.

    For example:

      retrowalk simulate --air 127.0.0.1:6402
      retrowalk simulate --air 127.0.0.1:6402 --count 6 --fault key-out:60
      retrowalk simulate --transport usb:0 --name Garage
    """
    import asyncio  # noqa: PLC0415 - heavy

    from bridge.simulator.command import (  # noqa: PLC0415 - heavy, and an optional extra
        DEFAULT_ADDRESS,
        Options,
    )
    from bridge.simulator.command import simulate as simulate_treadmills  # noqa: PLC0415

    options = Options(
        air=air,
        transport=transport,
        faults=fault,
        name=name,
        address=address or DEFAULT_ADDRESS,
        count=count,
        model=model,
        press_start_after_s=press_start_after,
        heart_rate_bpm=heart_rate,
        json_lines=as_json,
    )
    asyncio.run(simulate_treadmills(options))
