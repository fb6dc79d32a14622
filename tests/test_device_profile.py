"""`bridge.device_profile` and the shipped profiles: all load and match, no known quirk is left."""

import ast
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from bridge import data
from bridge.cli.schema import json_schema
from bridge.core.errors import ProfileError
from bridge.core.ftms import decode_treadmill_data
from bridge.core.matching import STANDARD_ID, match_device
from bridge.core.messages import Identity, Reading
from bridge.core.quirks import (
    InclineCodec,
    Quirks,
    correct_reading,
    target_incline_to_machine,
)
from bridge.device_profile import (
    QuirksEntry,
    check_device,
    load_device,
    load_devices,
    load_families,
)
from tests.json_schema import errors

ROOT = Path(__file__).resolve().parents[1]
DEVICES = ROOT / "profiles" / "devices"
HEAD = 'id = "mine"\nname = "Mine"\ntier = "reported"\nsource = "me"\n'
MATCH = '[[match]]\nname = "MINE*"\n'


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's own folder for device profiles, empty until a test writes to it."""
    monkeypatch.setattr(data, "own_folder", lambda: tmp_path / "own")
    folder = tmp_path / "own" / "profiles" / "devices"
    folder.mkdir(parents=True)
    return folder


def wrong(own: Path, text: str) -> str:
    """What is said of a file called ``mine.toml``."""
    (own / "mine.toml").write_text(text)
    with pytest.raises(ProfileError) as caught:
        load_devices()
    with pytest.raises(ProfileError):
        load_device("mine")
    return str(caught.value)


# --- what is shipped -----------------------------------------------------------------------------


def test_every_profile_is_found_by_its_own_example() -> None:
    """All load, and of all of them each is the one that its own machine gets."""
    devices = load_devices()
    assert len(devices) > 45
    for ident, device in devices.items():
        uuids = {uuid for rule in device.rules for uuid in rule.services}
        example = device.example
        found = match_device(example.name, uuids, None, example, devices.values())
        assert found.id == ident, example
        assert load_device(ident) == device
        assert device.source


def test_no_two_profiles_have_the_same_rule() -> None:
    """Which one is meant is never left to the alphabet."""
    rules = [
        (rule.specificity, rule.name.casefold(), rule.manufacturer, rule.model, rule.service_data)
        for device in load_devices().values()
        for rule in device.rules
    ]
    assert len(rules) == len(set(rules))


@pytest.mark.parametrize(
    ("name", "identity", "ident"),
    [
        ("Nobody", None, "standard"),
        ("TRX4500", None, "standard"),
        ("FS-ABCDEF", None, "fitshow"),
        ("FS-D9D0A1", None, "fitshow-fs-d9d0a1"),
        ("FS-ABCDEF", Identity(model="FS-BT-D2"), "hometro-fs-bt-d2"),
        ("FS-ABCDEF", Identity(model="FS-BT-T4"), "fs-bt-t4"),
        ("FIT-1", None, "fit"),
        ("FIT-TM-1", None, "fit-tm"),
        ("HORIZON_7.4AT", None, "horizon"),
        ("HORIZON_7.8AT-02", None, "horizon-7-8at"),
        ("SW345678901234", None, "fitshow-sw"),
        ("SW3456789", None, "standard"),
        ("SWALK LITE-1", None, "standard"),
        ("Yesoul", Identity(manufacturer="YESOUL", model="W2PRO"), "yesoul-w2-pro"),
        ("TREADMILL 2", None, "standard"),
        ("TREADMILL 2", Identity(manufacturer="Technogym"), "technogym-run"),
        ("JFTM", None, "standard"),
        ("JFTM T202", None, "jftm-t202"),
        ("JFTMPARAGON", None, "paragon-x"),
        ("KS-MC21-1234", None, "kingsmith-mc21"),
        ("KS-MC30", None, "standard"),
        ("TP1", None, "tp1"),
        ("TP12", None, "standard"),
    ],
)
def test_the_nearest_profile_wins(name: str, identity: Identity | None, ident: str) -> None:
    """Models before series, series before the standard."""
    assert match_device(name, (), None, identity, load_devices().values()).id == ident


def test_a_swapped_machine_type_is_known() -> None:
    """The service data of one TR1200-T, as it was heard."""
    device = match_device("TR1200-T", (), b"\x01\x00\x01", None, load_devices().values())
    assert device.id == "dicolar-tr1200"


