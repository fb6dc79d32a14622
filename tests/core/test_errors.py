"""The error tree: one root, and the branches that its picture shows."""

import re

import pytest

from bridge.core import errors
from bridge.core.errors import BridgeError

BRANCHES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, Exception) and value is not BridgeError
}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """The picture at the top of the module names every branch, and no other."""
    assert set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) == set(BRANCHES)
    assert {"LinkError", "DecodeError", "ProfileError", "ConfigError", "StoreError"} <= set(
        BRANCHES
    )


def test_the_root_is_no_builtin_fault() -> None:
    """One ``except`` at the edge tells the project's own errors from bugs."""
    assert BridgeError.__bases__ == (Exception,)


@pytest.mark.parametrize("name", sorted(BRANCHES))
def test_the_branches_are_told_apart(name: str) -> None:
    """Nobody catches one fault as another; the message is kept as it was raised."""
    branch = BRANCHES[name]
    assert branch.__bases__ == (BridgeError,)
    assert str(branch("line 3: what is allowed")) == "line 3: what is allowed"
