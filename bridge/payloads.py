"""The door for commands, and the shape of everything that leaves: bytes in, records out, and back.

MQTT and HTTP share it, so a body means the same on both. Reading is strict (no unknown key, no
``true`` for 1, no NaN, no "1.4" for 1.4) and never raises: what cannot be read comes out marked
``malformed``, because a stop that is malformed is a stop all the same. What this module refuses to
know: topics, sockets, which commands are allowed, which ids were seen before.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Literal

import pydantic_core
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bridge.clock import rfc3339
from bridge.core.messages import (
    Announcement,
    Command,
    CommandResult,
    Outcome,
    Reason,
    Source,
    State,
    Verb,
    json_value,
)
from bridge.store import StoredEvent

SCHEMA = 1

_MOST_BYTES = 4096
"""No command needs more; a longer payload is a mistake or an attack."""

_AHEAD_S = 5.0
"""How far ahead of ours a sender's clock may be: as far as behind (contract section 3)."""

_ID = re.compile(r"[!-~]{1,64}")
"""Ids are echoed in results and logs: printable, and not endless."""

Id = Annotated[str, Field(pattern=f"^{_ID.pattern}$")]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Press(_Strict):
    """A command without parameters, and what every command may carry."""

    id: Id | None = None
    issued_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None


class Stop(Press):
    """``now``: the machine's own Stop at once, instead of a ramp down first."""

    now: bool = False


class Arm(Press):
    """Which program, and who walks it (default: the treadmill's walker)."""

    program: Slug
    walker: Slug | None = None


class Confirm(Press):
    """The answer to the open prompt, which must be named."""

    prompt: Id


class Speed(Press):
    """A speed to ask for, km/h."""

    kmh: Annotated[Number, Field(ge=0)]


class Incline(Press):
    """An incline to ask for, percent."""

    pct: Number


class Rate(Press):
    """How it felt: effort CR10 0..10, comfort 1..5, pain 0..10; any part may be left out."""

    effort: Annotated[int, Field(ge=0, le=10)] | None = None
    comfort: Annotated[int, Field(ge=1, le=5)] | None = None
    rails: Literal["free", "touch", "grip"] | None = None
    pain: Annotated[int, Field(ge=0, le=10)] | None = None


class Spoken(_Strict):
    """A speaker says that it spoke an announcement (S6)."""

    id: Id


BODIES: Mapping[Verb, type[Press]] = {
    Verb.STOP: Stop,
    Verb.PAUSE: Press,
    Verb.RESUME: Press,
    Verb.SLOW: Press,
    Verb.ARM: Arm,
    Verb.DISARM: Press,
    Verb.CONFIRM: Confirm,
    Verb.START: Press,
    Verb.SPEED: Speed,
    Verb.INCLINE: Incline,
    Verb.RATE: Rate,
}
"""The body of each verb; the source of the published schema."""

_RENAMED = {"kmh": "speed_kmh", "pct": "incline_pct"}
_ENVELOPE = frozenset({"id", "issued_at", "expires_at"})
_BARE_NUMBER: TypeAdapter[float] = TypeAdapter(Number, config=ConfigDict(strict=True))


# --- in ------------------------------------------------------------------------------------------


def parse_command(
    verb: Verb,
    payload: bytes,
    *,
    retained: bool,
    source: Source,
    now: datetime,
    waited: bool = False,
) -> Command:
    """What ``payload`` asks for with ``verb``; never raises.

    ``now`` is the wall clock. ``waited`` says that the payload may have lain at a broker for
    hours: unless it is dated, it counts as expired. A payload that cannot be read, or was issued
    in the future, gives a command marked ``malformed`` that keeps the id and the "now" of a stop
    where they can be made out; a command without an id gets one.
    """
    try:
        body = _read(verb, payload)
    except ValueError:  # pydantic's ValidationError is one
        return _malformed(verb, payload, retained=retained, source=source)
    dated = body.issued_at is not None or body.expires_at is not None
    age_s = 0.0
    if body.issued_at is not None:
        age_s = (now - body.issued_at) / timedelta(seconds=1)
        if age_s < -_AHEAD_S:
            return _malformed(verb, payload, retained=retained, source=source)
    return Command(
        id=body.id or new_id(),
        verb=verb,
        source=source,
        age_s=max(age_s, 0.0),
        expired=now > body.expires_at if body.expires_at else waited and not dated,
        retained=retained,
        **{
            _RENAMED.get(name, name): getattr(body, name)
            for name in type(body).model_fields
            if name not in _ENVELOPE
        },
    )


