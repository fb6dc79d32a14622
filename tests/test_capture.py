"""Captures: what is written down, that it can be walked again, and what a bad one says."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.capture import CaptureTap, capturing
from bridge.capture_file import Frame, Header, read_capture, scrubbed_name
from bridge.cli.app import main
from bridge.clock import PacedClock
from bridge.core.deck import PilotSettings
from bridge.core.errors import CaptureError
from bridge.core.messages import (
    ControlPointWrite,
    Identity,
    Input,
    LinkUp,
    Machine,
    Phase,
    Verb,
)
from bridge.device_profile import load_devices
from bridge.replay import replay, settings_for
from bridge.simulator.model import find_model
from tests.virtual import Walk, settings

SEQUENCES = Path(__file__).resolve().parents[2] / "shared" / "vectors" / "sequences"
HEADER = '{"type":"header","schema":1,"device":"Test"}'


@dataclass
class CapturedWalk(Walk):
    """A walk in virtual time, with a tap beside it."""

    tap: CaptureTap | None = None

    def give(self, item: Input) -> None:
        """Write it down, then hand it over."""
        assert self.tap is not None
        self.tap.item(self.now_s, _with_reads(item, self))
        super().give(item)

    def tick(self) -> None:
        """Write it down, then let time pass."""
        assert self.tap is not None
        self.tap.tick(self.now_s)
        super().tick()

    def _write(self, write: ControlPointWrite) -> None:
        assert self.tap is not None
        self.tap.write(self.now_s, write)
        super()._write(write)


def _with_reads(item: Input, walk: Walk) -> Input:
    """What a radio would have read at connect."""
    if not isinstance(item, LinkUp):
        return item
    reads = []
    for uuid16 in (0x2ACC, 0x2AD4, 0x2AD5):
        with suppress(LookupError):
            reads.append((uuid16, walk.server.read(uuid16)))
    identity = Identity(name="FS-D9D0A1", manufacturer="Tests", model="Belt", serial="SECRET-1")
    return LinkUp(machine=Machine(identity=identity, reads=tuple(reads)), device=item.device)


def captured(
    folder: Path,
    course: Callable[[Walk], None],
    *,
    configured: PilotSettings | None = None,
    **walk: object,
) -> tuple[Path, Walk]:
    """A capture of one walk in virtual time."""
    path = folder / "walk.jsonl"
    with path.open("w", encoding="utf-8") as file:
        driven = configured or settings()
        tap = CaptureTap(file, 1000.0)
        tap.driven_by(driven)
        done = CapturedWalk(settings=driven, tap=tap, **walk)  # type: ignore[arg-type]
        course(done)
    return path, done


def whole(walk: Walk) -> None:
    """First minute, to its end."""
    walk.arm()
    walk.run_until(lambda each: each.state.phase is Phase.ENDED)


def with_a_drop_and_a_stop(walk: Walk) -> None:
    """The link is lost and found; then somebody stops."""
    walk.arm()
    walk.run_for(40)
    walk.disconnect()
    walk.run_for(5)
    walk.connect()
    walk.run_for(30)
    walk.ask(Verb.STOP, now=True)
    walk.run_until(lambda each: each.state.phase is Phase.ENDED)


@pytest.mark.parametrize("course", [whole, with_a_drop_and_a_stop])
def test_a_capture_of_our_own_gives_the_same_events_and_writes(
    tmp_path: Path, course: Callable[[Walk], None]
) -> None:
    """A bug report is a file: same inputs, same events in the same order, same bytes written."""
    path, walk = captured(tmp_path, course)
    header, items = read_capture(path)
    again = replay(header, items, settings_for(header), "first-minute")
    assert [event["type"] for event in again.events] == walk.types
    assert [write["hex"] for write in again.writes] == [data.hex() for _, data in walk.writes]
    assert again.malformed == 0


@pytest.mark.parametrize(
    "ident", ["standard", "kingsmith-mc21", "tm4800", "fitshow-fs-d9d0a1", "matrix-t600x"]
)
def test_captures_of_simulated_models_walk_again(tmp_path: Path, ident: str) -> None:
    """Miles, answers elsewhere, wrong order, fading targets: the same events, the same bytes."""
    quirks = {name: profile.quirks for name, profile in load_devices().items()}
    path, walk = captured(
        tmp_path, whole, model=find_model(ident), device=ident, configured=settings(devices=quirks)
    )
    header, items = read_capture(path)
    again = replay(header, items, settings_for(header), "first-minute")
    assert "session_ended" in walk.types
    assert [event["type"] for event in again.events] == walk.types
    assert [write["hex"] for write in again.writes] == [data.hex() for _, data in walk.writes]


def test_nothing_tells_one_machine_from_its_sisters(tmp_path: Path) -> None:
    """Serial numbers and the tail of the name are not in the file."""
    path, _ = captured(tmp_path, lambda walk: walk.run_for(3))
    text = path.read_text(encoding="utf-8")
    assert "SECRET" not in text
    assert "D9D0A1" not in text
    assert "FS-XXXXXX" in text


@pytest.mark.parametrize(
    ("name", "scrubbed"),
    [
        ("FS-D9D0A1", "FS-XXXXXX"),
        ("F63MAX-1218", "F63MAX-XXXX"),
        ("KS-HD-Z1D", "KS-HD-Z1D"),
        ("Treadmill", "Treadmill"),
        ("", ""),
    ],
)
def test_scrubbed_names_still_match_their_family(name: str, scrubbed: str) -> None:
    """What names a model stays; four or more octet digits with a number among them go."""
    assert scrubbed_name(name) == scrubbed


@pytest.mark.parametrize(
    ("name", "events", "malformed"),
    [
        ("blebridge-walk", ["session_started", "runaway", "belt_stopped", "session_ended"], 0),
        ("blebridge-run", ["armed"], 0),
        ("hometro-control", ["armed"], 0),
    ],
)
def test_sequences_of_real_machines(name: str, events: list[str], malformed: int) -> None:
    """Other people's captures replay: adoption at 1.0, a console that jumps to 3.0, 12 km/h."""
    path = SEQUENCES / f"{name}.jsonl"
    if not path.exists():
        pytest.skip("not run: the captures of other projects are not beside this checkout")
    header, items = read_capture(path)
    done = replay(header, items, settings_for(header), "first-minute")
    seen = [str(event["type"]) for event in done.events]
    assert [kind for kind in events if kind in seen] == events
    assert done.malformed == malformed
    assert done.frames == sum(isinstance(item, Frame) for item in items)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "empty"),
        ('{"type":"header"', ":1: not a line of JSON"),
        ('{"type":"header","schema":9}', ":1: schema"),
        (f"{HEADER}\n" + '{"t":0,"dir":"rx","op":"notify","characteristic":"2acd","hex":"0', ":2:"),
        (
            f"{HEADER}\n" + '{"t":0,"dir":"rx","op":"notify","characteristic":"2acd","hex":"0z"}',
            ":2: hex",
        ),
        (
            f"{HEADER}\n" + '{"t":0,"dir":"tx","op":"notify","characteristic":"2acd","hex":"00"}',
            "does not go with",
        ),
        (HEADER + '\n{"t":2,"event":"a"}\n{"t":1,"event":"b"}', ":3: t goes back"),
        (f"{HEADER}\n" + '{"t":0,"event":"command","data":{"verb":"jump"}}', "line 2"),
    ],
)
def test_a_bad_capture_is_refused_with_its_line(
    tmp_path: Path, lines: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and where to look."""
    path = tmp_path / "bad.jsonl"
    path.write_text(lines, encoding="utf-8")
    assert main(["replay", str(path)]) == 2
    assert message in capsys.readouterr().err


def test_replay_prints_one_json_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--json` is for programs."""
    path, walk = captured(tmp_path, lambda walk: walk.arm())
    assert main(["replay", str(path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [event["type"] for event in printed["events"]] == walk.types
    assert printed["writes"][0]["hex"] == "00"


def test_captures_are_never_overwritten(tmp_path: Path) -> None:
    """A second capture to the same file would destroy the first."""
    path = tmp_path / "once.jsonl"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(CaptureError, match="never overwritten"), capturing(path, PacedClock(1.0)):
        pass
    with (
        pytest.raises(CaptureError, match="cannot be written"),
        capturing(tmp_path / "no" / "folder", PacedClock(1.0)),
    ):
        pass
    assert path.read_text(encoding="utf-8") == "mine"


@given(st.lists(st.tuples(st.sampled_from(["2acd", "2ada", "2ad9", "2a37"]), st.binary())))
def test_any_bytes_replay(frames: list[tuple[str, bytes]]) -> None:
    """Whatever a machine says, a replay comes to its end."""
    header = Header.model_validate_json(HEADER)
    items = [
        Frame(t=float(at), dir="rx", op="notify", characteristic=uuid, hex=payload.hex())
        for at, (uuid, payload) in enumerate(frames)
    ]
    done = replay(header, list(items), settings_for(header), "first-minute")
    assert done.frames == len(frames)


def test_a_full_disk_ends_the_capture_and_not_the_walk(tmp_path: Path) -> None:
    """What cannot be written is given up, once and for all."""
    file = (tmp_path / "full.jsonl").open("w", encoding="utf-8")
    tap = CaptureTap(file, 0.0)
    tap.item(0.0, LinkUp(machine=Machine()))
    file.close()

    class Full:
        """A disk without room."""

        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    tap._file = Full()  # type: ignore[assignment]
    tap.tick(1.0)
    tap.tick(2.0)
    assert tap._failed
