"""`bridge.config`, `settings`, `environment`, `findings`: reading the settings of a bridge."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from bridge import data
from bridge.config import load_settings, settings_path, walker_record
from bridge.core.errors import ConfigError
from bridge.core.messages import Direction
from bridge.profiles import load_levels

CONTRACT = """\
[bluetooth]
backend = "system"
transport = ""

[mqtt]
url = "mqtt://user@host:1883"
password_file = ""
base_topic = "retrowalk"
discovery_prefix = "homeassistant"

[web]
listen = "127.0.0.1:8321"
token_file = ""

[store]
path = ""

[safety]
start = "console"
remote = "slow-only"
voice = ["page", "mqtt"]

[[walker]]
id = "me"
level = "L0"
mass_kg = 70
accepted_safety = 1

[[treadmill]]
id = "garage"
address = "AA:BB:CC:DD:EE:FF"
device = "auto"
walker = "me"
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings of whoever runs it."""
    monkeypatch.setattr(data, "own_folder", lambda: tmp_path / "own")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a test writes its settings."""
    return tmp_path / "config.toml"


def refusal(file: Path, text: str, environ: dict[str, str] | None = None) -> str:
    """The message with which ``text`` is refused."""
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environ or {})
    return str(caught.value)


# --- what is right -------------------------------------------------------------------------------


def test_no_settings_at_all_is_a_setting() -> None:
    """Contract section 2: everything has a default; the broker is embedded, the page loopback."""
    settings = load_settings(None, {})
    assert settings.mqtt.is_embedded
    assert (settings.mqtt.host, settings.mqtt.port) == ("127.0.0.1", 1883)
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8321)
    assert (settings.safety.start, settings.safety.remote) == ("console", "slow-only")
    assert settings.safety.voice == ("page", "mqtt")
    assert (settings.walker, settings.treadmill) == ((), ())


def test_the_file_of_the_contract_is_read(file: Path) -> None:
    """The example of contract section 2, as it stands, gives what it says."""
    file.write_text(CONTRACT)
    settings = load_settings(file, {})
    assert (settings.mqtt.host, settings.mqtt.port) == ("host", 1883)
    assert (settings.mqtt.username, settings.mqtt.password) == ("user", None)
    assert not settings.mqtt.uses_tls
    assert settings.store.path is None
    assert settings.walker[0].mass_kg == 70.0
    assert settings.treadmill[0].walker == "me"


def test_settings_are_frozen() -> None:
    """What was checked stays as it was checked."""
    with pytest.raises(ValueError, match="frozen"):
        load_settings(None, {}).web.listen = "0.0.0.0:80"


def test_the_file_named_goes_before_the_variable_and_the_platform(tmp_path: Path) -> None:
    """``--config``, else ``$RETROWALK_CONFIG``, else the platform's folder."""
    given, named = tmp_path / "given.toml", str(tmp_path / "named.toml")
    environ = {"RETROWALK_CONFIG": named}
    assert settings_path(given, environ) == given
    assert settings_path(None, environ) == Path(named)
    assert settings_path(None, {}) == tmp_path / "own" / "config.toml"


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_named_file_must_be_there(file: Path, *, by_variable: bool) -> None:
    """Only the platform's file may be missing; a typo in ``--config`` is no empty setting."""
    environ = {"RETROWALK_CONFIG": str(file)} if by_variable else {}
    with pytest.raises(ConfigError, match="there is no settings file"):
        load_settings(None if by_variable else file, environ)


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    """What the system refuses is said with its reason."""
    with pytest.raises(ConfigError, match=r"cannot be read.*directory"):
        load_settings(tmp_path, {})


def test_tls_has_its_own_port(file: Path) -> None:
    """``mqtts://`` is TLS on 8883 unless the URL says so; relative paths start at the file."""
    file.write_text('[mqtt]\nurl = "mqtts://broker.lan"\nca_file = "ca.pem"\n')
    mqtt = load_settings(file, {}).mqtt
    assert (mqtt.uses_tls, mqtt.port, mqtt.ca_file) == (True, 8883, file.parent / "ca.pem")


