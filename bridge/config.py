"""The settings of a bridge: one TOML file, environment variables above it, secrets beside it.

Everything has a default, so that no file at all is a valid setting. Every mistake is found at once
and reported with its file, line, key and value. Knows nothing of what the settings are for, and no
secret ever leaves it as plain text.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bridge import data
from bridge.core.errors import ConfigError
from bridge.core.messages import Direction, Level, Walker
from bridge.environment import Overlay, overlay
from bridge.findings import Finding, Locate, finding, from_pydantic, report, unknown_name
from bridge.settings import Settings, WalkerSettings
from bridge.toml_lines import Path as KeyPath
from bridge.toml_lines import TomlSyntaxError, TomlText, parse

CONFIG_VARIABLE = "RETROWALK_CONFIG"
FILE_NAME = "config.toml"


def settings_path(config: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The settings file: the one given, else ``$RETROWALK_CONFIG``, else the platform's."""
    named = config or environ.get(CONFIG_VARIABLE)
    return Path(named).expanduser() if named else data.own_folder() / FILE_NAME


def load_settings(config: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read and check the settings. Raises `ConfigError` that tells everything that is wrong.

    Only the platform's own file may be missing; a file that somebody named must be there.
    Relative paths in the settings, also from the environment, start at the settings file's folder.
    """
    path = settings_path(config, environ)
    named = config is not None or bool(environ.get(CONFIG_VARIABLE))
    text = _read(path, must_exist=named)
    above = overlay(text.data, environ, Settings)

    def locate(key: KeyPath) -> tuple[str, int | None]:
        variable = above.variable(key)
        return (variable, None) if variable else (str(path), text.line(key))

    findings = list(above.findings)
    findings += _resolve_secrets(above, path.parent, locate)
    settings = _validated(above.data, path.parent, locate, findings)
    if settings is not None:
        findings += _cross_checks(settings, locate)
    if settings is None or findings:
        raise ConfigError(report("the settings are wrong", findings))
    return settings


def _read(path: Path, *, must_exist: bool) -> TomlText:
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        if not must_exist:
            return TomlText({}, {})
        raise ConfigError(f"there is no settings file {path}") from None
    except OSError as error:
        raise ConfigError(f"the settings cannot be read: {path}: {error.strerror}") from None
    except TomlSyntaxError as error:
        raise ConfigError(f"the settings are not TOML: {path}:{error.line}: {error}") from None


def _validated(
    data: dict[str, Any], folder: Path, locate: Locate, findings: list[Finding]
) -> Settings | None:
    try:
        return Settings.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        findings += from_pydantic(error, Settings, locate)
        return None


# --- secrets -------------------------------------------------------------------------------------

SECRETS = (("mqtt", "password"), ("web", "token"))
"""Every secret; each may be given as it is or, better, as ``<key>_file``."""


def _resolve_secrets(above: Overlay, folder: Path, locate: Locate) -> list[Finding]:
    """Put the content of each ``_file`` in its secret's place. Relative to the settings file."""
    findings = []
    for table_name, key in SECRETS:
        table = above.data.get(table_name)
        name = table.get(f"{key}_file") if isinstance(table, dict) else None
        if not isinstance(table, dict) or not isinstance(name, str) or not name:
            continue
        path = (table_name, f"{key}_file")
        if table.get(key):
            findings.append(finding(path, name, f"give this or {key}, not both", locate))
            continue
        try:
            secret = (folder / Path(name).expanduser()).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8 text"
            findings.append(finding(path, name, f"cannot be read: {why}", locate))
            continue
        if not secret:
            findings.append(finding(path, name, "is an empty file; it must hold a secret", locate))
        table[key] = secret
    return findings


# --- what one table says of another --------------------------------------------------------------


def _cross_checks(settings: Settings, locate: Locate) -> list[Finding]:
    findings = _repeated(settings, locate)
    walkers = [walker.id for walker in settings.walker]
    for number, treadmill in enumerate(settings.treadmill):
        name = treadmill.walker
        if name is not None and name not in walkers:
            path = ("treadmill", number, "walker")
            findings.append(finding(path, name, unknown_name(name, "walker", walkers), locate))
    if not settings.web.is_loopback and settings.web.token is None:
        message = "anything but loopback needs web.token_file (a file with a long random word)"
        findings.append(finding(("web", "listen"), settings.web.listen, message, locate))
    if settings.bluetooth.backend == "bumble" and not settings.bluetooth.transport:
        message = 'the bumble backend needs bluetooth.transport, for example "usb:0"'
        findings.append(finding(("bluetooth", "backend"), "bumble", message, locate))
    return findings


def _repeated(settings: Settings, locate: Locate) -> list[Finding]:
    """Ids name topics and records; two entries with one address would drive one belt twice."""
    unique: dict[tuple[str, str], list[str | None]] = {
        ("walker", "id"): [walker.id for walker in settings.walker],
        ("treadmill", "id"): [treadmill.id for treadmill in settings.treadmill],
        ("treadmill", "address"): [treadmill.address for treadmill in settings.treadmill],
    }
    findings = []
    for (table, key), values in unique.items():
        for number, value in enumerate(values):
            first = values.index(value)
            if value is not None and first != number:
                message = f"must be unique; {table} {first + 1} has it already"
                findings.append(finding((table, number, key), value, message, locate))
    return findings


# --- into the core -------------------------------------------------------------------------------


def walker_record(walker: WalkerSettings, levels: Mapping[str, Level]) -> Walker:
    """The core's record of a walker. ``levels`` are those of `bridge.profiles.load_levels`."""
    return Walker(
        id=walker.id,
        level=levels[walker.level],
        mass_kg=walker.mass_kg,
        accepted_safety=walker.accepted_safety,
        comfort_kmh=walker.comfort_kmh,
        max_speed_kmh=walker.max_speed_kmh,
        heart_limit_bpm=walker.heart_limit_bpm,
        proven_kmh=tuple((Direction(name), speed) for name, speed in walker.proven_kmh.items()),
    )