def parse_spoken(payload: bytes) -> str | None:
    """The id of the announcement that was spoken, or ``None`` for a payload of no use."""
    try:
        return Spoken.model_validate_json(payload).id
    except ValidationError:
        return None


def find_id(payload: bytes) -> str | None:
    """The id in ``payload`` however wrong the rest is, or ``None``; never raises."""
    found = _salvage(payload).get("id")
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def new_id() -> str:
    """An id for a command that came without one."""
    return uuid.uuid4().hex


def _read(verb: Verb, payload: bytes) -> Press:
    """The body, from JSON or from the bare value of a button or number. Raises ValueError."""
    if len(payload) > _MOST_BYTES:
        raise ValueError("too long")
    model = BODIES[verb]
    if payload.lstrip().startswith(b"{"):
        return model.model_validate_json(payload)
    if model is Speed:
        return Speed(kmh=_BARE_NUMBER.validate_json(payload))
    if model is Incline:
        return Incline(pct=_BARE_NUMBER.validate_json(payload))
    word = payload.decode("ascii").strip().lower()
    if model is Stop and word == "now":
        return Stop(now=True)
    if model in {Press, Stop} and word in {"", "press", verb.value}:
        return model()
    raise ValueError("neither JSON nor a bare value that this verb takes")


def _malformed(verb: Verb, payload: bytes, *, retained: bool, source: Source) -> Command:
    return Command(
        id=find_id(payload) or new_id(),
        verb=verb,
        source=source,
        now=verb is Verb.STOP and _salvage(payload).get("now") is True,
        retained=retained,
        malformed=True,
    )


def _salvage(payload: bytes) -> dict[str, object]:
    try:
        found = pydantic_core.from_json(payload[: _MOST_BYTES + 1])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# --- out -----------------------------------------------------------------------------------------


def state_payload(state: State, treadmill: str, at: datetime, now_s: float) -> bytes:
    """The published state (contract section 4): every key, always; ``null`` for unknown.

    ``at`` is the wall clock and ``now_s`` the core's at the same moment. Segments count from 1,
    as they do in the record.
    """
    values = {"schema": SCHEMA, "at": rfc3339(at), "treadmill": treadmill}
    values |= {name: json_value(getattr(state, name)) for name in State.__dataclass_fields__}
    if state.prompt is not None:
        expires_at = rfc3339(at + timedelta(seconds=state.prompt.expires_at_s - now_s))
        values["prompt"] = {
            "id": state.prompt.id,
            "text": state.prompt.text,
            "expires_at": expires_at,
        }
    return _json(values)


def event_payload(event: StoredEvent) -> bytes:
    """A stored event (contract section 5)."""
    return _json({"schema": SCHEMA, "id": event.id, **asdict(event)})


def announce_payload(announcement: Announcement, at: datetime) -> bytes:
    """Something for a speaker to say, before it expires; ``at`` is the wall clock."""
    values = asdict(announcement)
    expires_in_s = values.pop("expires_in_s")
    return _json(values | {"expires_at": rfc3339(at + timedelta(seconds=expires_in_s))})


def result_payload(result: CommandResult, at: datetime) -> bytes:
    """What became of a command (contract section 3)."""
    return _json({**asdict(result), "at": rfc3339(at)})


def unknown_verb_payload(command_id: str, verb: str, at: datetime) -> bytes:
    """The refusal of a verb that does not exist, which no `CommandResult` can name."""
    values = {"id": command_id, "verb": verb, "outcome": Outcome.REJECTED}
    return _json(values | {"reason": Reason.BAD_PAYLOAD, "measured_kmh": None, "at": rfc3339(at)})


def session_payload(session: str, treadmill: str, summary: Mapping[str, object]) -> bytes:
    """The summary of the running or the last session."""
    return _json({**summary, "schema": SCHEMA, "treadmill": treadmill, "session": session})


def _json(values: Mapping[str, object]) -> bytes:
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode("ascii")
