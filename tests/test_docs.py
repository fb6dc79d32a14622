"""The documents and the code say the same: every public name is documented, every name exists.

Documents are read as people write them: tables, backticks, links. Code is read from its source, so
that nothing heavy is imported, except where a default or an order must be known.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_core import PydanticUndefined

from bridge.cli.app import build_app
from bridge.cli.schema import _MODELS
from bridge.config import load_settings
from bridge.core.deck import PilotSettings, TurnStep
from bridge.core.messages import EventType, Outcome, Phase, Reason, Source, State, Verb
from bridge.core.session import TRANSITIONS
from bridge.core.turning import TURN_TRANSITIONS
from bridge.payloads import parse_command
from bridge.profiles import check_program_file, load_levels
from bridge.settings import Settings, Table
from bridge.simulator.habits import FAULT_FORMS
from tests.virtual import Walk, settings

if TYPE_CHECKING:
    from cyclopts import App

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def page(name: str) -> str:
    """The text of one document."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its rank or above."""
    rank = len(heading) - len(heading.lstrip("#"))
    _, found, rest = f"\n{text}".partition(f"\n{heading}\n")
    assert found, f"no heading {heading!r}"
    return re.split(rf"\n#{{1,{rank}}} ", without_fences(rest))[0]


def without_fences(text: str) -> str:
    """The prose alone: a comment in a shell example is no heading."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without the heads."""
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("|") and "---" not in line and "---" not in following:
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def names(text: str) -> list[str]:
    """What stands in backticks in the first cell of every row."""
    return [name for row in rows(text) for name in re.findall(r"`([^`]+)`", row[0])]


def fences(text: str, language: str) -> list[str]:
    """The code blocks of one language, without their indentation."""
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in blocks]


# --- the command line ----------------------------------------------------------------------------


