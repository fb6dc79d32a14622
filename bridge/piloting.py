"""From settings and profiles to what one pilot and one link must know, as core records.

Knows what people configured; refuses to know tasks, radios and brokers.
"""

from collections.abc import Mapping

from bridge.bluetooth.link import ChooseDevice
from bridge.bluetooth.scan import Seen
from bridge.config import walker_record
from bridge.consent import load_safety_text
from bridge.core.deck import PilotSettings
from bridge.core.errors import ConfigError
from bridge.core.matching import DeviceProfile, match_device
from bridge.core.messages import Identity
from bridge.core.quirks import Quirks
from bridge.profiles import load_language, load_levels, load_programs
from bridge.session_ids import new_session_id
from bridge.settings import Settings, TreadmillSettings, WalkerSettings

AUTO = "auto"
DEFAULT_WALKER = WalkerSettings(id="me")


def pilot_settings(
    settings: Settings,
    treadmill: TreadmillSettings,
    boot: str,
    devices: Mapping[str, DeviceProfile],
) -> PilotSettings:
    """What one pilot must know of the settings and profiles, as core records."""
    levels = load_levels()
    people = settings.walker or (DEFAULT_WALKER,)
    walkers = {person.id: walker_record(person, levels) for person in people}
    return PilotSettings(
        treadmill=treadmill.id,
        boot=boot,
        language=load_language(settings.language),
        programs=load_programs(),
        levels={level.id: level.rank for level in levels.values()},
        walkers=walkers,
        walker=treadmill.walker or people[0].id,
        voices=frozenset(settings.safety.voice),
        new_session_id=new_session_id,
        devices={profile.id: profile.quirks for profile in devices.values()},
        start=settings.safety.start,
        remote=settings.safety.remote,
        safety_version=load_safety_text().version,
        units_proven=treadmill.units_proven,
    )


def chooser(treadmill: TreadmillSettings, devices: Mapping[str, DeviceProfile]) -> ChooseDevice:
    """How the device profile of this treadmill is found: as set, or by what the machine says.

    Raises `ConfigError` for a profile that does not exist.
    """
    if treadmill.device != AUTO and treadmill.device not in devices:
        raise ConfigError(
            f'treadmill {treadmill.id}: device is "{treadmill.device}"; allowed are "{AUTO}" and '
            f"the profiles in profiles/devices: {', '.join(sorted(devices))}"
        )

    def choose(seen: Seen, identity: Identity) -> tuple[str, Quirks]:
        if treadmill.device != AUTO:
            return treadmill.device, devices[treadmill.device].quirks
        profile = match_device(
            seen.name, seen.service_uuids, seen.service_data, identity, devices.values()
        )
        return profile.id, profile.quirks

    return choose