# Every row of the survey of known quirks (facts collected before this was written): the profiles
# that carry it, or why an FTMS client can do nothing about it.
ROWS: dict[int, str] = {
    1: "technogym-myrun",
    2: "anplus wellfit-tm mobvoi-tmp toorx-trx3500 fitshow-sw iconcept-t01 ypoo-mini-pro 3g-pro "
    "3g-elite fitshow",
    3: "vitalwalk-tm11gy",
    4: "toorx-trx3500",
    5: "- an iOS stack's trouble; the names are known (toorx-trx3500, standard)",
    6: "mobvoi-tmp",
    7: "mobvoi-tm yesoul fitshow-sw",
    8: "schwinn-810 fit-tm",
    9: "fitshow-sw",
    10: "wellfit-tm ypoo-mini-pro",
    11: "ypoo-mini-pro",
    12: "kettler",
    13: "iconcept-t01",
    14: "3g-pro 3g-elite",
    15: "3g-elite therun-t15",
    16: "tm4800 tm6500 wt merach",
    17: "jftm-t202",
    18: "bowflex-t9",
    19: "horizon-7-8at",
    20: "horizon paragon-x",
    21: "horizon",
    22: "matrix-mx-tm",
    23: "tunturi-t60-t90",
    24: "tunturi-t80",
    25: "sole-f85",
    26: "sole-f89 sole-tt8 tm4500 tm6500 adidas",
    27: "kettler iconcept-t01 toorx-trx3500 sole-tt8 fitshow-sw sole-s77 fit fit-tm 3g-pro "
    "3g-elite",
    28: "fitshow",
    29: "fitshow-fs-d9d0a1",
    30: "hometro-fs-bt-d2",
    31: "fs-bt-t4",
    32: "xterra-t85 sperax-rm-01",
    33: "fitshow-fs-6041f1",
    34: "dicolar-tr1200",
    35: "urevo-e1l",
    36: "urevo-e1l",
    37: "urevo-spacewalk-3s",
    38: "urevo",
    39: "urevo-e1l urevo-urtm030",
    40: "citysports-linker",
    41: "kingsmith-z1",
    42: "kingsmith-mc21 kingsmith-smc21c zipro-zealr1",
    43: "kingsmith-mc21",
    44: "kingsmith-mc21",
    45: "kingsmith-x21",
    46: "kickr-run",
    47: "merach",
    48: "tp1",
    49: "t318",
    50: "domyos domyos-ts100",
    51: "focus-jet-7",
    52: "- its handshake is no FTMS, and no source says which characteristic takes it",
    53: "3g-pro",
    54: "yesoul-w2-pro",
    55: "reebok-fr30z",
    56: "matrix-touch",
    57: "matrix-t600x",
    58: "life-fitness",
    59: "technogym-myrun technogym-run",
    60: "star-trac",
    61: "bh-fitness",
    62: "mobvoi",
    63: "- no machine is named; one without a control point is read only, whatever its profile",
    64: "- no machine is named; the link tries again until the machine wakes",
    65: "hometro-fs-bt-d2",
    66: "- nearly all machines; the scan says to close the maker's app",
    67: "sole-f80 sole-f63max",
    68: "sole-f80 sole-f85 sole-f89 sole-s77",
    69: "runn",
    70: "noblepro",
}


def test_every_known_quirk_has_a_profile_or_a_reason() -> None:
    """All 70 rows, and every profile but the standard one is there for at least one of them."""
    devices = set(load_devices())
    assert list(ROWS) == list(range(1, 71))
    carried = {ident for row in ROWS.values() if not row.startswith("-") for ident in row.split()}
    assert carried == devices - {STANDARD_ID}


def device(ident: str) -> Quirks:
    """The quirks of one shipped profile."""
    return load_devices()[ident].quirks


def test_what_some_rows_say() -> None:
    """The corrections that move a belt wrongly when they are wrong, one by one."""
    assert device(STANDARD_ID) == Quirks()
    toggles = device("vitalwalk-tm11gy")
    assert (toggles.start_toggles, toggles.target_unit) == (True, "mph")
    linker = device("citysports-linker")
    assert (linker.start_opcode, linker.control_requests) == (0x00, 0)
    pad = device("kingsmith-mc21")
    assert [(one.payload.hex(), one.at) for one in pad.preamble] == [
        ("01000d00060b0f0d", "each-write")
    ]
    assert pad.acknowledgement == "status"
    assert pad.retry_results == frozenset({0x05})
    z1 = device("kingsmith-z1")
    assert (z1.preamble[0].payload.hex(), z1.write_pacing_ms) == ("710005012e5a314474", 400)
    assert device("mobvoi-tmp").min_speed_kmh == 1.0
    assert device("jftm-t202").reported_unit == "kmh"
    assert device("hometro-fs-bt-d2").pause_means == "stop"
    assert device("sole-f85").step_incline_pct == 1.0
    assert device("matrix-t600x").keep_alive_s == 3.0