def test_walker_becomes_the_cores_record(file: Path) -> None:
    """Nothing of pydantic reaches the core: a walker arrives with their level's numbers."""
    file.write_text(
        '[[walker]]\nid = "me"\nlevel = "L1"\nmass_kg = 70\ncomfort_kmh = 2.6\nmax_speed_kmh = 4\n'
        "proven_kmh = { backward = 2.8, lateral_left = 1.2 }\n"
    )
    walker = walker_record(load_settings(file, {}).walker[0], load_levels())
    assert walker.level.backward_max_kmh == 4.0
    assert (walker.mass_kg, walker.comfort_kmh, walker.max_speed_kmh) == (70.0, 2.6, 4.0)
    assert dict(walker.proven_kmh) == {Direction.BACKWARD: 2.8, Direction.LATERAL_LEFT: 1.2}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost"])
def test_loopback_needs_no_token(file: Path, host: str) -> None:
    """Nobody else can reach these."""
    file.write_text(f'[web]\nlisten = "{host}:8321"\n')
    assert load_settings(file, {}).web.is_loopback


# --- the environment -----------------------------------------------------------------------------


def test_environment_goes_before_the_file(file: Path) -> None:
    """``RETROWALK_SECTION__KEY``: text, numbers, lists, and elements of repeated tables."""
    file.write_text(CONTRACT)
    assert load_settings(file, {"RETROWALK_MQTT__URL": "embedded"}).mqtt.is_embedded
    settings = load_settings(
        file,
        {
            "RETROWALK_LANGUAGE": "de",
            "RETROWALK_MQTT__BASE_TOPIC": "12",
            "RETROWALK_SAFETY__VOICE": '["local", "page"]',
            "RETROWALK_SAFETY__VOICE__1": "mqtt",
            "RETROWALK_WALKER__0__MASS_KG": "81.5",
            "RETROWALK_WALKER__1__ID": "you",
            "RETROWALK_WALKER__0__PROVEN_KMH__BACKWARD": "2",
            "RETROWALK_CONFIG": "not a key",
            "PATH": "not ours",
        },
    )
    assert settings.language == "de"
    assert settings.mqtt.base_topic == "12"
    assert settings.safety.voice == ("local", "mqtt")
    assert [(walker.id, walker.mass_kg) for walker in settings.walker] == [
        ("me", 81.5),
        ("you", None),
    ]
    assert settings.walker[0].proven_kmh == {"backward": 2.0}


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("RETROWALK_MQTT__PASWORD", "geheim", "did you mean RETROWALK_MQTT__PASSWORD?"),
        ("RETROWALK_MQT__PASSWORD", "geheim", "did you mean RETROWALK_MQTT?"),
        ("RETROWALK_MQTT__URL__HOST", "x", "is not a known key"),
        ("RETROWALK_", "x", "here are known: bluetooth"),
        ("RETROWALK_WALKER__0__MASS_KG", "heavy", "must be a number"),
        ("RETROWALK_WALKER__0__MASS_KG", "nan", "must be a number"),
        ("RETROWALK_WALKER__0__MASS_KG", "70\nid = 'x'", "must be a number"),
        ("RETROWALK_WALKER__7__ID", "x", "counted from 0"),
        ("RETROWALK_WALKER__ID", "x", "is not a known key"),
    ],
)
def test_a_wrong_variable_is_named(file: Path, variable: str, value: str, words: str) -> None:
    """Not the file but the variable is at fault, and an unknown one is never ignored."""
    message = refusal(file, CONTRACT, {variable: value})
    assert f"{variable}:" in message
    assert words in message
    assert "geheim" not in message


def test_variable_with_no_table_to_stand_in(file: Path) -> None:
    """A file that has text where a table belongs is reported for itself, too."""
    message = refusal(file, 'mqtt = "x"\n', {"RETROWALK_MQTT__URL": "embedded"})
    assert "RETROWALK_MQTT__URL: has no place" in message
    assert f'{file}:1: mqtt = "x": must be a table' in message


# --- secrets -------------------------------------------------------------------------------------


