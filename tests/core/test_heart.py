"""The heart rate's room: a limit, a strap, and its loss (S22)."""

import pytest

from bridge.core.heart import EASE_EVERY_S, SILENT_AFTER_S, Heart
from bridge.core.neighbours import HeartRate


def beating(bpm: int, limit_bpm: int | None = 130, now_s: float = 100.0) -> Heart:
    """A heart that has just been heard."""
    heart = Heart(limit_bpm=limit_bpm)
    heart.read(HeartRate(heart_rate_bpm=bpm, sensor_contact=True), now_s)
    return heart


@pytest.mark.parametrize(("bpm", "freezes"), [(129, False), (130, False), (131, True)])
def test_rises_freeze_above_the_limit_and_not_at_it(bpm: int, freezes: bool) -> None:
    """At the limit is allowed; above it nothing rises."""
    assert beating(bpm).freezes_rises(100.0) is freezes


def test_without_a_limit_or_a_strap_nothing_is_frozen() -> None:
    """Optional: no strap, no limit, no rule."""
    assert not beating(190, limit_bpm=None).freezes_rises(100.0)
    assert not Heart(limit_bpm=130).freezes_rises(100.0)
    assert not Heart(limit_bpm=130).ease_now(100.0)


@pytest.mark.parametrize(
    "measurement",
    [HeartRate(heart_rate_bpm=90, sensor_contact=False), HeartRate(heart_rate_bpm=0)],
)
def test_a_number_without_contact_is_not_believed(measurement: HeartRate) -> None:
    """A Polar H10 off the skin repeats its last number, with the contact bit clear."""
    heart = beating(140)
    heart.read(measurement, 101.0)
    assert heart.bpm == 140


def test_a_strap_that_falls_silent_freezes_and_is_not_shown() -> None:
    """Five missed seconds are an outage: no rise, no old number, and no easing on a guess."""
    heart = beating(100)
    late_s = 100.0 + SILENT_AFTER_S
    assert not heart.freezes_rises(late_s)
    assert heart.known_bpm(late_s) == 100
    assert heart.freezes_rises(late_s + 0.1)
    assert heart.known_bpm(late_s + 0.1) is None
    assert not beating(150).ease_now(late_s + 0.1)


def test_above_the_limit_one_step_every_twenty_seconds() -> None:
    """The first at once; back under the limit the count begins anew."""
    heart = beating(150)
    assert heart.ease_now(100.0)
    for at_s in range(101, 120):
        heart.read(HeartRate(heart_rate_bpm=150), float(at_s))
        assert not heart.ease_now(float(at_s))
    heart.read(HeartRate(heart_rate_bpm=150), 100.0 + EASE_EVERY_S)
    assert heart.ease_now(100.0 + EASE_EVERY_S)
    heart.read(HeartRate(heart_rate_bpm=120), 121.0)
    assert not heart.ease_now(121.0)
    heart.read(HeartRate(heart_rate_bpm=150), 122.0)
    assert heart.ease_now(122.0)
