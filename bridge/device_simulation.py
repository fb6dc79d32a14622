"""The form of a device profile's ``[simulator]`` table: the machine's side that corrections hide.

A correction says how to take a machine; most of what the machine does follows from it. What does
not (the octets it was seen to send, what it lacks, how it is built) stands here, by the names of
`simulator.habits.Habits` and `simulator.belt.BeltSpec`. Only the simulator reads it.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bridge.core.quirks import READING_FIELDS
from bridge.settings import Speed, Table

_SHORT_UUID = re.compile(r"[0-9a-f]{4}")
_LONGEST_VALUE = 64


def _short_uuid(value: str) -> str:
    if not _SHORT_UUID.fullmatch(value.lower()):
        raise ValueError("must be a UUID of four hexadecimal digits, such as 2ad5")
    return value.lower()


def _octets(value: str) -> str:
    try:
        octets = bytes.fromhex(value)
    except ValueError:
        octets = bytes(_LONGEST_VALUE + 1)
    if len(octets) > _LONGEST_VALUE:
        raise ValueError(f'must be at most {_LONGEST_VALUE} octets in hexadecimal, as "01 00 0d"')
    return octets.hex()


def _reading_field(value: str) -> str:
    if value not in READING_FIELDS:
        raise ValueError(f"must be a field of Treadmill Data: {', '.join(READING_FIELDS)}")
    return value


_ShortUuid = Annotated[str, AfterValidator(_short_uuid)]
_Octets = Annotated[str, AfterValidator(_octets)]
_ReadingField = Annotated[str, AfterValidator(_reading_field)]
_Octet = Annotated[int, Field(ge=0, le=0xFF)]
_Incline = Annotated[float, Field(ge=-15, le=40)]
_Padding = Annotated[int, Field(ge=0, le=8)]
_Rate = Annotated[float, Field(gt=0, le=10)]


class BodyEntry(Table):
    """``[simulator.body]``: how the machine is built; what is left out is as in any home."""

    min_speed_kmh: Speed | None = None
    max_speed_kmh: Speed | None = None
    step_speed_kmh: Annotated[float, Field(ge=0.01, le=1)] | None = None
    min_incline_pct: _Incline | None = None
    max_incline_pct: _Incline | None = None
    step_incline_pct: Annotated[float, Field(ge=0.1, le=5)] | None = None
    acceleration_kmh_per_s: _Rate | None = None
    deceleration_kmh_per_s: _Rate | None = None
    incline_rate_pct_per_s: _Rate | None = None
    start_delay_s: Annotated[float, Field(ge=0, le=30)] | None = None


class TrainingEntry(Table):
    """``[simulator.training_codes]``: what Training Status says, by what the belt does."""

    idle: _Octet = 0x01
    running: _Octet = 0x0D
    stopping: _Octet = 0x0D
    stopped: _Octet = 0x01


class SimulatorEntry(Table):
    """``[simulator]``. ``console_unit``: what the console is set to, where the profile asks that.

    ``values`` are characteristics' octets as they were seen. ``false_results`` are said in turn to
    the requests of ``quirks.meaningless_results``.
    """

    console_unit: Literal["kmh", "mph"] = "mph"
    body: BodyEntry = BodyEntry()
    values: dict[_ShortUuid, _Octets] = Field(default={})
    lacks: tuple[_ShortUuid, ...] = Field(default=(), strict=False)
    service_data: _Octets | None = Field(default=None, description='"" advertises none')
    nul_terminated: bool | None = None
    control_writes: Literal["with-response", "without-response", "both"] | None = None
    control_tells: Literal["indicate", "notify", "both"] | None = None

    record_fields: tuple[_ReadingField, ...] | None = Field(default=None, strict=False)
    data_period_s: Annotated[float, Field(ge=0.1, le=10)] | None = None
    incline_told: Literal["true", "absent", "rubbish"] | None = None
    splits_records: bool | None = None
    truncates_records: bool | None = None
    record_padding: _Padding | None = None
    steps_apart: bool | None = None
    narrow_steps: bool | None = None

    answers_twice: bool | None = None
    false_results: tuple[_Octet, ...] = Field(default=(0x01, 0x04), strict=False, min_length=1)
    ignored_result: _Octet | None = None
    refuses_off_step: bool | None = None
    client_start_lasts_s: Annotated[float, Field(ge=0, le=60)] | None = None
    early_target_drops_link: bool = False

    status_padding: _Padding | None = None
    training_codes: TrainingEntry = TrainingEntry()
    promises_training_text: bool | None = None

    def of_the_body(self) -> dict[str, float]:
        """Fields of `BeltSpec` that this table sets."""
        return {name: value for name, value in dict(self.body).items() if value is not None}

    def of_the_habits(self) -> dict[str, Any]:
        """Fields of `Habits` that this table sets as they stand."""
        told = {name: value for name, value in dict(self).items() if name not in _READ_APART}
        return {name: value for name, value in told.items() if value is not None}


_READ_APART = {
    *("console_unit", "body", "values", "lacks", "service_data"),
    *("false_results", "training_codes", "early_target_drops_link"),
}
