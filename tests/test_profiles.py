"""`bridge.profiles`, `program_file` and `data`: levels, training programs and languages."""

import re
from pathlib import Path

import pytest

from bridge import data
from bridge.core.errors import ProfileError
from bridge.core.messages import Direction, Program
from bridge.findings import Finding
from bridge.profiles import (
    check_program_file,
    load_cues,
    load_language,
    load_levels,
    load_program,
    load_programs,
    placeholders,
)

HEAD = 'id = "mine"\nname = "Mine"\nlevel = "L1"\n'


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's own folder, empty until a test writes to it."""
    monkeypatch.setattr(data, "own_folder", lambda: tmp_path / "own")
    for kind in ("training", "languages"):
        (tmp_path / "own" / "profiles" / kind).mkdir(parents=True)
    return tmp_path / "own" / "profiles"


def check(own: Path, text: str) -> tuple[Finding, ...]:
    """What is found in a program file called ``mine.toml``."""
    file = own / "training" / "mine.toml"
    file.write_text(text)
    checked = check_program_file(file)
    assert (checked.program is None) == bool(checked.findings)
    return checked.findings


def minutes(program: Program) -> tuple[float, float]:
    """Total and backward time."""
    total_s = sum(segment.duration_s for segment in program.segments)
    backward = [s for s in program.segments if s.direction is Direction.BACKWARD]
    return total_s / 60, sum(segment.duration_s for segment in backward) / 60


# --- levels --------------------------------------------------------------------------------------


def test_levels_are_those_of_the_table() -> None:
    """Each column of the table of levels (backward walking, section 7), weakest level first."""
    levels = load_levels()
    assert list(levels) == ["CARE", "L0", "L1", "L2", "L3"]
    table = {
        "rank": (0, 1, 2, 3, 4),
        "backward_max_kmh": (1.6, 2.4, 4.0, 5.5, 8.0),
        "forward_max_kmh": (3.0, 4.0, 5.5, 7.0, 10.0),
        "lateral_max_kmh": (None, None, 1.5, 2.2, 3.0),
        "step_kmh": (0.1, 0.2, 0.3, 0.5, 0.5),
        "hold_s": (40, 30, 20, 20, 15),
        "ramp_up_backward_kmh_per_s": (0.05, 0.05, 0.10, 0.15, 0.20),
        "ramp_up_forward_kmh_per_s": (0.10, 0.15, 0.20, 0.25, 0.30),
        "ramp_down_kmh_per_s": (0.10, 0.10, 0.15, 0.20, 0.25),
        "warn_up_s": (15, 10, 8, 6, 5),
        "warn_down_s": (8, 6, 5, 4, 3),
        "incline_max_pct": (2, 3, 8, 10, 10),
        "incline_rate_pct_per_s": (0.5 / 5, 1 / 5, 1 / 5, 2 / 5, 2 / 5),
        "assumed_proven_backward_kmh": (1.0, 1.0, 2.2, 3.5, 5.0),
        "assumed_proven_forward_kmh": (3.0, 4.0, 5.5, 7.0, 10.0),
        "assumed_proven_lateral_kmh": (1.0,) * 5,
        "turn_at_rest": (True, False, False, False, False),
    }
    for column, expected in table.items():
        assert tuple(getattr(level, column) for level in levels.values()) == expected, column


def test_nobody_raises_a_cap_by_a_file_of_their_own(own: Path) -> None:
    """Levels are read from the shipped profiles only."""
    (own / "levels.toml").write_text("nonsense")
    assert load_levels()["L0"].backward_max_kmh == 2.4


# --- shipped programs ----------------------------------------------------------------------------

# Total and backward minutes, from the headings of the programs (backward walking, section 8).
SHIPPED = {
    "backward-ladder": ("L0", 10.5, 5.0),
    "fifteen-minute-practice": ("L2", 20.5, 15.0),
    "first-minute": ("L0", 9.0, 2.0),
    "four-directions": ("L1", 9 + 1 / 6, 1.5),
    "incline-retro": ("L1", 14.5, 9.0),
    "minute-on-minute-off": ("L0", 17.0, 4.0),
    "prehab-finisher": ("L1", 8.5, 5.0),
    "retro-ten": ("L1", 15.5, 10.0),
}


def test_every_shipped_program_loads_with_its_times() -> None:
    """No shipped file breaks a rule, and each lasts as long as its design says."""
    programs = load_programs()
    assert set(programs) == set(SHIPPED)
    for ident, (level, total, backward) in SHIPPED.items():
        program = programs[ident]
        assert (program.id, program.level) == (ident, level)
        assert minutes(program) == pytest.approx((total, backward))
        assert program.summary
        assert "judgement" in program.evidence


