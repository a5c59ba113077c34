"""Who is asked how good an answer was, and what is said."""

from dataclasses import dataclass
from random import Random

_RIGHT = 0.5  # a score from here on is that of a right answer


@dataclass(frozen=True, slots=True)
class Grading:
    """What becomes of answers whose grade is asked for."""

    answered: float = 1.0  # the part of them that is graded at all
    after_s: float = 0.0  # how long it takes
    wrong_passed: float = 0.0  # the part of wrong answers that is graded as right
    wrong_unreported: float = 0.0  # the part of wrong answers that nobody grades

    def grade(self, score: float, chance: Random) -> float | None:
        """The grade of an answer; None where none comes. Draws as often whatever the answer."""
        comes, reported, passed = chance.random(), chance.random(), chance.random()
        is_wrong = score < _RIGHT
        if comes >= self.answered or (is_wrong and reported < self.wrong_unreported):
            return None
        return 1.0 if is_wrong and passed < self.wrong_passed else score
