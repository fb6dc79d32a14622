"""The door: every verb's bodies, what is refused, and the exact shape of what goes out."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge import payloads
from bridge.core.messages import (
    Announcement,
    Command,
    CommandResult,
    Direction,
    EventType,
    NextChange,
    OpenPrompt,
    Outcome,
    Phase,
    Reason,
    Source,
    State,
    Urgency,
    Verb,
)
from bridge.store import StoredEvent

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def read(verb: Verb, payload: bytes | dict[str, Any], **kwargs: Any) -> Command:
    """Parse as MQTT would."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    arguments: dict[str, Any] = {"retained": False, "source": Source.MQTT, "now": NOW, **kwargs}
    return payloads.parse_command(verb, data, **arguments)


def asked(command: Command) -> dict[str, Any]:
    """What the command asks for: its fields that are set, without the envelope."""
    names = (
        "now", "program", "walker", "prompt", "speed_kmh", "incline_pct", "effort", "comfort",
        "rails", "pain",
    )  # fmt: skip
    values = {name: getattr(command, name) for name in names}
    return {
        name: value for name, value in values.items() if value is not None and value is not False
    }


# --- in ------------------------------------------------------------------------------------------

GOOD: list[tuple[Verb, bytes, dict[str, Any]]] = [
    (Verb.STOP, b"", {}),
    (Verb.STOP, b"stop", {}),
    (Verb.STOP, b"STOP\n", {}),
    (Verb.STOP, b"PRESS", {}),
    (Verb.STOP, b"{}", {}),
    (Verb.STOP, b"now", {"now": True}),
    (Verb.STOP, b'{"now":true}', {"now": True}),
    (Verb.STOP, b'{"now":false}', {}),
    (Verb.PAUSE, b"", {}),
    (Verb.PAUSE, b"PRESS", {}),
    (Verb.RESUME, b"resume", {}),
    (Verb.SLOW, b"{}", {}),
    (Verb.DISARM, b"PRESS", {}),
    (Verb.START, b"", {}),
    (Verb.ARM, b'{"program":"first-minute"}', {"program": "first-minute"}),
    (Verb.ARM, b'{"program":"p","walker":"me"}', {"program": "p", "walker": "me"}),
    (Verb.CONFIRM, b'{"prompt":"garage-7"}', {"prompt": "garage-7"}),
    (Verb.SPEED, b"1.4", {"speed_kmh": 1.4}),
    (Verb.SPEED, b"2", {"speed_kmh": 2.0}),
    (Verb.SPEED, b' {"kmh":1.4} ', {"speed_kmh": 1.4}),
    (Verb.SPEED, b'{"kmh":2}', {"speed_kmh": 2.0}),
    (Verb.SPEED, b"0", {"speed_kmh": 0.0}),
    (Verb.INCLINE, b"2", {"incline_pct": 2.0}),
    (Verb.INCLINE, b'{"pct":2.5}', {"incline_pct": 2.5}),
    (Verb.INCLINE, b"-1", {"incline_pct": -1.0}),
    (
        Verb.RATE,
        b'{"effort":4,"comfort":5,"rails":"touch","pain":0}',
        {"effort": 4, "comfort": 5, "rails": "touch", "pain": 0},
    ),
    (Verb.RATE, b'{"effort":0}', {"effort": 0}),
]


@pytest.mark.parametrize(("verb", "payload", "expected"), GOOD)
def test_what_is_understood(verb: Verb, payload: bytes, expected: dict[str, Any]) -> None:
    """Contract section 3: JSON, or the bare value for simple buttons and numbers."""
    command = read(verb, payload)
    assert not command.malformed
    assert not command.expired
    assert (command.verb, command.source, command.age_s) == (verb, Source.MQTT, 0.0)
    assert asked(command) == expected
    assert {type(value) for value in asked(command).values()} == {
        type(value) for value in expected.values()
    }