def test_first_minute_stretch_by_stretch() -> None:
    """P1 as designed: 9:00, of it 2:00 backward at 1.0 and 1.2."""
    program = load_program("first-minute")
    walked = [(s.direction.value, s.speed_kmh, s.duration_s, s.cues) for s in program.segments]
    turn = ("turn", 1.0, 45.0, ("T1",))
    assert walked == [
        ("forward", 2.0, 120.0, ("F1",)),
        turn,
        ("backward", 1.0, 60.0, ("B1",)),
        turn,
        ("forward", 2.0, 60.0, ("F1",)),
        turn,
        ("backward", 1.2, 60.0, ("B2",)),
        turn,
        ("forward", 1.5, 60.0, ("F2",)),
    ]


def test_retro_ten_goes_at_comfort() -> None:
    """P4: ten minutes at the walker's own speed, 2.4 until it is known, five cues."""
    segment = load_program("retro-ten").segments[2]
    assert (segment.relative, segment.speed_kmh, segment.duration_s) == ("comfort", 2.4, 600.0)
    assert segment.cues == ("B1", "B2", "B3", "B4", "B5")


# --- own programs --------------------------------------------------------------------------------


def test_own_program_takes_the_place_of_a_shipped_one(own: Path) -> None:
    """A person's folder goes first, and may add to what is shipped."""
    segment = '[[segment]]\ndirection = "forward"\nspeed_kmh = 3\ntime = 90\n'
    (own / "training" / "first-minute.toml").write_text(
        HEAD.replace("mine", "first-minute") + segment
    )
    (own / "training" / "mine.toml").write_text(HEAD + segment)
    (own / "training" / "notes.txt").write_text("not a program")
    programs = load_programs()
    assert set(programs) == {*SHIPPED, "mine"}
    assert programs["first-minute"].name == "Mine"
    assert programs["mine"].segments[0].duration_s == 90.0


def test_repeat_walks_its_parts_again_and_again(own: Path) -> None:
    """``repeat = 2`` over two parts is four stretches, in order."""
    (own / "training" / "mine.toml").write_text(
        HEAD + '[[segment]]\nrepeat = 2\n[[segment.part]]\ndirection = "backward"\n'
        'speed_kmh = 2.0\ntime = "1:00"\n[[segment.part]]\ndirection = "backward"\n'
        'speed_kmh = 2.4\ntime = "0:30"\n'
    )
    segments = load_program("mine").segments
    assert [(s.speed_kmh, s.duration_s) for s in segments] == [(2.0, 60.0), (2.4, 30.0)] * 2


def test_a_repeated_mistake_is_told_once(own: Path) -> None:
    """A part that is wrong is wrong in every round; its line is named once."""
    findings = check(
        own,
        HEAD + '[[segment]]\nrepeat = 9\n[[segment.part]]\ndirection = "backward"\n'
        'speed_kmh = 4.5\ntime = "2:00"\ncues = ["B0"]\n',
    )
    assert [(found.line, found.key) for found in findings] == [
        (8, "segment 1.part 1.speed_kmh"),
        (10, "segment 1.part 1.cues"),
    ]


PLANTED = """\
id = "theirs"
name = "Theirs"
level = "L7"
sumary = "x"

[[segment]]
direction = "forwards"
speed_kmh = 2.0
time = "2:00"

[[segment]]
direction = "turn"
time = 0
cues = "T1"

[[segment]]
direction = "backward"
speed_kmh = nan
tme = "1:00"

[[segment]]
direction = "backward"
speed_kmh = "fast"
incline_pct = true
time = 02:00:00

[[segment]]
repeat = 0
[[segment.part]]
direction = "backward"
speed_kmh = -2
time = "1:70"

[[segment]]
direction = "backward"
speed_kmh = "comfort"
time = "1:00"

[[segment]]
direction = "backward"
speed_kmh = 2
time = "1:00"
incline_pct = -3
cues = ["B11"]

[[segment]]
direction = "turn"
speed_kmh = 1.2
time = "0:45"
"""


