"""``decode``: what a payload says, for one on the command line or a stream of them."""

import json
import math
import sys
from collections.abc import Mapping
from typing import Annotated, Any, BinaryIO, TextIO

from cyclopts import Parameter

from bridge.cli.exit_codes import UsageError
from bridge.cli.output import print_json, say
from bridge.core.errors import DecodeError

_LONGEST_TEXT = 200  # of an unreadable line, enough to find it again


def decode(
    characteristic: Annotated[
        str | None, Parameter(help='16-bit UUID such as 2acd, or "1826-service-data".')
    ] = None,
    payload: Annotated[str | None, Parameter(name="hex", help="The payload in hex.")] = None,
    /,
    *,
    jsonl: Annotated[bool, Parameter(help="Read one JSON object a line from stdin.")] = False,
    as_json: Annotated[bool, Parameter(name="--json", help="Print JSON.")] = False,
) -> None:
    """Decode FTMS payloads, one frame as it is.

    With --jsonl, each line of stdin is an object with "characteristic" and
    "hex"; it comes back with "decoded" or "error" added. A bad line gets an
    "error" of its own and never ends the stream.

    For example:

      retrowalk decode 2acd 0400c800000000
      retrowalk decode 2ad4 640020030a00 --json
      retrowalk decode --jsonl < capture.jsonl
    """
    if jsonl:
        if characteristic is not None or as_json:
            raise UsageError("--jsonl reads stdin and prints JSON lines: give nothing else")
        decode_stream(sys.stdin.buffer, sys.stdout)
        return
    if characteristic is None or payload is None:
        raise UsageError(
            "give a characteristic and a payload, for example: decode 2ad4 640020030a00"
        )
    decoded = _decoded({"characteristic": characteristic, "hex": payload})
    if as_json:
        print_json({"characteristic": characteristic, "hex": payload, "decoded": decoded})
        return
    for name, value in decoded.items():
        say(f"{name} = {json.dumps(value, ensure_ascii=False)}")


def decode_stream(lines: BinaryIO, out: TextIO) -> None:
    """One line out for each line in, each sent on at once."""
    for number, raw in enumerate(lines, start=1):
        out.write(decoded_line(raw, number) + "\n")
        out.flush()


def decoded_line(raw: bytes, number: int) -> str:
    """The answer to one line; ``number`` tells a line that cannot be read from the others."""
    try:
        entry = _entry(raw)
    except DecodeError as error:
        text = raw.decode("utf-8", errors="replace").strip()[:_LONGEST_TEXT]
        return json.dumps({"error": str(error), "line": number, "text": text})
    try:
        found: dict[str, object] = {"decoded": _decoded(entry)}
    except DecodeError as error:
        found = {"error": str(error)}
    # A line that was decoded before carries an old answer, which must not stand beside the new.
    kept = {key: value for key, value in entry.items() if key not in {"decoded", "error"}}
    return json.dumps(kept | found)


def _entry(raw: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(raw.decode("utf-8"), parse_constant=_no_number, parse_float=_finite)
    except UnicodeDecodeError:
        raise DecodeError("the line is not UTF-8") from None
    except RecursionError:
        raise DecodeError("the line is nested too deeply") from None
    except ValueError as error:
        raise DecodeError(f"the line is not JSON: {error}") from None
    if not isinstance(entry, dict):
        raise DecodeError("the line is not a JSON object")
    return entry


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is out of range")
    return value


def _decoded(entry: Mapping[str, Any]) -> dict[str, object]:
    from bridge.core.decode import decode as decode_payload  # noqa: PLC0415 - for a quick --help

    for key in ("characteristic", "hex"):
        if not isinstance(entry.get(key), str):
            raise DecodeError(f'"{key}" must be there and be text')
    return decode_payload(entry["characteristic"], _octets(entry["hex"]))


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text.strip().removeprefix("0x").replace(":", ""))
    except ValueError:
        raise DecodeError("hex must be pairs of 0-9 and a-f") from None
