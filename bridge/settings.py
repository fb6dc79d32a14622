"""The shape of the settings file: every key, its default and what it may hold.

Strict, frozen and closed: no unknown key, no text for a number, no ``true`` for 1, no NaN. What
keys mean *together* is checked in `bridge.config`.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    model_validator,
)

EMBEDDED = "embedded"
DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# A Bluetooth address; macOS gives each program its own UUID for a device instead.
_ADDRESS = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}|[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}")


def checked_id(value: str) -> str:
    """An id of the contract: small letters, digits and dashes."""
    if not _ID.fullmatch(value):
        raise ValueError(
            "must be small letters, digits and dashes, beginning with a letter or digit, "
            "at most 63 in all"
        )
    return value


def _address(value: str) -> str:
    if not _ADDRESS.fullmatch(value.upper()):
        raise ValueError('must be a Bluetooth address such as "AA:BB:CC:DD:EE:FF"')
    return value.upper()


def _url(value: str) -> str:
    allowed = f'must be "{EMBEDDED}" or mqtt://[user@]host[:port] (mqtts:// for TLS)'
    if value == EMBEDDED:
        return value
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(allowed) from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port == 0:
        raise ValueError(allowed)
    if parts.path.strip("/") or parts.query or parts.fragment or re.search(r"\s", value):
        raise ValueError(f"{allowed}, and nothing after it")
    if parts.password is not None:
        raise ValueError("must not hold a password; put it in mqtt.password_file")
    return value


def _topic(value: str) -> str:
    if not re.fullmatch(r"[^\x00-\x1f\x7f#+$/\s][^\x00-\x1f\x7f#+\s]*(?<!/)", value):
        raise ValueError('must be a topic without "#", "+", blanks, or "/" at its ends')
    return value


def _optional_topic(value: str) -> str:
    return _topic(value) if value else value


def host_and_port(listen: str) -> tuple[str, int]:
    """``127.0.0.1:8321`` or ``[::1]:8321`` as host and port. Raises `ValueError`."""
    allowed = 'must be host:port, for example "127.0.0.1:8321" or "[::1]:8321"'
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(allowed) from None
    if not host or port is None or parts.netloc != listen or "@" in listen:
        raise ValueError(allowed)
    return host, port


def _listen(value: str) -> str:
    host_and_port(value)
    return value


def _empty_is_none(value: Any) -> Any:
    """``password_file = ""`` is how a file says: not set."""
    return None if value == "" else value


def _path(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str) or not value:
        return _empty_is_none(value)
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / Path(value).expanduser()


Id = Annotated[str, AfterValidator(checked_id)]
OptionalPath = Annotated[Path | None, BeforeValidator(_path, json_schema_input_type=str)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_empty_is_none)]
OptionalText = Annotated[str | None, BeforeValidator(_empty_is_none)]
Speed = Annotated[float, Field(gt=0, le=25)]
"""km/h. No belt that walkers use runs above 25; a larger number is a slip of the keyboard."""


class Table(BaseModel):
    """What all tables of all files have in common."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class BluetoothSettings(Table):
    """How the radio is reached."""

    backend: Literal["system", "bumble", "esphome"] = "system"
    transport: str = ""


class MqttSettings(Table):
    """The broker, and the topics on it."""

    url: Annotated[str, AfterValidator(_url)] = EMBEDDED
    password: OptionalSecret = None
    password_file: OptionalPath = None
    ca_file: OptionalPath = None
    cert_file: OptionalPath = None
    key_file: OptionalPath = None
    base_topic: Annotated[str, AfterValidator(_topic)] = "retrowalk"
    discovery_prefix: Annotated[str, AfterValidator(_optional_topic)] = "homeassistant"

    @property
    def is_embedded(self) -> bool:
        """The bridge starts a broker of its own."""
        return self.url == EMBEDDED

    @property
    def uses_tls(self) -> bool:
        """``mqtts://``."""
        return self.url.startswith("mqtts://")

    @property
    def host(self) -> str:
        """The broker's host; loopback for the embedded one."""
        return "127.0.0.1" if self.is_embedded else urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The broker's port; 1883, or 8883 with TLS, unless the URL says otherwise."""
        parts = urlsplit(self.url)
        return parts.port or DEFAULT_PORTS.get(parts.scheme, DEFAULT_PORTS["mqtt"])

    @property
    def username(self) -> str | None:
        """The user in the URL, if it names one."""
        return urlsplit(self.url).username


class WebSettings(Table):
    """The page. ``hosts`` are further names it may be called by (others are refused)."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8321"
    token: OptionalSecret = None
    token_file: OptionalPath = None
    hosts: tuple[str, ...] = Field(default=(), strict=False)

    @property
    def host(self) -> str:
        """The address to listen on."""
        return host_and_port(self.listen)[0]

    @property
    def port(self) -> int:
        """The port to listen on."""
        return host_and_port(self.listen)[1]

    @property
    def is_loopback(self) -> bool:
        """Nobody outside this computer can reach the page."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class StoreSettings(Table):
    """Where sessions are kept; ``None`` is the platform's data folder."""

    path: OptionalPath = None


Voice = Literal["page", "mqtt", "local", "terminal"]


class SafetySettings(Table):
    """Who may start and who may raise (S2, S15), and which voices count (S6)."""

    start: Literal["console", "page"] = "console"
    remote: Literal["slow-only", "within-program"] = "slow-only"
    voice: tuple[Voice, ...] = Field(default=("page", "mqtt"), strict=False)


class WalkerSettings(Table):
    """A person. ``proven_kmh`` is the highest speed they have held, by direction (S20)."""

    id: Id
    level: Literal["CARE", "L0", "L1", "L2", "L3"] = "L0"
    mass_kg: Annotated[float, Field(ge=20, le=300)] | None = None
    accepted_safety: Annotated[int, Field(ge=0)] = 0
    comfort_kmh: Speed | None = None
    max_speed_kmh: Speed | None = None
    heart_limit_bpm: Annotated[int, Field(ge=60, le=220)] | None = None
    proven_kmh: dict[Literal["backward", "forward", "lateral_left", "lateral_right"], Speed] = (
        Field(default_factory=dict)
    )


class TreadmillSettings(Table):
    """A machine, found by its address or by the name it advertises.

    ``units_proven`` says that somebody has seen 1.0 asked, measured and on the console to be the
    same speed (S21). ``strap`` is the address or name of a heart-rate strap worn on this machine.
    """

    id: Id
    address: Annotated[OptionalText, AfterValidator(lambda text: text and _address(text))] = None
    name: OptionalText = None
    device: Id = "auto"
    units_proven: bool = False
    strap: OptionalText = None
    walker: Annotated[OptionalText, AfterValidator(lambda text: text and checked_id(text))] = None

    @model_validator(mode="after")
    def _can_be_found(self) -> "TreadmillSettings":
        if self.address is None and self.name is None:
            raise ValueError("needs an address or a name")
        return self


class Settings(Table):
    """The whole file. The tables ``walker`` and ``treadmill`` repeat."""

    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[a-z0-9]+)*$")] = "en"
    bluetooth: BluetoothSettings = BluetoothSettings()
    mqtt: MqttSettings = MqttSettings()
    web: WebSettings = WebSettings()
    store: StoreSettings = StoreSettings()
    safety: SafetySettings = SafetySettings()
    walker: tuple[WalkerSettings, ...] = Field(default=(), strict=False)
    treadmill: tuple[TreadmillSettings, ...] = Field(default=(), strict=False)