def commands(app: "App", path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Every command by its words, with its options."""
    inner = [name for name in app if not name.startswith("-")]
    for name in inner:
        yield from commands(app[name], (*path, name))
    if path and not inner:
        options = [
            option
            for argument in app.assemble_argument_collection()
            for option in argument.names
            if option.startswith("--") and not option.startswith(("--no-j", "--empty-"))
        ]
        yield path, options


COMMANDS = dict(commands(build_app()))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_option_is_documented(words: tuple[str, ...]) -> None:
    """docs/commands.md has a heading for each command and a row for each of its options."""
    heading = f"{'#' * (1 + len(words))} `retrowalk {' '.join(words)}`"
    text = section(page("docs/commands.md"), heading)
    documented = [name for name in names(text) if name.startswith("--")]
    assert sorted(documented) == sorted(COMMANDS[words])


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_every_example_command_parses(document: Path) -> None:
    """A line that begins with retrowalk in a shell block is one that the command line accepts."""
    for block in fences(document.read_text(encoding="utf-8"), "sh"):
        for line in block.splitlines():
            if line.startswith("retrowalk "):
                tokens = re.split(r"\s[<>]\s", line)[0].split()[1:]
                build_app().parse_args(tokens, exit_on_error=False, print_error=False)


def test_every_fault_and_schema_is_documented() -> None:
    """docs/commands.md lists what simulate and schema take, and nothing else."""
    text = page("docs/commands.md")
    _, listed = text.split("Faults, on the command line", 1)
    assert re.findall(r"`([^`]+)`", listed.split("\n", 2)[1]) == list(FAULT_FORMS)
    sentence = next(line for line in text.splitlines() if line.startswith("JSON Schemas"))
    assert re.findall(r"`([^`]+)`", sentence) == list(_MODELS)


def test_every_make_target_is_documented() -> None:
    """ARCHITECTURE.md has a row for each target that the Makefile explains, and no other."""
    explained = re.findall(r"^([a-z-]+):.*##", page("Makefile"), flags=re.MULTILINE)
    documented = names(section(page("ARCHITECTURE.md"), "## Working on it"))
    assert sorted(documented) == sorted(f"make {target}" for target in explained)


# --- the settings --------------------------------------------------------------------------------


def tables() -> Iterator[tuple[str, type[Table]]]:
    """Every table of the settings, by its heading in docs/settings.md."""
    yield "## Top level", Settings
    for name, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Table):
            yield f"## `[{name}]`", model
        elif (inner := getattr(model, "__args__", (None,))[0]) is not None:
            yield f"## `[[{name}]]`", inner


TABLES = dict(tables())


def default(value: object) -> str:
    """A default as the documents write it."""
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{item}"' for item in value) + "]`"
    return f"`{value}`"


@pytest.mark.parametrize("heading", TABLES)
def test_every_setting_is_documented_with_its_default(heading: str) -> None:
    """docs/settings.md has a row for each key, in order, with the default that the code has."""
    written = {
        row[0].strip("`"): row[1] for row in rows(section(page("docs/settings.md"), heading))
    }
    keys = {
        name: default(field.get_default(call_default_factory=True, validated_data={}))
        for name, field in TABLES[heading].model_fields.items()
        if heading != "## Top level" or f"[{name}]" not in " ".join(TABLES)
    }
    assert list(written.items()) == list(keys.items())


def test_the_settings_examples_work(tmp_path: Path) -> None:
    """Every settings file shown in the documents is read without a complaint."""
    shown = [*fences(page("README.md"), "toml"), *fences(page("docs/commands.md"), "toml")]
    assert len(shown) == 2
    for number, text in enumerate(shown):
        file = tmp_path / f"{number}.toml"
        file.write_text(text, encoding="utf-8")
        read = load_settings(file, {})
        assert read.treadmill[0].id == "garage"
        assert (
            read.walker[0].accepted_safety
            == PilotSettings.__dataclass_fields__["safety_version"].default
        )


# --- programs and levels -------------------------------------------------------------------------


def test_the_program_example_is_right(tmp_path: Path) -> None:
    """The program that docs/programs.md shows passes the check; its repeat is TOML."""
    example, repeated = fences(page("docs/programs.md"), "toml")
    file = tmp_path / "my-minute.toml"
    file.write_text(example, encoding="utf-8")
    assert check_program_file(file).findings == ()
    assert tomllib.loads(repeated)["segment"][0]["repeat"] == 3


def test_the_keys_of_a_program_are_documented() -> None:
    """docs/programs.md names every key of a program file."""
    from bridge.program_file import ProgramFile, SegmentEntry

    written = names(section(page("docs/programs.md"), "## Keys"))
    keys = [*ProgramFile.model_fields, *SegmentEntry.model_fields]
    assert sorted(written) == sorted(key for key in keys if key != "segment")


def test_the_levels_are_as_documented() -> None:
    """The numbers in docs/programs.md are those of profiles/levels.toml."""
    written = rows(section(page("docs/programs.md"), "## Levels"))
    assert written == [
        [
            f"`{level.id}`",
            level.name,
            f"{level.backward_max_kmh:g}",
            f"{level.forward_max_kmh:g}",
            "–" if level.lateral_max_kmh is None else f"{level.lateral_max_kmh:g}",  # noqa: RUF001 - a dash in a table
            f"{level.step_kmh:g}",
            f"{level.ramp_up_backward_kmh_per_s:g}",
            f"{level.ramp_down_kmh_per_s:g}",
            f"{level.incline_max_pct:g} %",
            f"{level.warn_up_s:g} / {level.warn_down_s:g} s",
        ]
        for level in load_levels().values()
    ]


# --- MQTT ----------------------------------------------------------------------------------------


def mqtt(heading: str) -> list[str]:
    """The names that a section of docs/mqtt.md lists."""
    return names(section(page("docs/mqtt.md"), heading))


def test_every_verb_outcome_and_reason_is_documented() -> None:
    """The closed lists of commands, results and reasons."""
    assert mqtt("## Commands") == [verb.value for verb in Verb]
    assert mqtt("## Results") == [outcome.value for outcome in Outcome]
    assert sorted(mqtt("## Reasons")) == sorted(reason.value for reason in Reason)


def test_every_event_is_documented() -> None:
    """The closed list of event types."""
    assert mqtt("## Events") == [kind.value for kind in EventType]


def test_every_key_of_the_state_is_documented() -> None:
    """The state's keys in the order in which they are published, and every phase."""
    envelope = ["schema", "at", "treadmill"]
    phases = [phase.value for phase in Phase]
    assert mqtt("## State") == [*envelope, *State.__dataclass_fields__, *phases]


@pytest.mark.parametrize("kind", [EventType, Reason])
def test_what_is_not_sent_yet_says_so(kind: type[EventType] | type[Reason]) -> None:
    """A row ends with "(not sent yet)" exactly when no code but the list itself names its value."""
    sources = [path.read_text() for path in sources_of("bridge") if path.name != "messages.py"]
    unused = {
        each.value
        for each in kind
        if not any(re.search(rf"\b{kind.__name__}\.{each.name}\b", text) for text in sources)
    }
    heading = "## Events" if kind is EventType else "## Reasons"
    listed = rows(section(page("docs/mqtt.md"), heading))
    assert {row[0].strip("`") for row in listed if "(not sent yet)" in row[1]} == unused


def test_the_commands_shown_are_understood() -> None:
    """Bodies in the table of commands and in the examples are read as what they should be."""
    from bridge.clock import utc_now

    for row in rows(section(page("docs/mqtt.md"), "## Commands")):
        verb = Verb(row[0].strip("`"))
        bodies = re.findall(r"`([^`]+)`", f"{row[1]} {row[2]}")
        for body in [
            *(b for b in bodies if b[0] in '{n"0123456789'),
            *([""] * ("nothing" in row[2])),
        ]:
            command = parse_command(
                verb, body.encode(), retained=False, source=Source.MQTT, now=utc_now()
            )
            assert not command.malformed, (verb, body)


# --- links, files and names ----------------------------------------------------------------------


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    kept = re.sub(r"[^\w\s-]", "", heading.lower())
    return re.sub(r"\s", "-", kept.strip())


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_no_link_is_broken(document: Path) -> None:
    """A link to a file or a heading of ours leads somewhere."""
    text = without_fences(document.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        assert file.exists(), target
        if anchor:
            other = without_fences(file.read_text(encoding="utf-8"))
            headings = re.findall(r"^#+ (.+)$", other, flags=re.MULTILINE)
            assert anchor in [slug(heading) for heading in headings], target


def sources_of(folder: str) -> list[Path]:
    """Python files below a folder of ours."""
    return sorted((ROOT / folder).rglob("*.py"))


@cache
def definitions() -> dict[str, set[str]]:
    """What every module and every class defines, by the module's or the class's own name."""
    found: dict[str, set[str]] = {}

    def note(owner: str, body: list[ast.stmt]) -> None:
        mine = found.setdefault(owner, set())
        for node in body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    mine.add(node.name)
                case ast.ClassDef():
                    mine.add(node.name)
                    note(node.name, node.body)
                case ast.Assign():
                    mine.update(
                        target.id for target in node.targets if isinstance(target, ast.Name)
                    )
                case ast.AnnAssign(target=ast.Name() as target):
                    mine.add(target.id)
                case _:
                    pass

    for path in sources_of("bridge"):
        note(path.stem, ast.parse(path.read_text(encoding="utf-8")).body)
    return found


FOREIGN = {"asyncio", "retrowalk", "garage", "speed", "write_gatt_char", "if", "1.5"}
"""Names in ARCHITECTURE.md that are not ours: other libraries', and the example's values."""

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def exists(name: str) -> bool:
    """Whether this dotted name is defined: module.function, module.Class.method, Class.method."""
    known = definitions()
    *owners, last = name.split(".")
    if last not in known.get(owners[-1], set()):
        return False
    return len(owners) == 1 or owners[-1] in known.get(owners[0], set())


def unknown_names(text: str) -> list[str]:
    """What stands in backticks or in a drawing as a name of ours, and is none."""
    ours = set().union(*definitions().values()) | definitions().keys()
    listed = {value.value for kind in (Phase, Outcome, TurnStep, Verb) for value in kind}
    unknown = []
    for quoted in re.findall(r"`([^`\n]+)`", without_fences(text)):
        if "/" in quoted or quoted.endswith(".md"):
            if not quoted.startswith("retrowalk/") and not (ROOT / quoted).exists():
                unknown.append(quoted)
        elif re.fullmatch(_DOTTED, quoted):
            unknown += [] if exists(quoted) else [quoted]
        elif re.fullmatch(r"[A-Za-z_]\w*", quoted) and quoted not in ours | listed | FOREIGN:
            unknown.append(quoted)
    for drawing in fences(text, ""):
        unknown += [name for name in re.findall(_DOTTED, drawing) if not exists(name)]
        words = re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", drawing)
        unknown += [word for word in words if word not in ours]
    return unknown


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "docs/safety.md"])
def test_every_name_exists(name: str) -> None:
    """Files, functions, classes and constants that the document names are there."""
    text = page(name).replace("../", "")
    if name == "docs/safety.md":
        text = section(text, "## The rules, and where each is enforced")
    assert unknown_names(text) == []


