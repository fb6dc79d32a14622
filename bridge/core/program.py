"""Where a training program stands: which segment, for how long, and what comes next.

The clock of a program runs only while the walker walks it: holding and pausing stand still.
Speeds here are ceilings, *requested* at most; the governor decides. Refuses to know the belt.
"""

from dataclasses import dataclass

from bridge.core.messages import Direction, Program, Segment, Walker

_DUST_S = 1e-6
"""Sums of ticks come out short by some 1e-10 s; a segment must not last a tick longer for that."""


@dataclass(slots=True)
class ProgramRun:
    """One program under way, as one walker walks it."""

    program: Program
    walker: Walker
    index: int = 0
    segment_elapsed_s: float = 0.0

    @property
    def segment(self) -> Segment:
        """The present segment; the last one stays when the program is over."""
        return self.program.segments[min(self.index, len(self.program.segments) - 1)]

    @property
    def next_segment(self) -> Segment | None:
        """The one after it, or ``None`` at the end."""
        index = self.index + 1
        return self.program.segments[index] if index < len(self.program.segments) else None

    @property
    def finished(self) -> bool:
        """Every segment has been walked."""
        return self.index >= len(self.program.segments)

    @property
    def remaining_s(self) -> float:
        """Seconds left in the present segment; a turn can take longer than its least time."""
        left_s = self.segment.duration_s - self.segment_elapsed_s
        return left_s if left_s > _DUST_S else 0.0

    def pass_time(self, seconds: float) -> None:
        """The walker walked on for this long."""
        self.segment_elapsed_s += seconds

    def go_on(self) -> None:
        """Enter the next segment."""
        self.index += 1
        self.segment_elapsed_s = 0.0

    def ceiling_kmh(self, segment: Segment) -> float:
        """The speed a segment asks for, for this walker."""
        if segment.relative == "comfort" and self.walker.comfort_kmh is not None:
            return self.walker.comfort_kmh
        return segment.speed_kmh


def proven_kmh(walker: Walker, direction: Direction) -> float:
    """S20: the speed this walker may be ramped to at once in this direction.

    What the walker has held, or what passing the gate into their level has shown.
    """
    level = walker.level
    if direction is Direction.FORWARD:
        assumed_kmh = level.assumed_proven_forward_kmh
    elif direction in {Direction.LATERAL_LEFT, Direction.LATERAL_RIGHT}:
        assumed_kmh = level.assumed_proven_lateral_kmh
    else:
        assumed_kmh = level.assumed_proven_backward_kmh
    held_kmh = [kmh for where, kmh in walker.proven_kmh if where is direction]
    return max(assumed_kmh, *held_kmh, 0.0)
