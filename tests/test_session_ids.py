"""Session ids are ULIDs: of the right shape, in order of time, and never twice."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import utc_now
from bridge.session_ids import new_session_id

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
INSTANTS = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - Hypothesis wants naive bounds
    max_value=datetime(9999, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)


def milliseconds(session_id: str) -> int:
    """The time in an id, read as the ULID specification says: ten characters, five bits each."""
    value = 0
    for character in session_id[:10]:
        value = value * 32 + CROCKFORD.index(character)
    return value


def test_the_example_of_the_specification() -> None:
    """github.com/ulid/spec: 01ARZ3NDEK is 1469922850259 ms after the epoch."""
    at = datetime.fromtimestamp(1469922850, tz=UTC) + timedelta(milliseconds=259)
    assert new_session_id(at)[:10] == "01ARZ3NDEK"


@given(at=INSTANTS)
def test_an_id_has_the_shape_of_a_ulid_and_holds_its_time(at: datetime) -> None:
    """26 characters of Crockford's base 32, without I, L, O and U; 48 bits of milliseconds."""
    session_id = new_session_id(at)
    assert re.fullmatch(f"[0-7][{CROCKFORD}]{{25}}", session_id)
    assert abs(milliseconds(session_id) - at.timestamp() * 1000) <= 1


@given(first=INSTANTS, second=INSTANTS)
def test_ids_sort_by_time(first: datetime, second: datetime) -> None:
    """As text, once they are two milliseconds apart."""
    earlier, later = sorted((first, second))
    if later - earlier > timedelta(milliseconds=2):
        assert new_session_id(earlier) < new_session_id(later)


def test_no_two_ids_are_the_same() -> None:
    """Not even of the same instant; without one, now is taken."""
    at = utc_now()
    assert len({new_session_id(at) for _ in range(1000)}) == 1000
    assert abs(milliseconds(new_session_id()) - at.timestamp() * 1000) < 60_000
