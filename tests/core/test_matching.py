"""`bridge.core.matching`: the most specific rule wins, whatever the order of the profiles."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.matching import (
    FITNESS_MACHINE,
    STANDARD_ID,
    DeviceProfile,
    Family,
    MatchRule,
    advertised,
    match_device,
    recognise,
    recognise_family,
)
from bridge.core.messages import Identity
from bridge.core.quirks import Quirks

UART = "49535343-fe7d-4ae5-8fa9-9fafd205e455"
SWAPPED = b"\x01\x00\x01"


def profile(ident: str, *rules: MatchRule, quirks: Quirks | None = None) -> DeviceProfile:
    """A profile with these rules."""
    return DeviceProfile(
        id=ident, name=ident, source="-", tier="reported", rules=rules, quirks=quirks or Quirks()
    )


def family(ident: str, *rules: MatchRule) -> Family:
    """A family with these rules."""
    return Family(id=ident, name=ident, spoken_by="-", source="-", rules=rules)


# From the least to the most specific; the last one that holds for a machine is its profile.
LADDER = [
    profile("services", MatchRule(services=frozenset({FITNESS_MACHINE}))),
    profile("service-data", MatchRule(service_data=SWAPPED)),
    profile("open-name", MatchRule(name="AB*")),
    profile("fixed-name", MatchRule(name="AB??")),
    profile("longer-name", MatchRule(name="ABC*")),
    profile("name-and-data", MatchRule(name="ABC*", service_data=SWAPPED)),
    profile("whole-name", MatchRule(name="ABCD")),
    profile("maker", MatchRule(manufacturer="Acme*")),
    profile("model", MatchRule(model="M1")),
    profile("maker-and-model", MatchRule(manufacturer="Acme", model="M1")),
    profile("firmware", MatchRule(model="M*", firmware="2.0")),
]
STANDARD = profile(STANDARD_ID)
EVERYTHING = Identity(manufacturer="ACME", model="m1", firmware="2.0")


@given(st.permutations([*LADDER, STANDARD]))
def test_the_documented_order(profiles: list[DeviceProfile]) -> None:
    """Each step of the ladder wins over all below it, in any order and any case of letters."""
    for steps in range(len(LADDER)):
        known = [one for one in profiles if one is STANDARD or one in LADDER[: steps + 1]]
        found = match_device("abcd", {FITNESS_MACHINE.upper()}, SWAPPED, EVERYTHING, known)
        assert found.id == LADDER[steps].id


def test_all_of_a_rule_must_hold() -> None:
    """A name alone does not make the model; without a connection no model is known at all."""
    both = profile("both", MatchRule(name="FS-*", model="D2*"))
    known = [both, STANDARD]
    assert match_device("FS-1", (), None, Identity(model="D2x"), known) is both
    assert match_device("FS-1", (), None, Identity(model="T4"), known) is STANDARD
    assert match_device("FS-1", (), None, None, known) is STANDARD
    assert match_device("XX-1", (), None, Identity(model="D2x"), known) is STANDARD


def test_length_is_part_of_a_pattern() -> None:
    """Fourteen characters and three digits mean just that."""
    known = [
        profile("fourteen", MatchRule(name="SW????????????")),
        profile("digits", MatchRule(name="WT[0-9][0-9][0-9]")),
        STANDARD,
    ]
    names = ["SW345678901234", "SW3456789012345", "SW34567890123", "WT123", "WT12A", "WT1234"]
    found = [match_device(name, (), None, None, known).id for name in names]
    assert found == ["fourteen", "standard", "standard", "digits", "standard", "standard"]


@given(st.text(), st.sets(st.text()), st.none() | st.binary())
def test_every_machine_has_a_profile(name: str, uuids: set[str], data: bytes | None) -> None:
    """Whatever is advertised; the unknown one is the standard machine."""
    assert match_device(name, uuids, data, None, [STANDARD]) is STANDARD


def test_ties_are_settled_by_id() -> None:
    """Two equal rules: the first id by the alphabet, in both orders."""
    one, two = profile("a", MatchRule(name="X*")), profile("b", MatchRule(name="Y*"))
    both = replace(two, rules=(MatchRule(name="X*"),))
    assert match_device("X", (), None, None, [both, one]) is one
    assert match_device("X", (), None, None, [one, both]) is one


def test_there_must_be_a_standard() -> None:
    """Without one an unknown machine has none, which is said."""
    with pytest.raises(ValueError, match="standard"):
        match_device("X", (), None, None, [])


@pytest.mark.parametrize("rule", [{}, {"name": "*"}, {"name": "??"}, {"firmware": "1"}])
def test_a_rule_asks_for_something(rule: dict[str, str]) -> None:
    """One that all machines meet is refused."""
    with pytest.raises(ValueError, match="needs"):
        MatchRule(**rule)  # type: ignore[arg-type]


# --- families ------------------------------------------------------------------------------------

PAD = family("pad", MatchRule(name="KS-H*"), MatchRule(services=frozenset({UART})))
FTMS_PAD = profile("ftms-pad", MatchRule(name="KS-HD-Z1*"))
FACADE = profile(
    "facade", MatchRule(name="DOM*"), quirks=Quirks(service="other", other_service=UART)
)


def test_families_are_known_by_name_or_service() -> None:
    """Either will do; a stranger has none."""
    assert recognise_family("KS-H1", (), [PAD]) is PAD
    assert recognise_family("", [UART.upper()], [PAD]) is PAD
    assert recognise_family("Lamp", (), [PAD]) is None


def test_what_is_heard_is_ftms_or_something_else_or_nothing() -> None:
    """FTMS advertised counts; else the longer name; a facade is what is behind it."""
    known, families = [FTMS_PAD, FACADE, STANDARD], [PAD]

    def found(name: str, *uuids: str, data: bytes | None = None) -> str | None:
        kind = recognise(advertised(name, uuids, data), known, families)
        return None if kind is None else kind.id

    assert found("Lamp") is None
    assert found("Lamp", FITNESS_MACHINE) == "standard"
    assert found("Lamp", data=b"\x01") == "standard"
    assert found("KS-H1") == "pad"
    assert found("KS-H1", FITNESS_MACHINE) == "standard"
    assert found("KS-HD-Z1D") == "ftms-pad"
    assert found("DOM", FITNESS_MACHINE) == "facade"
    assert found("DOM", FITNESS_MACHINE, UART) == "pad"
    assert recognise(advertised("DOM", [UART]), known, []) is FACADE
