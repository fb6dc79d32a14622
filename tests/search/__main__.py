"""``python -m tests.search``: search every scene, or show that the search misses no rule.

python -m tests.search                 every scene, closed over the coarse states
python -m tests.search --fine 20000    so many of the fine states of each scene as well
python -m tests.search --disable S7    switch a rule off, and print how it is broken then
python -m tests.search --mutants       every rule switched off, one after the other
"""

import argparse
import sys

from tests.search.explore import Report, Search
from tests.search.model import SCENES, coarse_key, fine_key
from tests.search.mutants import MUTANTS, Mutant
from tests.search.rules import RULES

AT_MOST = 20_000
"""How many states of one scene are expanded at the most; the coarse search ends by itself."""

BOUNDS = (
    "bounded: one program of three segments, five speeds, inclines 0 and 1, one walker, one boot",
    "         time in steps of 1, 3, 4, 6, 11, 125 and 901 s; ages told apart only at their limits",
    "         of worlds with the same abstract state the first one reached stands for the rest",
    "         not searched: S19 (crashes), S22 (heart rate), S23, split records, device quirks",
)


def _say(*what: object) -> None:
    """Print, a line each; nothing for nothing."""
    sys.stdout.write("".join(f"{line}\n" for line in what))
    sys.stdout.flush()


def search(*, at_most: int = AT_MOST, fine: bool = False) -> list[Report]:
    """Search every scene and print what was done."""
    reports = []
    for scene in SCENES.values():
        found = Search(scene, at_most=at_most, key=fine_key if fine else coarse_key).run()
        _say(found)
        reports.append(found)
    return reports


def challenge(mutant: Mutant) -> Report:
    """Search with one rule switched off, until that rule is seen to be broken."""
    with mutant.alive():
        return Search(SCENES[mutant.scene], at_most=AT_MOST, rule=mutant.rule).run()


def show(mutants: list[Mutant]) -> int:
    """Print for each mutant how its rule is broken; how many were missed."""
    missed = 0
    for mutant in mutants:
        report = challenge(mutant)
        how = f"{report.seconds:.1f} s" if report.found else "NOT FOUND"
        _say(f"{mutant.rule:4} off: {mutant.what}")
        _say(f"     {report.states} states, {report.transitions} transitions; {how}")
        missed += not report.found
        if report.found and len(mutants) < len(MUTANTS):
            _say(report.found[0])
    return missed


def main() -> int:
    """0: no rule is broken, or every disabled rule is missed; else 1. 2: no such rule."""
    parser = argparse.ArgumentParser(prog="python -m tests.search", description=__doc__)
    parser.add_argument("--disable", metavar="RULE", help="one of " + ", ".join(RULES))
    parser.add_argument("--mutants", action="store_true", help="disable each rule in turn")
    parser.add_argument("--fine", type=int, metavar="N", help="fine states to expand per scene")
    options = parser.parse_args()
    if options.mutants:
        return int(show(list(MUTANTS)) > 0)
    if options.disable:
        chosen = [mutant for mutant in MUTANTS if mutant.rule == options.disable.upper()]
        return int(show(chosen) > 0) if chosen else 2
    _say(*BOUNDS)
    reports = search()
    if options.fine:
        reports += search(at_most=options.fine, fine=True)
    for report in reports:
        _say(*report.found[:3])
    states = sum(report.states for report in reports)
    transitions = sum(report.transitions for report in reports)
    violations = sum(len(report.found) for report in reports)
    _say(f"states {states}, transitions {transitions}, violations {violations}")
    return int(violations > 0)


if __name__ == "__main__":
    sys.exit(main())
