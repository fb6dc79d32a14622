"""A small share of what `python -m tests.soak` does for hours."""

import pytest

from tests.soak import frames


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_frame_raises(seed: int) -> None:
    """Random and mutated frames through the decoder and a walking pilot: no exception."""
    decoded, refused = frames(3000, seed)
    assert decoded + refused == 3000
    assert refused > 0