@pytest.mark.parametrize(
    ("ident", "raws"),
    [
        ("standard", (0, 10, 20, 100)),
        ("kettler", (0, 0x14, 0x1E, 0x96)),
        ("iconcept-t01", (0, 0x3C, 0x82, 0x294)),
        ("3g-pro", (0, 0x1A, 0x24, 0x74)),
    ],
)
def test_incline_codes(ident: str, raws: tuple[int, ...]) -> None:
    """What goes out for 0, 1, 2 and 10 percent."""
    quirks = device(ident)
    said = [round(10 * target_incline_to_machine(pct, quirks)) for pct in (0, 1, 2, 10)]
    assert tuple(said) == raws


@pytest.mark.parametrize(
    ("ident", "frame", "expected"),
    [
        (
            "life-fitness",
            "9e04730233022500003c00ff7f0000ff7f0200ffffff1f00",
            Reading(elevation_gain_m=0.0),
        ),
        (
            "matrix-touch",
            "9e1f5100b2005800000000ff7f0000ffff0c0097",
            Reading(elevation_gain_m=0.0),
        ),
        ("bh-fitness", "8c016202000000b400000000000000000000", Reading(incline_pct=2.88)),
    ],
)
def test_real_frames_through_their_profiles(ident: str, frame: str, expected: Reading) -> None:
    """Octets that such machines sent: what they do not know is unknown, the speed is as it was."""
    plain = decode_treadmill_data(bytes.fromhex(frame))
    reading = correct_reading(plain, device(ident))
    assert reading.speed_kmh == plain.speed_kmh
    assert reading.negative_elevation_gain_m is None
    assert (reading.elevation_gain_m, reading.distance_m) == (
        expected.elevation_gain_m,
        None if ident == "bh-fitness" else plain.distance_m,
    )
    assert reading.incline_pct == (expected.incline_pct or plain.incline_pct)


# --- names stay in the profiles ------------------------------------------------------------------

# Prefixes that are words of this trade as well.
PLAIN_WORDS = {"TREADMILL", "FITNESS", "RUN", "FIT", "KETTLER"}


def said_in_code(source: str) -> list[str]:
    """Every text in a module that is no docstring (nor a comment, which has no node)."""
    tree = ast.parse(source)
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in statements
    ]


def test_no_machine_is_named_outside_the_profiles() -> None:
    """Neither a profile's id nor the beginning of a machine's name stands in the code."""
    devices = load_devices()
    patterns = [rule.name for known in devices.values() for rule in known.rules]
    starts = {re.split(r"[*?\[]", pattern)[0].rstrip("-_ ").upper() for pattern in patterns}
    starts = {start for start in starts if len(start) > 2}
    names = starts | {ident.upper() for ident in devices if ident != STANDARD_ID}
    named = re.compile(rf"\b({'|'.join(map(re.escape, sorted(names - PLAIN_WORDS)))})\b")
    found = [
        (file.relative_to(ROOT), text)
        for file in sorted((ROOT / "bridge").rglob("*.py"))
        for text in said_in_code(file.read_text(encoding="utf-8"))
        if named.search(text.upper())
    ]
    assert found == []


# --- the file's form -----------------------------------------------------------------------------


def test_a_new_machine_is_one_file(own: Path) -> None:
    """A person's own profile is found, matched and says everything that the record can hold."""
    (own / "mine.toml").write_text(
        HEAD
        + MATCH
        + """
[example]
name = "MINE-1"

[quirks]
target_unit = "mph"
control_requests = 0
start_opcode = 0x00
ignored_ops = ["pause"]
retry_results = [0x05]
unavailable = { power_w = 9999 }
default_incline_range = { min_incline_pct = 0, max_incline_pct = 12, step_incline_pct = 0.5 }
incline_target = { table = [[0, 0], [1.5, 20]] }
other_service = "FFF0"

[[quirks.preamble]]
characteristic = "D18D2C10-C44C-11E8-A355-529269FB1459"
hex = "01 0A"

[[quirks.status_rewrites]]
opcode = 0x05

[[quirks.training_codes]]
code = 0x11
means = "standing"
"""
    )
    mine = match_device("mine-1", (), None, None, load_devices().values())
    assert (mine.id, mine.example) == ("mine", Identity(name="MINE-1"))
    quirks = mine.quirks
    assert (quirks.target_unit, quirks.start_opcode) == ("mph", 0)
    assert quirks.retry_results == frozenset({5})
    assert quirks.incline_target == InclineCodec(table=((0.0, 0), (1.5, 20)))
    assert quirks.unavailable == (("power_w", 9999.0),)
    assert quirks.other_service == "0000fff0-0000-1000-8000-00805f9b34fb"
    (write,) = quirks.preamble
    assert (write.characteristic[:8], write.payload) == ("d18d2c10", b"\x01\x0a")
    assert quirks.default_incline_range is not None
    assert quirks.default_incline_range.max_incline_pct == 12
    assert (quirks.status_rewrites[0].opcode, quirks.training_codes) == (5, ((0x11, "standing"),))


