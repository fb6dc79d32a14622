"""The safety text: shown, accepted by a person, and written down without hurting the file."""

import io
from pathlib import Path

import pytest

from bridge.cli.app import main
from bridge.config import load_settings
from bridge.consent import load_safety_text, write_acceptance
from bridge.core.errors import ConfigError

MINE = """# my treadmill, do not touch
language = "en"

[[walker]]  # that is me
id = "me"
level = "L1"

[[treadmill]]
id = "garage"
name = "Sim"
"""


def typed(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Somebody types this."""
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))


def test_the_text_says_what_must_be_said() -> None:
    """Not an emergency stop, the tether, a lost link, not medical advice, and who should not."""
    file = load_safety_text()
    assert file.version >= 1
    said = " ".join(file.en.text)
    for what in ("not an emergency stop", "safety key", "link is lost", "not medical advice"):
        assert what in said
    assert len(file.en.not_for) == len(file.de.not_for) >= 9
    assert file.in_language("de-at") is file.de
    assert file.in_language("fr") is file.en


def test_yes_is_written_and_nothing_else_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Comments, order and the other tables stay; the walker counts as having accepted."""
    file = tmp_path / "config.toml"
    file.write_text(MINE, encoding="utf-8")
    typed(monkeypatch, "yes\n")
    assert main(["accept", "--config", str(file)]) == 0
    assert "not an emergency stop" in capsys.readouterr().out
    after = file.read_text(encoding="utf-8")
    assert after.replace("accepted_safety = 1\n", "") == MINE
    assert load_settings(file, {}).walker[0].accepted_safety == load_safety_text().version


@pytest.mark.parametrize("answer", ["", "no\n", "y\n", "yes please\n"])
def test_anything_else_accepts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Default is no: exit code 4 and not one byte changed."""
    file = tmp_path / "config.toml"
    file.write_text(MINE, encoding="utf-8")
    typed(monkeypatch, answer)
    assert main(["accept", "--config", str(file)]) == 4
    assert file.read_text(encoding="utf-8") == MINE


def test_a_walker_and_a_file_that_are_not_there_yet_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first thing somebody may do at all."""
    file = tmp_path / "new" / "config.toml"
    typed(monkeypatch, "yes\n")
    assert main(["accept", "--walker", "anna", "--config", str(file)]) == 0
    assert [(each.id, each.accepted_safety) for each in load_settings(file, {}).walker] == [
        ("anna", 1)
    ]


def test_what_cannot_be_used_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong id, a file that is no TOML, a folder that cannot be written."""
    typed(monkeypatch, "yes\n")
    assert main(["accept", "--walker", "Me!", "--config", str(tmp_path / "c.toml")]) == 2
    broken = tmp_path / "broken.toml"
    broken.write_text("[[walker]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_acceptance(broken, "me", 1)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_acceptance(broken / "below" / "config.toml", "me", 1)
