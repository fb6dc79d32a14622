"""What was heard and what is known, brought together: a profile or a family for each machine.

Knows advertisements and profiles; refuses to know radios, files and what anybody does with either.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from bridge.bluetooth.scan import Seen
from bridge.core.matching import DeviceProfile, Family, advertised, recognise


def recognised(
    found: Iterable[Seen], profiles: Collection[DeviceProfile], families: Collection[Family]
) -> list[Seen]:
    """The treadmills among ``found``, in their order, each with its profile or its family.

    Fitness machines are all kept. What advertises nothing but a name is kept when that is the name
    of a treadmill, whether it speaks FTMS (``device_profile``) or not (``other_family``).
    """
    named = (_named(seen, profiles, families) for seen in found)
    return [seen for seen in named if seen.device_profile or seen.other_family]


def _named(seen: Seen, profiles: Collection[DeviceProfile], families: Collection[Family]) -> Seen:
    machine = advertised(seen.name, seen.service_uuids, seen.service_data)
    match recognise(machine, profiles, families):
        case DeviceProfile() as profile:
            return replace(seen, device_profile=profile.id)
        case Family() as family:
            return replace(seen, other_family=family)
        case _:
            return seen