def test_the_file_can_say_all_that_the_record_holds() -> None:
    """One key for each field of `Quirks`, with the same default."""
    assert list(QuirksEntry.model_fields) == [field.name for field in fields(Quirks)]
    assert QuirksEntry().record() == Quirks()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + MATCH + "[quirks]\ntarget_unit = 'mps'\n", "mine.toml:8: quirks.target_unit"),
        (HEAD + MATCH + "[quirks]\nstart_togles = true\n", 'did you mean "start_toggles"?'),
        (HEAD + MATCH + "[quirks]\nmin_speed_kmh = true\n", "must be a number"),
        (HEAD + MATCH + "[quirks]\nmin_speed_kmh = nan\n", "must be"),
        (HEAD + MATCH + "[quirks]\nstart_opcode = 0\n", "mine.toml:7: quirks: where 0x00 starts"),
        (HEAD + MATCH + "[quirks]\nignored_fields = ['sped']\n", "sped is no field"),
        (HEAD + MATCH + "[[quirks.status_rewrites]]\nopcode = 3\n", "safety key"),
        (HEAD + MATCH + "[quirks]\nincline_target.table = [[0, 5], [1, 5]]\n", "must rise"),
        (HEAD + MATCH + "[quirks]\nincline_target.table = [5]\n", "mine.toml:8"),
        (HEAD + MATCH + "[quirks]\nincline_target = 5\n", "a table"),
        (HEAD + MATCH + "[[quirks.preamble]]\ncharacteristic = 'x'\nhex = '0g'\n", "mine.toml:9"),
        (HEAD + "[[match]]\nname = '*'\n", "needs a name"),
        (HEAD + "[[match]]\nservices = ['1826x']\n", "must be a UUID"),
        (HEAD, "match: is missing"),
        (HEAD.replace("mine", "other") + MATCH, "must be the name of its file"),
        (HEAD.replace("reported", "guessed") + MATCH, "'reported', 'captured' or 'owned'"),
        ("id = ", "mine.toml:1: not TOML"),
    ],
)
def test_mistakes_are_named_with_their_line(own: Path, text: str, told: str) -> None:
    """File, line, key and what is allowed; nothing of a wrong file is used."""
    assert told in wrong(own, text)


def test_all_mistakes_are_told_at_once(own: Path) -> None:
    """Of all files together."""
    (own / "yours.toml").write_text(HEAD + MATCH)
    told = wrong(own, HEAD + MATCH + "[quirks]\nmet_factor = 0\nkeep_alive_s = 0\n")
    assert told.count("\n") == 3
    assert "met_factor" in told
    assert "yours.toml:1: id" in told


def test_a_profile_that_is_not_there(own: Path) -> None:
    """A wrong name is told with the nearest right one, a file that cannot be read with its path."""
    with pytest.raises(ProfileError, match=r'did you mean "mobvoi"\?'):
        load_device("mobvi")
    with pytest.raises(ProfileError, match=r"none\.toml: cannot be read: No such file"):
        check_device(own / "none.toml")


# --- families ------------------------------------------------------------------------------------


def test_families_say_what_speaks_them() -> None:
    """Every family that a Bluetooth LE scan can see, each id once."""
    families = load_families()
    assert len(families) > 20
    assert len({family.id for family in families}) == len(families)
    assert all(family.rules and family.spoken_by and family.source for family in families)


# --- JSON Schema ---------------------------------------------------------------------------------


def test_the_json_schema_accepts_every_profile() -> None:
    """What editors check is what the bridge reads; and it refuses what the bridge refuses."""
    schema = json_schema("device")
    files = sorted(DEVICES.glob("*.toml"))
    assert len(files) > 45
    for file in files:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
        assert errors(values, schema, schema["$defs"]) == [], file.name
    mistaken = tomllib.loads(
        HEAD.replace("reported", "guessed") + "[quirks]\nmet = 1\nkeep_alive_s = 0\n"
    )
    assert errors(mistaken, schema, schema["$defs"]) == [
        ".tier: enum",
        ".quirks.met: unknown",
        ".quirks.keep_alive_s: anyOf",
    ]
