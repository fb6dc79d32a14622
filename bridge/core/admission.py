"""The door for commands: what is turned away before anybody looks at what it asks.

Age, expiry, retained, repeated and ill-formed commands (S16), and what a remote may ask at all
(S15). Stop passes all of it (S7), except a retained stop while the belt stands. Refuses to know
sessions and speeds.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from bridge.core.messages import Command, Reason, Source, Verb

MAX_AGE_S = 5.0
"""Contract section 3: a command older than this is about a moment that has passed."""

REMEMBERED_IDS = 512
"""How many ids are kept to know a repeat; at one command a second, the last eight minutes."""

REMOTE_SOURCES = frozenset({Source.MQTT})
"""Who cannot see the walker."""


@dataclass(slots=True)
class Admission:
    """Judges commands at the door of one treadmill, and remembers their ids."""

    remote: Literal["slow-only", "within-program"]
    seen: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED_IDS))

    def refuse(self, command: Command, *, at_rest: bool) -> Reason | None:
        """Why this command is turned away, or ``None``. Its id counts as seen from now on."""
        repeated = command.id in self.seen
        self.seen.append(command.id)
        if command.verb is Verb.STOP:
            return Reason.RETAINED if command.retained and at_rest else None
        if command.retained:
            return Reason.RETAINED
        if command.malformed:
            return Reason.BAD_PAYLOAD
        if repeated:
            return Reason.DUPLICATE
        if command.expired or command.age_s > MAX_AGE_S:
            return Reason.EXPIRED
        return self._remote_refusal(command)

    def _remote_refusal(self, command: Command) -> Reason | None:
        """S2: a start never comes from afar, whatever the settings say."""
        if command.verb is Verb.START and command.source in REMOTE_SOURCES:
            return Reason.REMOTE_NOT_ALLOWED
        return None

    def may_raise(self, source: Source) -> bool:
        """S15: whether this source may ask for more speed or incline at all."""
        return source not in REMOTE_SOURCES or self.remote == "within-program"