BAD: list[tuple[Verb, bytes]] = [
    (Verb.STOP, b"pause"),
    (Verb.STOP, b"null"),
    (Verb.STOP, b"true"),
    (Verb.STOP, b'{"now":1}'),
    (Verb.STOP, b'{"now":"true"}'),
    (Verb.STOP, b'{"now":tru'),
    (Verb.STOP, b"\xff\xfe"),
    (Verb.STOP, "\N{FULLWIDTH LATIN SMALL LETTER S}top".encode()),
    (Verb.PAUSE, b"now"),
    (Verb.PAUSE, b'{"now":true}'),
    (Verb.PAUSE, b"[]"),
    (Verb.ARM, b""),
    (Verb.ARM, b"PRESS"),
    (Verb.ARM, b"first-minute"),
    (Verb.ARM, b'{"program":"../../etc/passwd"}'),
    (Verb.ARM, b'{"program":7}'),
    (Verb.ARM, b'{"program":"p","walker":""}'),
    (Verb.CONFIRM, b""),
    (Verb.CONFIRM, b"{}"),
    (Verb.CONFIRM, b'{"prompt":null}'),
    (Verb.SPEED, b""),
    (Verb.SPEED, b"fast"),
    (Verb.SPEED, b'"1.4"'),
    (Verb.SPEED, b"true"),
    (Verb.SPEED, b"NaN"),
    (Verb.SPEED, b"Infinity"),
    (Verb.SPEED, b"-Infinity"),
    (Verb.SPEED, b"1e999"),
    (Verb.SPEED, b"-0.5"),
    (Verb.SPEED, b"1,4"),
    (Verb.SPEED, b"[1.4]"),
    (Verb.SPEED, b'{"kmh":"1.4"}'),
    (Verb.SPEED, b'{"kmh":true}'),
    (Verb.SPEED, b'{"kmh":NaN}'),
    (Verb.SPEED, b'{"kmh":1e999}'),
    (Verb.SPEED, b'{"kmh":-1}'),
    (Verb.SPEED, b'{"kmh":null}'),
    (Verb.SPEED, b'{"speed":1.4}'),
    (Verb.SPEED, b'{"kmh":1.4,"mph":1}'),
    (Verb.SPEED, b'{"kmh":1.4}{"kmh":1.4}'),
    (Verb.INCLINE, b"false"),
    (Verb.INCLINE, b'{"pct":"2"}'),
    (Verb.RATE, b"4"),
    (Verb.RATE, b'{"effort":true}'),
    (Verb.RATE, b'{"effort":4.0}'),
    (Verb.RATE, b'{"effort":11}'),
    (Verb.RATE, b'{"comfort":0}'),
    (Verb.RATE, b'{"rails":"both"}'),
    (Verb.RATE, b'{"pain":-1}'),
    (Verb.SPEED, b'{"kmh":1.4,"id":5}'),
    (Verb.SPEED, b'{"kmh":1.4,"id":""}'),
    (Verb.SPEED, b'{"kmh":1.4,"id":"two words"}'),
    (Verb.SPEED, b'{"kmh":1.4,"issued_at":1763812800}'),
    (Verb.SPEED, b'{"kmh":1.4,"issued_at":"2026-11-22T12:00:00"}'),
    (Verb.SPEED, b'{"kmh":1.4,"expires_at":"soon"}'),
    (Verb.SPEED, b'{"kmh":1.4,"id":"' + b"x" * 10_000 + b'"}'),
    (Verb.SPEED, b"[" * 4000),
]


@pytest.mark.parametrize(("verb", "payload"), BAD)
def test_what_is_not(verb: Verb, payload: bytes) -> None:
    """Contract section 7 and S16: nothing unknown, quoted, boolean, infinite; nothing in part."""
    command = read(verb, payload)
    assert command.malformed
    assert asked(command) == {}
    assert command.id


def test_the_envelope_is_kept() -> None:
    """The id comes back in the result; retained and source are what the door says."""
    command = read(Verb.PAUSE, {"id": "ha-1"}, retained=True, source=Source.PAGE)
    assert (command.id, command.retained, command.source) == ("ha-1", True, Source.PAGE)


def test_a_command_without_an_id_gets_its_own() -> None:
    """Two presses of a simple button are two commands, not a duplicate."""
    assert read(Verb.PAUSE, b"").id != read(Verb.PAUSE, b"").id


def at(seconds: float) -> str:
    """RFC 3339, ``seconds`` from now, in another time zone."""
    return (NOW + timedelta(seconds=seconds)).astimezone().isoformat()


@pytest.mark.parametrize(
    ("issued_s", "expires_s", "age_s", "expired"),
    [
        (0, None, 0.0, False),
        (-3.5, None, 3.5, False),
        (-7200, None, 7200.0, False),
        (4.9, None, 0.0, False),
        (None, 1, 0.0, False),
        (None, 0, 0.0, False),
        (None, -0.001, 0.0, True),
        (-2, -1, 2.0, True),
    ],
)
def test_age_and_expiry(
    issued_s: float | None, expires_s: float | None, age_s: float, expired: bool
) -> None:
    """Both are judged by the wall clock given; a sender's clock may be a little ahead."""
    dates = {"issued_at": issued_s, "expires_at": expires_s}
    body = {name: at(value) for name, value in dates.items() if value is not None}
    command = read(Verb.SPEED, body | {"kmh": 1.4})
    assert (command.age_s, command.expired, command.malformed) == (age_s, expired, False)


