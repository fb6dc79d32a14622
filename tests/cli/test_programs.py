"""`bridge.cli.programs` and `schema`: what there is to train, and the form of its files."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge import data
from bridge.cli.app import main
from bridge.cli.schema import json_schema

GOOD = """\
id = "mine"
name = "Mine"
level = "L0"
[[segment]]
direction = "forward"
speed_kmh = 2.0
time = "1:00"
"""


@pytest.fixture(autouse=True)
def _no_own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "own_folder", lambda: tmp_path / "own")


def printed(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    """The one JSON document that a command prints."""
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """One row a program, with level, total and backward time."""
    assert main(["programs", "list"]) == 0
    rows = [line.split()[:4] for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["id", "level", "total", "backward"]
    assert ["first-minute", "L0", "9:00", "2:00"] in rows
    assert ["retro-ten", "L1", "15:30", "10:00"] in rows


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The same as data, in seconds."""
    listed = {program["id"]: program for program in printed(["programs", "list"], capsys)}
    assert listed["first-minute"]["duration_s"] == 540
    assert listed["first-minute"]["backward_s"] == 120


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    """Every stretch, and what the program rests on."""
    assert main(["programs", "show", "retro-ten"]) == 0
    shown = capsys.readouterr().out
    assert "3  backward   comfort (2.4)  0  10:00  B1 B2 B3 B4 B5" in shown
    assert "Total 15:30, backward 10:00." in shown
    assert "randomised trial" in shown


def test_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Segments with the names of the core's record."""
    shown = printed(["programs", "show", "first-minute"], capsys)
    assert len(shown["segments"]) == 9
    assert shown["segments"][2] == {
        "direction": "backward",
        "duration_s": 60.0,
        "speed_kmh": 1.0,
        "incline_pct": 0.0,
        "relative": None,
        "cues": ["B1"],
    }


def test_show_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the nearest id."""
    assert (
        'did you mean "first-minute"'
        in printed(["programs", "show", "fist-minute"], capsys, code=2)["error"]
    )


def test_check_a_right_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, in words and as JSON."""
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    assert main(["programs", "check", str(file)]) == 0
    assert "Mine is right: 1:00, 0:00 of it backward" in capsys.readouterr().out
    assert printed(["programs", "check", str(file)], capsys) == {
        "file": str(file),
        "ok": True,
        "program": "mine",
        "findings": [],
    }


def test_check_a_wrong_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, every error with its line."""
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace("2.0", "4.5").replace('"L0"', '"L0"\nnme = 1'))
    assert main(["programs", "check", str(file)]) == 2
    assert capsys.readouterr().out.splitlines() == [
        f'{file}:4: nme: is not a known key; did you mean "name"?',
        f"{file}:7: segment 1.speed_kmh = 4.5: level L0 goes at most 4 km/h forward",
    ]
    checked = printed(["programs", "check", str(file)], capsys, code=2)
    assert checked["ok"] is False
    assert [found["line"] for found in checked["findings"]] == [4, 7]
    assert checked["findings"][1]["value"] == "4.5"


def test_check_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is wrong input, too."""
    checked = printed(["programs", "check", str(tmp_path / "none.toml")], capsys, code=2)
    assert "cannot be read" in checked["error"]


@pytest.mark.parametrize("what", ["config", "program", "device", "level", "language"])
def test_schema(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is one JSON Schema that knows its keys and forbids others."""
    assert main(["schema", what]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == f"Retrowalk {what}"
    assert schema["additionalProperties"] is False
    assert printed(["schema", what], capsys) == schema


def test_the_schema_of_a_capture_is_of_any_of_its_lines() -> None:
    """A header, a frame or something that happened."""
    schema = json_schema("capture")
    lines = {each["$ref"].rpartition("/")[2] for each in schema["anyOf"]}
    assert lines == {"Header", "Frame", "Happening"}


def test_schema_lets_a_turn_go_without_a_speed() -> None:
    """What the reader fills in, the schema must not ask for."""
    segment = json_schema("program")["$defs"]["SegmentEntry"]
    assert set(segment["required"]) == {"direction", "time"}
