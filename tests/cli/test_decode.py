"""`bridge.cli.decode`: one payload, or a stream that nothing can end."""

import io
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.app import main
from bridge.cli.decode import decode_stream, decoded_line

RANGE = {"min_speed_kmh": 1.0, "max_speed_kmh": 8.0, "step_speed_kmh": 0.1}


def answer(raw: bytes | str) -> dict[str, Any]:
    """What comes back for one line."""
    line = raw.encode() if isinstance(raw, str) else raw
    found = json.loads(decoded_line(line, 7))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("payload", ["640020030a00", "0x640020030A00", "64 00 20 03 0a 00"])
def test_one_payload(payload: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Names and values, one a line, as people read them; hex in the ways people write it."""
    assert main(["decode", "2AD4", payload]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{key} = {RANGE[key]}" for key in RANGE]


def test_one_payload_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` prints exactly one document."""
    assert main(["decode", "2ad4", "640020030a00", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "characteristic": "2ad4",
        "hex": "640020030a00",
        "decoded": RANGE,
    }


@pytest.mark.parametrize(
    "words",
    [
        ["2ad4"],
        [],
        ["2ad4", "6"],
        ["2ad4", ""],
        ["ffff", "00"],
        ["2ad4", "zz"],
        ["2ad4", "64", "--jsonl"],
        ["--jsonl", "--json"],
    ],
)
def test_what_cannot_be_decoded_ends_with_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The input is wrong: exit code 2 and a reason; with ``--json`` the reason as a document."""
    assert main(["decode", *words]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("retrowalk: ")
    if "--json" in words:
        assert set(json.loads(out)) == {"error"}
    else:
        assert out == ""


def test_a_line_comes_back_with_its_values_and_its_answer() -> None:
    """Contract section 1: the input object plus ``decoded``; nothing of the input is lost."""
    line = {"characteristic": "2ad4", "hex": "640020030a00", "id": "x", "note": "naïve \ud800"}
    assert answer(json.dumps(line)) == line | {"decoded": RANGE}


def test_an_old_answer_does_not_stand_beside_the_new_one() -> None:
    """A stream that was decoded once can be decoded again, with one answer in each line."""
    line = {"characteristic": "2ad4", "hex": "", "decoded": {"speed_kmh": 9}}
    found = answer(json.dumps(line))
    assert "decoded" not in found
    assert "error" in found
    again = {"characteristic": "2ad4", "hex": "640020030a00", "error": "old"}
    assert answer(json.dumps(again)) == {
        "characteristic": "2ad4",
        "hex": "640020030a00",
        "decoded": RANGE,
    }


@pytest.mark.parametrize(
    "line",
    [
        '{"characteristic": "2ad4"}',
        '{"hex": "00"}',
        '{"characteristic": 2, "hex": "00"}',
        '{"characteristic": "2ad4", "hex": null}',
        '{"characteristic": "2ad4", "hex": "6"}',
        '{"characteristic": "2ad4", "hex": "gg"}',
        '{"characteristic": "2ad4", "hex": ""}',
        '{"characteristic": "nope", "hex": "00"}',
        "{}",
    ],
)
def test_an_object_that_cannot_be_decoded_comes_back_with_the_reason(line: str) -> None:
    """The input object plus ``error``."""
    found = answer(line)
    assert isinstance(found.pop("error"), str)
    assert found == json.loads(line)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"not json",
        b"{",
        b'"text"',
        b"[1]",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": -Infinity}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b"\x00",
    ],
)
def test_a_line_that_is_no_object_gives_its_number_and_what_could_be_read(raw: bytes) -> None:
    """One valid JSON line out for whatever comes in."""
    found = answer(raw)
    assert set(found) == {"error", "line", "text"}
    assert found["line"] == 7
    assert len(found["text"]) <= 200


class _Listener(io.StringIO):
    """An output that counts how often it was flushed."""

    flushes = 0

    def flush(self) -> None:
        self.flushes += 1


def test_a_bad_line_never_ends_the_stream() -> None:
    """Each line gets its answer in order, sent on at once; the last needs no line end."""
    good = b'{"characteristic":"2ad4","hex":"640020030a00"}'
    out = _Listener()
    decode_stream(io.BytesIO(good + b"\n\xff\n\n" + good), out)
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert ["decoded" in each for each in answers] == [True, False, False, True]
    assert [each.get("line") for each in answers] == [None, 2, 3, None]
    assert out.flushes == 4


def test_jsonl_reads_stdin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line way, in one go; bad lines do not change the exit code."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"hex":"00"}\n')))
    assert main(["decode", "--jsonl"]) == 0
    assert json.loads(capsys.readouterr().out)["hex"] == "00"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.binary(max_size=60)
    | st.fixed_dictionaries({"characteristic": st.just("2acd"), "hex": st.text(max_size=12)}).map(
        lambda line: json.dumps(line).encode()
    )
    | _JSON.map(lambda value: json.dumps(value).encode())
)
def test_any_line_gives_one_line_of_json(raw: bytes) -> None:
    """Whatever comes in: one line, an object, with exactly one of ``decoded`` and ``error``."""
    text = decoded_line(raw, 1)
    assert "\n" not in text
    found = json.loads(text)
    assert ("decoded" in found) != ("error" in found)
