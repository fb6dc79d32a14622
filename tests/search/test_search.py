"""The search itself is a test: no rule is broken, and every rule that is switched off is missed."""

import pytest

from tests.search.__main__ import AT_MOST, challenge
from tests.search.explore import Search
from tests.search.model import SCENES
from tests.search.mutants import MUTANTS, Mutant
from tests.search.rules import RULES


@pytest.mark.parametrize("scene", SCENES)
def test_no_rule_is_broken(scene: str) -> None:
    """Every abstract state of a scene is reached, judged and expanded; none breaks a rule."""
    report = Search(SCENES[scene], at_most=AT_MOST).run()
    assert not report.found, str(report.found[0])
    assert report.unexpanded == 0
    assert report.cells > 200


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.rule} {mutant.what}")
def test_a_disabled_rule_is_missed(mutant: Mutant) -> None:
    """With the rule off the search finds a way to break just that rule, and can print it."""
    report = challenge(mutant)
    assert report.found, f"{report}: nothing noticed that {mutant.rule} is off"
    found = report.found[0]
    assert found.violation.rule == mutant.rule
    assert found.path
    assert found.violation.what in str(found)


def test_every_rule_has_a_mutant() -> None:
    """A rule that is looked for is also shown to be found."""
    assert {mutant.rule for mutant in MUTANTS} == set(RULES)