def test_secrets_from_files_and_from_the_environment(file: Path) -> None:
    """Each secret has a ``_file`` form, relative to the settings; its line end does not count."""
    (file.parent / "password").write_text(" pass word \n")
    file.write_text('[mqtt]\npassword_file = "password"\n')
    settings = load_settings(file, {"RETROWALK_WEB__TOKEN": "t0ken"})
    assert settings.mqtt.password == SecretStr(" pass word ")
    assert settings.web.token == SecretStr("t0ken")


def test_a_secret_is_never_shown(file: Path) -> None:
    """Neither repr nor str nor JSON of the settings tells a secret."""
    file.write_text('[mqtt]\npassword = "hunter2"\n[web]\ntoken = "hunter3"\n')
    settings = load_settings(file, {})
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hunter" not in text


def test_environment_replaces_a_secret_in_either_form(file: Path) -> None:
    """A password in the environment wins over the file's ``password_file``, and the other way."""
    (file.parent / "new").write_text("new")
    file.write_text('[mqtt]\npassword_file = "gone"\n[web]\ntoken = "old"\n')
    settings = load_settings(
        file, {"RETROWALK_MQTT__PASSWORD": "given", "RETROWALK_WEB__TOKEN_FILE": "new"}
    )
    assert settings.mqtt.password == SecretStr("given")
    assert settings.web.token == SecretStr("new")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('password = "hunter2"\npassword_file = "f"', "give this or password, not both"),
        ('password_file = "none"', "cannot be read: No such file"),
        ('password_file = "binary"', "cannot be read: it is not UTF-8"),
        ('password_file = "empty"', "is an empty file"),
        ('password = ["hunter2"]', "must be text in quotes"),
        ('passwrd = "hunter2"', 'did you mean "password"?'),
        ('url = "mqtt://me:hunter2@host"', "put it in mqtt.password_file"),
        ('url = "tcp://me:hunter2@host"', "must be"),
    ],
)
def test_a_wrong_secret_is_refused_without_being_told(file: Path, text: str, words: str) -> None:
    """A message goes to logs and screenshots; it names the key and never the secret."""
    (file.parent / "f").write_text("hunter2")
    (file.parent / "binary").write_bytes(b"\xff\xfe")
    (file.parent / "empty").write_text("\n")
    message = refusal(file, f"[mqtt]\n{text}\n")
    assert words in message
    assert "hunter2" not in message


