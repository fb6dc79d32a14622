"""One open question at a time, answered only by its own id."""

import pytest

from bridge.core.messages import OpenPrompt
from bridge.core.prompts import PROMPT_TIMES_S, PromptKind, Prompts


@pytest.mark.parametrize(
    ("kind", "waits_s"),
    [(PromptKind.TETHER, 120.0), (PromptKind.TURN, 60.0), (PromptKind.RESUME, 120.0)],
)
def test_every_question_waits_its_own_time(kind: PromptKind, waits_s: float) -> None:
    """S13: a turn waits 60 s; at its limit, and then it is closed."""
    prompts = Prompts(prefix="garage-b1")
    asked = prompts.ask(kind, "Really?", 100.0)
    assert asked.public() == OpenPrompt(
        id="garage-b1-ask-1", text="Really?", expires_at_s=100.0 + waits_s
    )
    assert prompts.expire(100.0 + waits_s - 0.01) is None
    assert prompts.expire(100.0 + waits_s) is asked
    assert prompts.open is None
    assert prompts.expire(1e9) is None


def test_every_kind_has_a_time() -> None:
    """S18: no question waits for ever."""
    assert set(PROMPT_TIMES_S) == set(PromptKind)


def test_only_its_own_id_answers_a_question() -> None:
    """S13: not an older id, not a foreign one, not an empty one; and only once."""
    prompts = Prompts(prefix="garage-b1")
    older = prompts.ask(PromptKind.TETHER, "Tether?", 0.0)
    asked = prompts.ask(PromptKind.TURN, "Turned?", 1.0)
    for wrong in (older.id, "garage-b0-ask-2", "", asked.id.upper()):
        assert prompts.confirm(wrong) is None
        assert prompts.open is asked
    assert prompts.confirm(asked.id) is asked
    assert prompts.open is None
    assert prompts.confirm(asked.id) is None


def test_a_new_question_withdraws_the_old_one() -> None:
    """S14: one at a time."""
    prompts = Prompts(prefix="p")
    prompts.ask(PromptKind.TETHER, "1", 0.0)
    second = prompts.ask(PromptKind.RESUME, "2", 0.0)
    assert prompts.open is second
    assert second.id == "p-ask-2"


def test_a_withdrawn_question_cannot_be_answered() -> None:
    """Nor does its id come back with the next question."""
    prompts = Prompts(prefix="p")
    asked = prompts.ask(PromptKind.TURN, "?", 0.0)
    prompts.withdraw()
    assert prompts.confirm(asked.id) is None
    assert prompts.ask(PromptKind.TURN, "?", 0.0).id != asked.id
