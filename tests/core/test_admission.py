"""The door: what is turned away before anybody looks at what it asks, and stop, which never is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.admission import MAX_AGE_S, REMEMBERED_IDS, REMOTE_SOURCES, Admission
from bridge.core.messages import Command, Reason, Source, Verb

OTHERS = [verb for verb in Verb if verb is not Verb.STOP]


def door() -> Admission:
    """A door as it is set by default."""
    return Admission(remote="slow-only")


def command(verb: Verb = Verb.SLOW, **values: Any) -> Command:
    """A command from the page."""
    return Command(**({"id": "c1", "verb": verb, "source": Source.PAGE} | values))


@pytest.mark.parametrize("verb", list(Verb))
def test_a_good_command_from_here_is_let_in(verb: Verb) -> None:
    """The other side of every refusal below."""
    assert door().refuse(command(verb), at_rest=True) is None


@pytest.mark.parametrize("verb", OTHERS)
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"retained": True}, Reason.RETAINED),
        ({"malformed": True}, Reason.BAD_PAYLOAD),
        ({"expired": True}, Reason.EXPIRED),
        ({"age_s": MAX_AGE_S + 0.01}, Reason.EXPIRED),
        ({"age_s": MAX_AGE_S}, None),
        ({"retained": True, "malformed": True, "expired": True}, Reason.RETAINED),
        ({"malformed": True, "expired": True}, Reason.BAD_PAYLOAD),
    ],
)
def test_what_is_turned_away(verb: Verb, values: dict[str, Any], reason: Reason | None) -> None:
    """S16, at the limit of age; the first reason that applies is the one that is told."""
    assert door().refuse(command(verb, **values), at_rest=False) is reason


@pytest.mark.parametrize("verb", OTHERS)
def test_a_repeat_is_turned_away(verb: Verb) -> None:
    """S16: by its id, whatever became of the first one; another id is another command."""
    for first in ({}, {"expired": True}, {"malformed": True}):
        admission = door()
        admission.refuse(command(verb, **first), at_rest=False)
        assert admission.refuse(command(verb), at_rest=False) is Reason.DUPLICATE
        assert admission.refuse(command(verb, id="c2"), at_rest=False) is None


def test_ids_are_remembered_long_but_not_for_ever() -> None:
    """S16: a broker that repeats a whole minute of commands is caught; memory stays bounded."""
    admission = door()
    for number in range(REMEMBERED_IDS + 1):
        assert admission.refuse(command(id=f"c{number}"), at_rest=False) is None
    assert admission.refuse(command(id="c1"), at_rest=False) is Reason.DUPLICATE
    assert admission.refuse(command(id="c0"), at_rest=False) is None
    assert len(admission.seen) == REMEMBERED_IDS


@given(
    source=st.sampled_from(Source),
    retained=st.booleans(),
    malformed=st.booleans(),
    expired=st.booleans(),
    age_s=st.floats(),
    repeated=st.booleans(),
)
def test_a_stop_is_never_turned_away_while_the_belt_moves(
    source: Source, retained: bool, malformed: bool, expired: bool, age_s: float, repeated: bool
) -> None:
    """S7: old, late, unreadable, retained, repeated, from anywhere: the belt stops."""
    admission = door()
    stop = command(
        Verb.STOP,
        source=source,
        retained=retained,
        malformed=malformed,
        expired=expired,
        age_s=age_s,
    )
    if repeated:
        admission.refuse(stop, at_rest=False)
    assert admission.refuse(stop, at_rest=False) is None


def test_a_retained_stop_at_rest_is_a_leftover() -> None:
    """S16: it comes with every new connection to the broker, and would end every session."""
    assert door().refuse(command(Verb.STOP, retained=True), at_rest=True) is Reason.RETAINED
    assert door().refuse(command(Verb.STOP), at_rest=True) is None


@pytest.mark.parametrize("remote", ["slow-only", "within-program"])
@pytest.mark.parametrize("source", list(Source))
def test_nobody_starts_a_belt_from_afar(source: Source, remote: Any) -> None:
    """S2: whatever the settings say."""
    expected = Reason.REMOTE_NOT_ALLOWED if source in REMOTE_SOURCES else None
    admission = Admission(remote=remote)
    assert admission.refuse(command(Verb.START, source=source), at_rest=True) is expected
    assert frozenset({Source.MQTT}) == REMOTE_SOURCES


@pytest.mark.parametrize(
    ("source", "remote", "allowed"),
    [
        (Source.MQTT, "slow-only", False),
        (Source.MQTT, "within-program", True),
        (Source.PAGE, "slow-only", True),
        (Source.LOCAL, "slow-only", True),
        (Source.CONSOLE, "slow-only", True),
        (Source.BRIDGE, "slow-only", True),
    ],
)
def test_who_may_ask_for_more(source: Source, remote: Any, allowed: bool) -> None:
    """S15: off by default for whoever cannot see the walker."""
    assert Admission(remote=remote).may_raise(source) is allowed