def test_every_room_is_in_the_table() -> None:
    """ARCHITECTURE.md names each module of the core and each edge, or the folder it is in."""
    written = set(names(section(page("ARCHITECTURE.md"), "## Rooms")))
    modules = [*ROOT.glob("bridge/*.py"), *ROOT.glob("bridge/core/*.py")]
    folders = [path.parent for path in ROOT.glob("bridge/*/__init__.py")]
    rooms = {str(path.relative_to(ROOT)) for path in modules + folders}
    without = {"bridge/__init__.py", "bridge/core/__init__.py", "bridge/core"}
    assert written == rooms - without


def test_the_core_is_layered_as_drawn() -> None:
    """Each room of the core imports only rooms that stand above it in the table."""
    order = [
        Path(name).stem
        for name in names(section(page("ARCHITECTURE.md"), "## Rooms"))
        if name.startswith("bridge/core/")
    ]
    for number, room in enumerate(order):
        source = page(f"bridge/core/{room}.py")
        imported = re.findall(r"^from bridge\.core\.(\w+) import", source, flags=re.MULTILINE)
        for line in re.findall(r"^from bridge\.core import (.+)$", source, flags=re.MULTILINE):
            imported += [name.strip() for name in line.split(",")]
        assert [name for name in imported if name not in order[:number]] == [], room