def test_twenty_planted_mistakes_are_twenty_findings(own: Path) -> None:
    """All at once, each on its own line, with its key and a word of what is allowed."""
    expected = [
        (1, "id", "must be the name of its file"),
        (3, "level", "there are: CARE, L0"),
        (4, "sumary", 'did you mean "summary"'),
        (7, "segment 1.direction", "must be one of 'backward'"),
        (13, "segment 2.time", "at least 1 second"),
        (14, "segment 2.cues", "must be a list"),
        (16, "segment 3.time", "is missing"),
        (18, "segment 3.speed_kmh", "must be km/h"),
        (19, "segment 3.tme", 'did you mean "time"'),
        (23, "segment 4.speed_kmh", 'or "comfort"'),
        (24, "segment 4.incline_pct", "must be a number"),
        (25, "segment 4.time", "this is a time of day"),
        (28, "segment 5.repeat", "at least 1"),
        (31, "segment 5.part 1.speed_kmh", "more than 0"),
        (32, "segment 5.part 1.time", 'such as "2:00"'),
        (34, "segment 6", "needs until_known_kmh"),
        (43, "segment 7.incline_pct", "backward downhill"),
        (43, "segment 7.incline_pct", "stretch before a turn"),
        (44, "segment 7.cues", 'no cue "B11"'),
        (48, "segment 8.speed_kmh", "at most 1 km/h"),
    ]
    assert len(expected) == 20
    findings = check(own, PLANTED)
    found = [(each.line, each.key) for each in findings]
    assert found == [(line, key) for line, key, _ in expected]
    for each, (_, _, words) in zip(findings, expected, strict=True):
        assert words in each.message, each


def test_rules_are_told_on_the_lines_they_come_from(own: Path) -> None:
    """A cap, a ramp that is too long, a missing turn: segment, key and value of the file."""
    findings = check(
        own,
        HEAD + '[[segment]]\ndirection = "forward"\nspeed_kmh = 6.0\ntime = "2:00"\n'
        '[[segment]]\ndirection = "backward"\nspeed_kmh = 2.0\ntime = "0:30"\n'
        '[[segment]]\ndirection = "backward"\nspeed_kmh = "comfort"\nuntil_known_kmh = 4.5\n'
        "time = 90\n",
    )
    assert [(each.line, each.key, each.value) for each in findings] == [
        (6, "segment 1.speed_kmh", "6.0"),
        (9, "segment 2.direction", '"backward"'),
        (11, "segment 2.time", '"0:30"'),
        (15, "segment 3.until_known_kmh", "4.5"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("", 1, "segment", "at least one segment"),
        ("segment = 3\n", 4, "segment", "must be a list"),
        ("segment = [1]\n", 4, "segment 1", "must be a table"),
        ("[segment]\ndirection = 'turn'\n", 4, "segment", "write [[segment]]"),
        ("[[segment]]\npart = []\n", 4, "segment 1.repeat", "is missing"),
        ("[[segment]]\nrepeat = 51\npart = [{}]\n", 5, "segment 1.repeat", "at most 50"),
        ("[[segment]]\nrepeat = 2\npart = []\n", 6, "segment 1.part", "at least one"),
        ("[[segment]]\nrepeat = 2\npart = [3]\n", 6, "segment 1.part 1", "must be a table"),
        ("[[segment]]\nrepeat = 2\npart = 3\n", 6, "segment 1.part", "must be a list"),
        (
            "[[segment]]\ndirection='forward'\nspeed_kmh=3\nuntil_known_kmh=3\ntime=60\n",
            4,
            "segment 1",
            'belongs to speed_kmh = "comfort"',
        ),
        (
            "[[segment]]\ndirection='forward'\nspeed_kmh=3\ntime=7201\n",
            7,
            "segment 1.time",
            "at most 2 hours",
        ),
        (
            "[[segment]]\ndirection='forward'\nspeed_kmh=3\ntime=inf\n",
            7,
            "segment 1.time",
            "number of seconds",
        ),
        (
            "[[segment]]\ndirection='forward'\nspeed_kmh=true\ntime=60\n",
            6,
            "segment 1.speed_kmh",
            "must be km/h",
        ),
        (
            "[[segment]]\ndirection='forward'\nspeed_kmh=3\ntime=60\nincline_pct=41\n",
            8,
            "segment 1.incline_pct",
            "at most 40",
        ),
        ("[[segment]\n", 4, "", "not TOML"),
    ],
)
def test_each_shape_of_mistake(own: Path, text: str, line: int, key: str, words: str) -> None:
    """A table of wrong shapes: the line, the key, and what is allowed."""
    findings = check(own, HEAD + text)
    assert (findings[0].line, findings[0].key) == (line, key)
    assert words in findings[0].message


def test_a_level_of_the_wrong_type(own: Path) -> None:
    """Only its type is at fault; caps are not judged without a level."""
    [found] = check(
        own,
        'id = "mine"\nname = "Mine"\nlevel = 3\n'
        '[[segment]]\ndirection = "backward"\nspeed_kmh = 20\ntime = 60\n',
    )
    assert (found.line, found.key, found.message) == (3, "level", "must be text in quotes")


def test_wrong_programs_stop_the_load_with_everything_named(own: Path) -> None:
    """Two bad files make one message with both."""
    (own / "training" / "one.toml").write_text(HEAD)
    (own / "training" / "two.toml").write_text("x = [")
    with pytest.raises(ProfileError, match=r"in 3 places") as caught:
        load_programs()
    assert "one.toml:1: id" in str(caught.value)
    assert "two.toml:1: not TOML" in str(caught.value)
    with pytest.raises(ProfileError, match=r"two\.toml:1: not TOML"):
        load_program("two")


