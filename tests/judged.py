"""A walk in virtual time under the eyes of the judge."""

from dataclasses import dataclass, field

from bridge.core.messages import Input, Output
from tests.judge import Judge
from tests.virtual import Walk


@dataclass
class JudgedWalk(Walk):
    """A `Walk` of which every step is judged. ``judge.violations`` says what was wrong."""

    judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        """The judge sees the first connection too."""
        self.judge = Judge(settings=self.settings)
        self.ticked = True
        super().__post_init__()

    def give(self, item: Input) -> None:
        """Hand one input to the pilot, and to the judge before it."""
        self.judge.take_in(item, self.now_s)
        self.ticked = False
        super().give(item)
        self.ticked = True

    def _carry_out(self, outputs: list[Output]) -> None:
        self.judge.take_out(outputs, self.now_s)
        self.judge.look(self.state, self.now_s, ticked=self.ticked)
        super()._carry_out(outputs)
