"""The safety text that every walker accepts once, and where their acceptance is written down.

Knows the text and the settings file; refuses to know sessions: the core only compares versions.
"""

from pathlib import Path

import tomlkit
from pydantic import Field
from tomlkit.exceptions import TOMLKitError

from bridge.core.errors import ConfigError
from bridge.data import shipped_profiles
from bridge.profiles import read_toml, shaped
from bridge.settings import Table


class SafetyText(Table):
    """What is shown, in one language."""

    title: str
    text: tuple[str, ...] = Field(strict=False)
    not_for_title: str
    not_for: tuple[str, ...] = Field(strict=False)
    question: str


class SafetyFile(Table):
    """profiles/safety.toml: its version, and the text in every language there is."""

    version: int = Field(ge=1)
    en: SafetyText
    de: SafetyText

    def in_language(self, language: str) -> SafetyText:
        """The text in this language, else in English."""
        text = getattr(self, language.partition("-")[0], None)
        return text if isinstance(text, SafetyText) else self.en


def load_safety_text() -> SafetyFile:
    """The shipped text. Raises `ProfileError`."""
    file = shipped_profiles() / "safety.toml"
    return shaped(file, read_toml(file), SafetyFile)


def write_acceptance(settings: Path, walker: str, version: int) -> None:
    """Put ``accepted_safety`` into this walker's table, keeping comments and order.

    A walker that has no table yet gets one; so does a settings file. Raises `ConfigError`.
    """
    try:
        before = settings.read_text(encoding="utf-8") if settings.exists() else ""
        document = tomlkit.parse(before)
        tables = document.setdefault("walker", tomlkit.aot())
        own = next((table for table in tables if table.get("id") == walker), None)
        if own is None:
            own = tomlkit.table()
            own["id"] = walker
            tables.append(own)
        own["accepted_safety"] = version
        settings.parent.mkdir(parents=True, exist_ok=True)
        fresh = settings.with_suffix(".new")
        fresh.write_text(tomlkit.dumps(document), encoding="utf-8")
        fresh.replace(settings)
    except (OSError, TOMLKitError) as error:
        raise ConfigError(f"{settings}: cannot be written: {error}") from None