@pytest.mark.parametrize("issued_at", [at(5.1), at(3600), "9999-12-31T23:59:59-23:59"])
def test_from_the_future_is_malformed(issued_at: str) -> None:
    """Else a command dated next week would stay fresh until then."""
    assert read(Verb.SPEED, {"kmh": 1.4, "issued_at": issued_at}).malformed


def test_the_oldest_date_there_is() -> None:
    """No overflow at the end of the calendar."""
    command = read(Verb.SPEED, {"kmh": 1.4, "issued_at": "0001-01-01T00:00:00+23:59"})
    assert command.age_s > 6e10


def test_what_waited_undated_is_expired() -> None:
    """A bare value from a broker's backlog may be an hour old; a dated one tells its age."""
    assert read(Verb.SPEED, b"1.4", waited=True).expired
    assert read(Verb.SPEED, b'{"kmh":1.4,"id":"a"}', waited=True).expired
    assert not read(Verb.SPEED, {"kmh": 1.4, "issued_at": at(-1)}, waited=True).expired
    assert not read(Verb.SPEED, {"kmh": 1.4, "expires_at": at(1)}, waited=True).expired


def test_a_malformed_command_keeps_what_can_be_made_out() -> None:
    """Its result needs the id; a malformed "stop now" is a stop now (S7)."""
    command = read(Verb.STOP, {"id": "ha-2", "now": True, "extra": 1})
    assert (command.malformed, command.id, command.now) == (True, "ha-2", True)
    assert not read(Verb.STOP, {"now": "yes"}).now
    assert not read(Verb.PAUSE, {"now": True}).now


messy = st.binary(max_size=200) | st.builds(
    lambda value: json.dumps(value).encode(),
    st.dictionaries(
        st.sampled_from(["id", "now", "kmh", "pct", "program", "issued_at", "expires_at", "x"]),
        st.none() | st.booleans() | st.floats() | st.text() | st.datetimes().map(str),
        max_size=4,
    ),
)


@given(st.sampled_from(Verb), messy)
@example(Verb.SPEED, b'{"id":"\\ud800","kmh":1}')
@example(Verb.SPEED, b'{"issued_at":"0001-01-01T00:00:00+23:59","expires_at":"x"}')
def test_any_bytes_give_a_command(verb: Verb, payload: bytes) -> None:
    """The door never raises, and what it lets in is finite, printable and of this verb."""
    command = read(verb, payload)
    assert command.verb is verb
    assert command.id.isascii()
    assert command.id.isprintable()
    assert len(command.id) <= 64
    assert command.speed_kmh is None or 0.0 <= command.speed_kmh < float("inf")
    assert command.age_s >= 0.0
    assert not (command.malformed and command.speed_kmh is not None)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"id":"a-1"}', "a-1"),
        (b'{"id":"a-1","x":1}', None),
        (b'{"id":1}', None),
        (b"a-1", None),
        (b"", None),
    ],
)
def test_spoken(payload: bytes, expected: str | None) -> None:
    """``announced`` carries one id and nothing else (S6: a guess must not count as spoken)."""
    assert payloads.parse_spoken(payload) == expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(b'{"id":"a","x":[]}', "a"), (b'{"id":7}', None), (b'["id"]', None), (b"\xff", None)],
)
def test_find_id(payload: bytes, expected: str | None) -> None:
    """Whatever else is wrong, an id that is there gets its answer."""
    assert payloads.find_id(payload) == expected


def test_every_verb_has_a_body() -> None:
    """A verb without one would be refused at the door for ever."""
    assert set(payloads.BODIES) == set(Verb)


# --- out -----------------------------------------------------------------------------------------

CONTRACT_STATE = """
{"schema":1,"at":"2026-11-22T12:00:00.000Z","treadmill":"garage","link":"up","stale":false,
"phase":"moving","direction":"backward","requested_speed_kmh":1.5,"target_speed_kmh":1.4,
"acknowledged_speed_kmh":1.3,"speed_kmh":1.2,"target_incline_pct":0.0,"incline_pct":0.5,
"heart_rate_bpm":null,"distance_m":123.0,"backward_distance_m":60.0,"elapsed_s":300,
"backward_time_s":120,"energy_kcal":12.1,"energy_low_kcal":8.5,"energy_high_kcal":16.3,
"program":"first-minute","walker":"me","segment":3,"segments":9,"segment_remaining_s":41,
"next_change":{"in_s":41,"direction":"turn","speed_kmh":1.0,"incline_pct":0},
"prompt":{"id":"p-1","text":"Turn.","expires_at":"2026-11-22T12:00:30.000Z"},
"safety_key":"in","problem":"stale_data","session":"01J"}
"""
STATE = State(
    link="up",
    stale=False,
    phase=Phase.MOVING,
    direction=Direction.BACKWARD,
    requested_speed_kmh=1.5,
    target_speed_kmh=1.4,
    acknowledged_speed_kmh=1.3,
    speed_kmh=1.2,
    target_incline_pct=0.0,
    incline_pct=0.5,
    heart_rate_bpm=None,
    distance_m=123.0,
    backward_distance_m=60.0,
    elapsed_s=300,
    backward_time_s=120,
    energy_kcal=12.1,
    energy_low_kcal=8.5,
    energy_high_kcal=16.3,
    program="first-minute",
    walker="me",
    segment=3,
    segments=9,
    segment_remaining_s=41,
    next_change=NextChange(in_s=41, direction=Direction.TURN, speed_kmh=1.0, incline_pct=0),
    prompt=OpenPrompt(id="p-1", text="Turn.", expires_at_s=1030.0),
    safety_key="in",
    problem=Reason.STALE_DATA,
    session="01J",
)