def test_every_safety_rule_has_a_row() -> None:
    """S1 to S23, each with what enforces it; the code cites no rule beyond them."""
    listed = rows(section(page("docs/safety.md"), "## The rules, and where each is enforced"))
    assert [row[0] for row in listed] == [f"S{number}" for number in range(1, 24)]
    assert all("`" in row[2] for row in listed)
    cited = {
        rule
        for path in sources_of("bridge")
        for rule in re.findall(r"\bS\d\d?\b", path.read_text())
    }
    assert cited <= {row[0] for row in listed}


# --- tables drawn from the code ------------------------------------------------------------------


def drawn(caption: str) -> dict[tuple[str, str], str]:
    """A table of states in ARCHITECTURE.md as (state, trigger) to state."""
    _, text = page("ARCHITECTURE.md").split(caption, 1)
    return {
        (row[0].strip("`"), trigger.strip()): after
        for row in rows(text.lstrip().split("\n\n", 1)[0])
        for trigger, after in re.findall(r"([a-z ]+?) → `([a-z ]+)`", row[1])
    }


def test_the_states_are_drawn_as_they_are() -> None:
    """The tables of states are those that run."""
    assert drawn("`session.TRANSITIONS`:") == {
        (phase.value, trigger.value): after.value for (phase, trigger), after in TRANSITIONS.items()
    }
    assert drawn("`turning.TURN_TRANSITIONS`:") == {
        (step.value, trigger): after.value for (step, trigger), after in TURN_TRANSITIONS.items()
    }


# --- one speed command, followed -----------------------------------------------------------------


def calls_of(act: Any) -> list[str]:
    """Functions of the core in the order in which ``act`` first calls them, by qualified name."""
    called: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and "/bridge/core/" in code.co_filename:
            called.setdefault(f"{Path(code.co_filename).stem}.{code.co_qualname}")

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return list(called)


def test_a_speed_command_goes_the_way_that_is_told() -> None:
    """The functions named in "One speed command" are called in that order, and the bytes leave."""
    text = section(page("ARCHITECTURE.md"), "## One speed command, function by function")
    told = [
        name
        for line in re.findall(r"^\d+\. (.+)$", text, flags=re.MULTILINE)
        for name in re.findall(rf"`({_DOTTED.pattern})`", line)
    ]
    walk = Walk(settings=settings("L0"))
    walk.arm()
    walk.run_until(lambda here: here.state.speed_kmh == 2.0)
    walk.run_for(5)  # the last write is over a second ago, so the next may leave at once
    walk.writes.clear()
    called = calls_of(lambda: walk.ask(Verb.SPEED, speed_kmh=1.5))
    inside = [name for name in told if (ROOT / "bridge/core" / f"{name.split('.')[0]}.py").exists()]
    assert len(inside) >= 14
    assert [name for name in called if name in inside] == inside
    walk.run_until(lambda here: here.state.speed_kmh == 1.5)
    sent = [payload.hex(" ") for _, payload in walk.writes]
    assert (sent[0], sent[-1]) == ("02 be 00", "02 96 00")
    assert all(f"`{octets}`" in text for octets in (sent[0], sent[-1]))
