"""The form of a capture: JSON Lines, a header and then what happened, each with its time.

    {"type":"header","schema":1,"device":"...","reads":{"2ad4":"640020030a00"}}
    {"t":0.0,"dir":"rx","op":"notify","characteristic":"2acd","hex":"8c05..."}
    {"t":1.2,"dir":"tx","op":"write_req","characteristic":"2ad9","hex":"00"}
    {"t":1.3,"event":"command","data":{"verb":"stop", ...}}
    {"t":1.5,"event":"tick"}

``t`` is seconds from the start. Frames alone are what a treadmill said; with events, a capture of
our own holds everything that a pilot was given, and so reproduces what it did. Addresses, serial
numbers and the tails of names are never in it. Refuses to know what frames mean.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    model_validator,
)

from bridge.core.errors import CaptureError

SCHEMA = 1
_TAIL = re.compile(r"[0-9A-F]{4,}", re.IGNORECASE)


def _hex(value: str) -> str:
    bytes.fromhex(value)
    return value


Uuid16 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{4}$")]
Hex = Annotated[str, AfterValidator(_hex)]
Time = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Header(BaseModel):
    """What was captured; ``pilot`` is who drove, where somebody did.

    Other people's headers may hold more; it is kept and not looked at.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    type: Literal["header"]
    schema_: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)] = SCHEMA
    device: str = ""
    captured_at: str = ""
    reads: dict[Uuid16, Hex] = Field(default_factory=dict)
    pilot: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _old_form(cls, values: Any) -> Any:
        """Ranges as keys of the header itself, as captures from elsewhere have them."""
        if not isinstance(values, dict) or "reads" in values:
            return values
        reads = {key: value for key, value in values.items() if re.fullmatch(r"2a[cd]\w", key)}
        return {**values, "reads": reads}


class Frame(BaseModel):
    """Bytes of one characteristic: ``rx`` from the machine, ``tx`` to it.

    Captures from elsewhere carry more keys (what the console showed); they are not looked at.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    t: Time | None = None
    dir: Literal["rx", "tx"]
    op: Literal["notify", "indicate", "read", "write_req", "write_cmd"]
    characteristic: Uuid16
    hex: Hex
    decoded: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _right_way(self) -> Self:
        if (self.dir == "tx") != self.op.startswith("write"):
            raise ValueError(f'op "{self.op}" does not go with dir "{self.dir}"')
        return self

    @property
    def payload(self) -> bytes:
        """The bytes."""
        return bytes.fromhex(self.hex)


class Happening(BaseModel):
    """Anything else: what people did, the link, notes from elsewhere."""

    model_config = ConfigDict(extra="allow", frozen=True)

    t: Time
    event: str
    data: dict[str, Any] = Field(default_factory=dict)


Item = Frame | Happening


class Line(RootModel[Header | Frame | Happening]):
    """Any line of a capture: the first is a header."""


def read_capture(path: Path) -> tuple[Header, list[Item]]:
    """A whole capture. Raises `CaptureError` that names the first line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CaptureError(f"{path}: cannot be read: {error}") from None
    if not lines:
        raise CaptureError(f"{path}: is empty; a capture begins with a header line")
    header = _line(path, 1, lines[0], Header)
    assert isinstance(header, Header)
    return header, list(_items(path, lines[1:]))


def _items(path: Path, lines: Iterable[str]) -> Iterator[Item]:
    last_s = 0.0
    for number, text in enumerate(lines, start=2):
        item = _line(path, number, text, Frame if '"dir"' in text else Happening)
        assert isinstance(item, (Frame, Happening))
        if item.t is not None and item.t < last_s:
            raise CaptureError(f"{path}:{number}: t goes back from {last_s:g} to {item.t:g}")
        last_s = last_s if item.t is None else item.t
        yield item


def _line(path: Path, number: int, text: str, form: type[BaseModel]) -> BaseModel:
    try:
        return form.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        cut = "; is the file cut short?" if error.pos >= len(text) - 1 else ""
        raise CaptureError(f"{path}:{number}: not a line of JSON: {error.msg}{cut}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "line"
        raise CaptureError(f"{path}:{number}: {where}: {first['msg']}") from None


def scrubbed_name(name: str) -> str:
    """A machine's name without what tells one machine from its sisters.

    ``FS-D9D0A1`` becomes ``FS-XXXXXX``: matching by maker and model still works.
    """
    return _TAIL.sub(
        lambda tail: "X" * len(tail[0]) if any(c.isdigit() for c in tail[0]) else tail[0], name
    )