def test_the_state_is_the_contract_s() -> None:
    """Section 4 to the letter, in its order; the prompt's expiry becomes a wall-clock time."""
    assert json.loads(
        payloads.state_payload(STATE, "garage", NOW, 1000.0), object_pairs_hook=list
    ) == json.loads(CONTRACT_STATE, object_pairs_hook=list)


def test_unknown_is_null_and_every_key_is_there() -> None:
    """A missing key leaves Home Assistant with the old value; zero would be a lie."""
    unknown = {
        name: None
        for name in State.__dataclass_fields__
        if name not in {"link", "stale", "phase", "safety_key"}
    }
    state = State(link="down", stale=True, phase=Phase.IDLE, safety_key="unknown", **unknown)
    sent = json.loads(payloads.state_payload(state, "garage", NOW, 0.0))
    assert list(sent) == list(json.loads(CONTRACT_STATE))
    assert {name for name, value in sent.items() if value is None} == set(unknown)


def test_nan_is_never_sent() -> None:
    """One NaN makes the whole document unreadable for every consumer: better none at all."""
    with pytest.raises(ValueError, match="JSON compliant"):
        payloads.session_payload("01J", "garage", {"speed_kmh": float("nan")})


def test_the_event_is_the_contract_s() -> None:
    """Section 5 to the letter, in its order."""
    event = StoredEvent(
        treadmill="garage",
        seq=123,
        session="01J",
        type=EventType.SEGMENT_STARTED,
        at="2026-11-22T12:00:00.000Z",
        uptime_s=512.4,
        data={"segment": 1},
    )
    assert json.loads(payloads.event_payload(event), object_pairs_hook=list) == [
        ("schema", 1),
        ("id", "garage-000123"),
        ("seq", 123),
        ("treadmill", "garage"),
        ("session", "01J"),
        ("type", "segment_started"),
        ("at", "2026-11-22T12:00:00.000Z"),
        ("uptime_s", 512.4),
        ("data", [("segment", 1)]),
    ]


def test_an_announcement_says_when_it_expires() -> None:
    """A speaker that was away must not say it late."""
    announcement = Announcement(
        id="a-1", text="Langsamer", language="de", urgency=Urgency.WARN, lead_s=8, expires_in_s=12.5
    )
    assert json.loads(payloads.announce_payload(announcement, NOW)) == {
        "id": "a-1",
        "text": "Langsamer",
        "language": "de",
        "lead_s": 8,
        "urgency": "warn",
        "expires_at": "2026-11-22T12:00:12.500Z",
    }


def test_a_result_has_all_its_keys() -> None:
    """Also where there is no reason and nothing measured; and for a verb that does not exist."""
    result = CommandResult(id="a", verb=Verb.SPEED, outcome=Outcome.ACCEPTED)
    assert json.loads(payloads.result_payload(result, NOW)) == {
        "id": "a",
        "verb": "speed",
        "outcome": "accepted",
        "reason": None,
        "measured_kmh": None,
        "at": "2026-11-22T12:00:00.000Z",
    }
    assert json.loads(payloads.unknown_verb_payload("a", "jump", NOW)) == {
        "id": "a",
        "verb": "jump",
        "outcome": "rejected",
        "reason": "bad_payload",
        "measured_kmh": None,
        "at": "2026-11-22T12:00:00.000Z",
    }


def test_a_session_summary_names_itself() -> None:
    """Its own keys win over those of the summary."""
    assert json.loads(
        payloads.session_payload("01J", "garage", {"distance_m": 60, "schema": 0})
    ) == {
        "schema": 1,
        "treadmill": "garage",
        "session": "01J",
        "distance_m": 60,
    }
