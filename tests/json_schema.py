"""As much of JSON Schema as our exported schemas use; a keyword that is not here is an error."""

from collections.abc import Callable
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
ANNOTATIONS = {"title", "description", "default", "$defs", "$schema"}

CHECKS: dict[str, Callable[[Any, Any], bool]] = {
    "type": lambda value, wanted: (
        isinstance(value, TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
    ),
    "enum": lambda value, wanted: value in wanted,
    "const": lambda value, wanted: value == wanted,
    "minimum": lambda value, wanted: value >= wanted,
    "exclusiveMinimum": lambda value, wanted: value > wanted,
    "maximum": lambda value, wanted: value <= wanted,
    "minLength": lambda value, wanted: len(value) >= wanted,
    "minItems": lambda value, wanted: len(value) >= wanted,
    "maxItems": lambda value, wanted: len(value) <= wanted,
    "required": lambda value, wanted: set(wanted) <= value.keys(),
}


def errors(value: Any, schema: dict[str, Any], defs: dict[str, Any], at: str = "") -> list[str]:
    """Where ``value`` is not what ``schema`` describes, and by which keyword."""
    found = [
        f"{at}: {keyword}"
        for keyword, wanted in schema.items()
        if keyword in CHECKS and not CHECKS[keyword](value, wanted)
    ]
    if found:
        return found
    if "$ref" in schema:
        found += errors(value, defs[schema["$ref"].rpartition("/")[2]], defs, at)
    if "anyOf" in schema and all(errors(value, one, defs, at) for one in schema["anyOf"]):
        found.append(f"{at}: anyOf")
    for inner, form, place in _parts(value, schema):
        found += (
            [f"{at}{place}: unknown"] if form is False else errors(inner, form, defs, at + place)
        )
    unread = schema.keys() - CHECKS.keys() - ANNOTATIONS
    assert unread <= {"$ref", "anyOf", "items", "prefixItems", "properties", "additionalProperties"}
    return found


def _parts(value: Any, schema: dict[str, Any]) -> list[tuple[Any, Any, str]]:
    """The elements of a list or table, each with its schema (``False``: must not be) and place."""
    if isinstance(value, list):
        forms = schema.get("prefixItems", []) or [schema.get("items", {})] * len(value)
        return [
            (one, form, f"[{number}]")
            for number, (one, form) in enumerate(zip(value, forms, strict=True))
        ]
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        return [(one, known.get(key, others), f".{key}") for key, one in value.items()]
    return []
