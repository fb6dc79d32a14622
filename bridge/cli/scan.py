"""``scan``: the treadmills in reach."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bridge.cli.arguments import above_zero
from bridge.cli.exit_codes import DONE, UNREACHABLE
from bridge.cli.output import print_json, print_table, say_aside

if TYPE_CHECKING:
    from bridge.bluetooth.scan import Seen


def scan(
    *,
    timeout: Annotated[
        float, Parameter(help="Seconds to listen.", validator=above_zero(300))
    ] = 10.0,
    config: Annotated[Path | None, Parameter(help="Settings file (which radio to use).")] = None,
    as_json: Annotated[bool, Parameter(name="--json", help="Print JSON.")] = False,
) -> int:
    """List the FTMS machines in reach.

    Address, name, signal, kinds of machine and matching device profile; of
    those that speak something else than FTMS, what speaks it.
    Switch the treadmill on and close the maker's app first: most machines
    talk to one at a time. Ends with 3 when nothing could be reached.

    For example:

      retrowalk scan
      retrowalk scan --timeout 30 --json
    """
    import asyncio  # noqa: PLC0415 - heavy

    from bridge.config import load_settings  # noqa: PLC0415 - heavy

    bluetooth = load_settings(config).bluetooth
    found = asyncio.run(_scan(bluetooth.backend, bluetooth.transport, timeout))
    others = [seen.other_family for seen in found if seen.other_family is not None]
    if as_json:
        print_json([_entry(seen) for seen in found])
    elif found:
        titles = ("address", "name", "dBm", "kinds", "profile")
        print_table(titles, [_row(seen) for seen in found])
    for family in dict.fromkeys(others):
        say_aside(f"{family.name} is not FTMS; it is spoken by {family.spoken_by}")
    if len(others) == len(found):
        say_aside(
            f"no FTMS machine was heard in {timeout:g} s: is it on, and not in use by an app?"
        )
        return UNREACHABLE
    return DONE


async def _scan(backend: str, transport: str, timeout_s: float) -> "list[Seen]":
    from bridge.bluetooth.backend import open_backend  # noqa: PLC0415 - heavy
    from bridge.bluetooth.scan import scan as listen  # noqa: PLC0415
    from bridge.device_profile import load_devices, load_families  # noqa: PLC0415
    from bridge.recognition import recognised  # noqa: PLC0415

    profiles, families = load_devices().values(), load_families()
    async with open_backend(backend, transport) as opened:
        return recognised(
            await listen(opened, timeout_s, everything=True), list(profiles), families
        )


def _entry(seen: "Seen") -> dict[str, object]:
    return {
        "address": seen.address,
        "name": seen.name,
        "rssi_dbm": seen.rssi_dbm,
        "machine_types": list(seen.machine_types),
        "available": seen.available,
        "device_profile": seen.device_profile,
        "other_family": None
        if seen.other_family is None
        else {"name": seen.other_family.name, "spoken_by": seen.other_family.spoken_by},
    }


def _row(seen: "Seen") -> tuple[str, ...]:
    return (
        seen.address,
        seen.name,
        "" if seen.rssi_dbm is None else str(seen.rssi_dbm),
        ", ".join(seen.machine_types),
        _profile(seen),
    )


def _profile(seen: "Seen") -> str:
    if seen.other_family is not None:
        return f"none: {seen.other_family.name}"
    return seen.device_profile or ""
