"""The values between the rooms: frozen, finite where it counts, and ready for JSON."""

import json
import math
from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from bridge.core import messages
from bridge.core.messages import (
    Announcement,
    ClearedIncline,
    ClearedSpeed,
    Direction,
    EventType,
    NextChange,
    OpCode,
    Outcome,
    Phase,
    Program,
    Reading,
    Reason,
    Segment,
    Urgency,
    Verb,
    json_value,
)

RECORDS = [value for value in vars(messages).values() if is_dataclass(value)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_record_is_frozen(record: type) -> None:
    """What passes between rooms is nobody's to change."""
    value: object = object.__new__(record)
    for name in [item.name for item in fields(record)][:1]:
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)
    # A reading is made ten times a second from each machine, by filling its dictionary at once.
    assert hasattr(value, "__dict__") == (record is Reading)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, -0.1])
def test_a_cleared_value_is_a_number_that_may_be_sent(number: float) -> None:
    """S4: NaN passes every naive comparison, so it cannot even be written down as cleared."""
    with pytest.raises(ValueError, match="is no target"):
        ClearedSpeed(speed_kmh=number)
    with pytest.raises(ValueError, match="is no target"):
        ClearedIncline(incline_pct=number)
    assert ClearedSpeed(speed_kmh=0.0).speed_kmh == ClearedIncline(incline_pct=0.0).incline_pct


@pytest.mark.parametrize("words", [Direction, Phase, Verb, Outcome, Reason, EventType, Urgency])
def test_closed_lists_are_plain_lower_case_words(words: type) -> None:
    """They are public: topics, payloads and exit messages are made of them."""
    for word in words:  # type: ignore[attr-defined]
        assert word.value == word.name.lower()
        assert word.value.replace("_", "").isalpha()


def test_a_record_becomes_plain_data() -> None:
    """Enums by value, records by field, sequences as lists, unknown as null, at any depth."""
    program = Program(
        id="p",
        name="P",
        level="L0",
        segments=(
            Segment(direction=Direction.TURN, duration_s=45.0, speed_kmh=1.0, cues=("a", "b")),
        ),
    )
    assert json_value(program) == {
        "id": "p",
        "name": "P",
        "level": "L0",
        "segments": [
            {
                "direction": "turn",
                "duration_s": 45.0,
                "speed_kmh": 1.0,
                "incline_pct": 0.0,
                "relative": None,
                "cues": ["a", "b"],
            }
        ],
        "summary": "",
        "evidence": "",
    }


def test_every_kind_of_value_survives_json() -> None:
    """What goes in comes out of a JSON round trip unchanged, and no enum is left inside."""
    change = NextChange(in_s=1.5, direction=Direction.BACKWARD, speed_kmh=1.2, incline_pct=0.0)
    spoken = Announcement(
        id="a", text="t", language="en", urgency=Urgency.ALARM, lead_s=0.0, expires_in_s=15.0
    )
    for value in (change, spoken, [Phase.IDLE, None, True, 3], "x", None, 2.5, OpCode.RESET):
        plain = json_value(value)
        assert json.loads(json.dumps(plain)) == plain
    assert type(json_value(Phase.IDLE)) is str
    assert sorted(json_value(frozenset({"b", "a"}))) == ["a", "b"]  # type: ignore[call-overload]
