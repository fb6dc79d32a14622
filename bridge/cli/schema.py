"""``schema``: the JSON Schemas, for editors and for other people's programs."""

from importlib import import_module
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from bridge.cli.output import print_json

_MODELS = {
    "config": "bridge.settings:Settings",
    "program": "bridge.program_file:ProgramFile",
    "device": "bridge.device_profile:DeviceFile",
    "capture": "bridge.capture_file:Line",
    "level": "bridge.profiles:LevelsFile",
    "language": "bridge.profiles:LanguageFile",
}
"""Each schema's model; imported only when asked for."""


def schema(
    what: Annotated[
        Literal["config", "program", "device", "capture", "level", "language"],
        Parameter(
            help="config: the settings file; program: a training program; device: a device "
            "profile; capture: one line of a capture."
        ),
    ],
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json", help="Schemas are JSON anyway.")] = False,
) -> None:
    """Print a JSON Schema, for editors and programs.

    Editors that know it complete and check TOML files while you type.

    For example:

      retrowalk schema config
      retrowalk schema program > program.schema.json
    """
    del as_json
    print_json(json_schema(what))


def json_schema(what: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of file."""
    module, name = _MODELS[what].split(":")
    model = getattr(import_module(module), name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
        "title": f"Retrowalk {what}",
    }