def test_unknown_and_unreadable_programs(tmp_path: Path) -> None:
    """A misspelt id gets the nearest one; a file that is not there says so."""
    with pytest.raises(ProfileError, match='did you mean "first-minute"'):
        load_program("first-minut")
    with pytest.raises(ProfileError, match=r"cannot be read: No such file"):
        check_program_file(tmp_path / "none.toml")


# --- languages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ident", ["en", "de"])
def test_every_phrase_of_every_language_can_be_filled(ident: str) -> None:
    """Templates fill with the values they name, in each shipped language."""
    language = load_language(ident)
    assert language.id == ident
    assert set(language.cues) == load_cues()
    for name, phrase in language.phrases.items():
        filled = phrase.format_map(dict.fromkeys(placeholders(phrase), "VALUE"))
        assert filled, name
        assert ("VALUE" in filled) == bool(placeholders(phrase))


def test_the_core_says_nothing_without_words() -> None:
    """Every phrase that the core names stands in the language file; none is spoken as its name."""
    core = Path(data.__file__).parent / "core"
    source = "".join(file.read_text() for file in core.glob("*.py"))
    named = set(re.findall(r'"((?:announce|prompt|number)\.[a-z_]+)"', source))
    named |= {f"direction.{direction.value}" for direction in Direction}
    assert len(named) > 20
    assert named <= set(load_language("en").phrases)


def test_numbers_are_spoken_in_the_language() -> None:
    """1.4 is "1 point 4" to an English ear and "1 Komma 4" to a German one."""
    assert load_language("en").phrases["number.decimal"] == " point "
    assert load_language("de").phrases["number.decimal"] == " Komma "


def test_cues_are_those_of_the_programs() -> None:
    """F1 to S1: the names that program files may use."""
    bodies = {f"B{number}" for number in range(1, 8)}
    assert load_cues() == {"F1", "F2", "T1", "T2", "J1", "S1"} | bodies


def test_own_language_is_held_to_the_norm(own: Path) -> None:
    """A translation with a missing phrase would go silent in the middle of a session."""
    english = (data.shipped_profiles() / "languages" / "en.toml").read_text()
    translated = english.replace('id = "en"', 'id = "fr"')
    (own / "languages" / "fr.toml").write_text(translated)
    assert load_language("fr").phrases["announce.hold"]
    broken = translated.replace("\nhold = ", "\nhodl = ").replace("{speed_kmh}", "{vitesse}", 1)
    (own / "languages" / "fr.toml").write_text(broken)
    with pytest.raises(ProfileError) as caught:
        load_language("fr")
    message = str(caught.value)
    assert "announce.hold: is missing" in message
    assert 'announce.hodl: there is no such phrase; did you mean "hold"?' in message
    assert "not given the value vitesse" in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('id = "en"', 'id = "sv"', "must be the name of its file, xx"),
        ("{lead_s}", "{lead_s", "is not a template"),
        ("{lead_s}", "{}", "each brace must hold one plain name"),
        ("[prompt]", "[promt]", "promt: is not a known key"),
        ('tether = "Clip', 'tether = ["Clip"]\nx = "', "must be text in quotes"),
        ("[cues]", "[cues", "not TOML"),
    ],
)
def test_a_broken_language_is_refused(own: Path, old: str, new: str, words: str) -> None:
    """Wrong names, wrong templates, wrong shapes."""
    english = (data.shipped_profiles() / "languages" / "en.toml").read_text()
    text = english if old.startswith("id") else english.replace('id = "en"', 'id = "xx"')
    (own / "languages" / "xx.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ProfileError) as caught:
        load_language("xx")
    assert words in str(caught.value)


def test_unknown_and_unreadable_languages(own: Path) -> None:
    """There is none of that name, or it is no file that can be read."""
    with pytest.raises(ProfileError, match="there are: de, en"):
        load_language("xx")
    (own / "languages" / "xx.toml").symlink_to(own / "gone")
    with pytest.raises(ProfileError, match="there is no such language"):
        load_language("xx")


# --- where they lie ------------------------------------------------------------------------------


def test_the_wheels_profiles_go_before_the_checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed from a wheel, the package carries its profiles; a checkout has them beside it."""
    assert (data.shipped_profiles() / "levels.toml").is_file()
    (tmp_path / "profiles").mkdir()
    monkeypatch.setattr(data, "files", lambda _package: tmp_path)
    assert data.shipped_profiles() == tmp_path / "profiles"
    assert data.profile_files("training") == {}
