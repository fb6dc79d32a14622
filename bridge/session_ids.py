"""Ids for sessions: ULIDs, which sort by time and need nobody to hand them out."""

import secrets
from datetime import datetime

from bridge.clock import utc_now

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
_CHARACTERS = 26


def new_session_id(at: datetime | None = None) -> str:
    """A new ULID: 48 bits of milliseconds, 80 of chance, in Crockford's base 32."""
    milliseconds = int((at or utc_now()).timestamp() * 1000)
    value = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    return "".join(
        _CROCKFORD[(value >> (5 * place)) & 31] for place in reversed(range(_CHARACTERS))
    )