# --- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('languag = "de"', '1: languag: is not a known key; did you mean "language"?'),
        ("xyzzy = 1", "1: xyzzy: is not a known key; here are known: bluetooth, language"),
        ('language = "Deutsch"', '1: language = "Deutsch": '),
        ('[mqtt]\nurl = "http://x"', '2: mqtt.url = "http://x": must be "embedded" or mqtt://'),
        ('[[treadmill]]\nid = "a"\naddress = ""', "needs an address or a name"),
        ('[mqtt]\nurl = "mqtt://"', 'must be "embedded"'),
        ('[mqtt]\nurl = "mqtt://x:99999"', 'must be "embedded"'),
        ('[mqtt]\nurl = "mqtt://x/topic"', "and nothing after it"),
        ("[mqtt]\nurl = 1", "2: mqtt.url = 1: must be text in quotes"),
        ('[mqtt]\nbase_topic = "a/#"', '2: mqtt.base_topic = "a/#": must be a topic'),
        ('[mqtt]\nbase_topic = ""', "must be a topic"),
        ('[mqtt]\nbase_topic = "/a"', "must be a topic"),
        ('[mqtt]\nbase_topic = "a/"', "must be a topic"),
        ('[mqtt]\ndiscovery_prefix = "a b"', "must be a topic"),
        ('[web]\nlisten = "8321"', "must be host:port"),
        ('[web]\nlisten = "127.0.0.1"', "must be host:port"),
        ('[web]\nlisten = "::1:8321"', "must be host:port"),
        ('[web]\nlisten = "0.0.0.0:8321"', "anything but loopback needs web.token_file"),
        ('[web]\nlisten = "pi.lan:8321"', "anything but loopback needs web.token_file"),
        ('[safety]\nstart = "voice"', "2: safety.start = \"voice\": must be one of 'console'"),
        ('[safety]\nvoice = ["page", "fax"]', '2: safety.voice 2 = "fax": must be one of'),
        ("[safety]\nvoice = true", "2: safety.voice = true: must be a list"),
        ('[bluetooth]\nbackend = "bumble"', "2: bluetooth.backend"),
        ('[walker]\nid = "x"', "1: walker: must be a list: write [[walker]]"),
        ('[[walker]]\nlevel = "L0"', "1: walker 1.id: is missing"),
        ('[[walker]]\nid = "Me"', '2: walker 1.id = "Me": must be small letters'),
        ('[[walker]]\nid = "-a"', "must be small letters"),
        (f'[[walker]]\nid = "{"a" * 64}"', "must be small letters"),
        ('[[walker]]\nid = "a\\n"', 'walker 1.id = "a\\n": must be small letters'),
        ('[[walker]]\nid = "a"\nlevel = "L4"', "3: walker 1.level"),
        ('[[walker]]\nid = "a"\nmass_kg = true', "3: walker 1.mass_kg = true: must be a number"),
        ('[[walker]]\nid = "a"\nmass_kg = "70"', "must be a number"),
        ('[[walker]]\nid = "a"\nmass_kg = nan', "3: walker 1.mass_kg = nan: must be a number"),
        ('[[walker]]\nid = "a"\nmass_kg = 7', "must be at least 20"),
        ('[[walker]]\nid = "a"\nmax_speed_kmh = 0', "must be more than 0"),
        ('[[walker]]\nid = "a"\nmax_speed_kmh = inf', "must be a number"),
        ('[[walker]]\nid = "a"\ncomfort_kmh = 26', "must be at most 25"),
        ('[[walker]]\nid = "a"\naccepted_safety = 1.5', "must be a whole number"),
        ('[[walker]]\nid = "a"\nproven_kmh = {back = 2}', "3: walker 1.proven_kmh"),
        ('[[walker]]\nid = "a"\n[[walker]]\nid = "a"', '4: walker 2.id = "a": must be unique'),
        ('[[treadmill]]\nid = "a"', "1: treadmill 1: needs an address or a name"),
        ('[[treadmill]]\nid = "a"\naddress = "x"', "3: treadmill 1.address"),
        (
            (
                '[[treadmill]]\nid = "a"\naddress = "aa:bb:cc:dd:ee:ff"\n'
                '[[treadmill]]\nid = "b"\naddress = "AA:BB:CC:DD:EE:FF"'
            ),
            "6: treadmill 2.address",
        ),
        (
            '[[walker]]\nid = "anna"\n[[treadmill]]\nid = "a"\nname = "X"\nwalker = "ana"',
            '6: treadmill 1.walker = "ana": there is no such walker; did you mean "anna"?',
        ),
        (
            '[[treadmill]]\nid = "a"\nname = "X"\nwalker = "me"',
            "there is no such walker; there are: none",
        ),
        ("[mqtt]\nurl = embedded", "the settings are not TOML"),
    ],
)
def test_each_mistake_is_told_with_line_key_value_and_what_is_allowed(
    file: Path, text: str, expected: str
) -> None:
    """A table of bad settings: where it is, what it says, what it may say."""
    message = refusal(file, text + "\n")
    assert expected in message
    assert str(file) in message


def test_everything_wrong_is_told_at_once(file: Path) -> None:
    """Nobody mends a file one restart at a time."""
    message = refusal(
        file,
        '[mqtt]\nurl = 5\nretain = 1\n[web]\nlisten = "x"\n[[walker]]\nmass_kg = -1\n',
        {"RETROWALK_STORE__PAHT": "x"},
    )
    first, *findings = message.splitlines()
    assert first.endswith("in 6 places:")
    assert len(findings) == 6


def test_a_long_value_is_cut(file: Path) -> None:
    """A file in the wrong place does not flood the terminal."""
    assert len(refusal(file, f'[web]\nlisten = "{"x" * 9999}"\n')) < 400
