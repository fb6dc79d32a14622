"""What several commands ask of an argument."""

from collections.abc import Callable


def above_zero(most: float) -> Callable[[object, float | None], None]:
    """A validator for cyclopts: more than 0, at most ``most``; NaN is neither."""

    def validate(_type: object, value: float | None) -> None:
        if value is not None and not 0 < value <= most:
            raise ValueError(f"must be more than 0 and at most {most:g}")

    return validate
