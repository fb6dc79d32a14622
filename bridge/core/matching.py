"""Which device profile a machine has, from what it advertises and what it says when connected.

Every profile lists rules, and a rule holds when all that it names is found. Of the rules that hold,
the most specific wins, in this order: one that names the firmware before one that does not, then
the model, then the manufacturer; then a whole name before a pattern, more letters before fewer,
a fixed length before any; then service data, and more services before fewer. What is still equal
is settled by the profile's id, so that the answer never depends on the order of files. Refuses to
know any machine by name.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeVar

from bridge.core.messages import Identity
from bridge.core.quirks import Quirks, speaks_ftms

STANDARD_ID: Final = "standard"
"""The profile of machines that no other profile is about."""

FITNESS_MACHINE: Final = "00001826-0000-1000-8000-00805f9b34fb"

Tier = Literal["reported", "captured", "owned"]
"""How well a machine is known: by others' words, by frames from one, by having one here."""

Specificity = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRule:
    """All of it must hold. Texts are patterns (``*``, ``?``, ``[0-9]``), case does not matter.

    ``service_data`` is that of 0x1826 without its UUID; ``services`` are 128-bit UUIDs in small
    letters. An empty field asks for nothing.
    """

    name: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    service_data: bytes = b""
    services: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a rule that every machine would meet."""
        texts = (self.name, self.model, self.manufacturer)
        if not (any(map(_letters, texts)) or self.service_data or self.services):
            raise ValueError("a match needs a name, a model, a manufacturer, or services")

    def holds(self, seen: "Advertised") -> bool:
        """Whether everything that the rule names is so."""
        identity = seen.identity or Identity()
        return (
            _like(seen.name, self.name)
            and _like(identity.manufacturer, self.manufacturer)
            and _like(identity.model, self.model)
            and _like(identity.firmware, self.firmware)
            and (not self.service_data or seen.service_data == self.service_data)
            and self.services <= seen.services
        )

    @property
    def specificity(self) -> Specificity:
        """Larger is more specific; see the top of this module."""
        return (
            _letters(self.firmware),
            _letters(self.model),
            _letters(self.manufacturer),
            int(self.name != "" and not _WILD.search(self.name)),
            _letters(self.name),
            int(self.name != "" and "*" not in self.name),
            len(self.service_data),
            len(self.services),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertised:
    """One machine as far as it is known; ``identity`` is ``None`` until somebody has connected."""

    name: str = ""
    services: frozenset[str] = frozenset()
    service_data: bytes | None = None
    identity: Identity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """What is known of one model or family. ``example`` is one such machine's own words."""

    id: str
    name: str
    source: str
    tier: Tier
    rules: tuple[MatchRule, ...] = ()
    quirks: Quirks = field(default_factory=Quirks)
    example: Identity = field(default_factory=Identity)
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Machines that speak something else than FTMS, and what speaks it."""

    id: str
    name: str
    spoken_by: str
    source: str
    rules: tuple[MatchRule, ...] = ()
    notes: str = ""


_Kind = TypeVar("_Kind", DeviceProfile, Family)


def match_device(
    name: str,
    service_uuids: Collection[str],
    service_data: bytes | None,
    identity: Identity | None,
    profiles: Iterable[DeviceProfile],
) -> DeviceProfile:
    """The most specific profile, or the standard one. Raises `ValueError` if that is missing."""
    known = {profile.id: profile for profile in profiles}
    seen = advertised(name, service_uuids, service_data, identity)
    if (best := most_specific(seen, known.values())) is not None:
        return best
    if STANDARD_ID not in known:
        raise ValueError(f'there is no profile "{STANDARD_ID}"')
    return known[STANDARD_ID]


def recognise_family(
    name: str, service_uuids: Collection[str], families: Iterable[Family]
) -> Family | None:
    """The family that is not FTMS and that this machine belongs to, if any is known."""
    return most_specific(advertised(name, service_uuids), families)


def recognise(
    seen: Advertised, profiles: Iterable[DeviceProfile], families: Iterable[Family]
) -> DeviceProfile | Family | None:
    """What a machine is that somebody heard; ``None``: no treadmill that anybody knows.

    What advertises FTMS has a profile, unless the profile itself says that FTMS is a facade there.
    Many FTMS treadmills advertise nothing but a name; for those the more specific rule decides.
    """
    known = {profile.id: profile for profile in profiles}
    profile, family = most_specific(seen, known.values()), most_specific(seen, families)
    if profile is not None and not speaks_ftms(profile.quirks, seen.services):
        return family or profile
    if FITNESS_MACHINE in seen.services or seen.service_data is not None:
        return profile or known[STANDARD_ID]
    if profile is None or family is None:
        return profile or family
    stronger = _specificity(seen, profile) >= _specificity(seen, family)
    return profile if stronger else family


def advertised(
    name: str,
    service_uuids: Collection[str],
    service_data: bytes | None = None,
    identity: Identity | None = None,
) -> Advertised:
    """What is known of one machine, ready for comparison."""
    services = frozenset(uuid.lower() for uuid in service_uuids)
    return Advertised(name=name, services=services, service_data=service_data, identity=identity)


def most_specific(seen: Advertised, kinds: Iterable[_Kind]) -> _Kind | None:
    """The profile (or family) with the most specific rule that holds; ``None`` when none does."""
    by_id = sorted(kinds, key=lambda kind: kind.id)
    best = max(by_id, key=lambda kind: _specificity(seen, kind), default=None)
    return best if best is not None and _specificity(seen, best) else None


def _specificity(seen: Advertised, kind: DeviceProfile | Family) -> Specificity:
    """That of its most specific rule that holds; empty, which is less than any, when none does."""
    return max((rule.specificity for rule in kind.rules if rule.holds(seen)), default=())


def _like(text: str, pattern: str) -> bool:
    return not pattern or fnmatchcase(text.casefold(), pattern.casefold())


_WILD: Final = re.compile(r"\[[^]]*\]|[*?]")


def _letters(pattern: str) -> int:
    return len(_WILD.sub("", pattern))
