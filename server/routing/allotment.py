"""How many of several requests each model takes at once: what picking one by one would come to."""

from collections.abc import Sequence


def allotted(owed: Sequence[float], count: int) -> list[int]:
    """Splits `count` requests so that what each is owed beyond its own is as equal as can be.

    `owed` is in requests. Who is owed less than others are left with gets none.
    """
    level = _level(owed, count)
    exact = [max(0.0, each - level) for each in owed]
    counts = [int(each) for each in exact]
    # What is left by rounding down goes to the largest remainders.
    by_remainder = sorted(range(len(owed)), key=lambda model: counts[model] - exact[model])
    left = count - sum(counts)
    for model in by_remainder[:left]:
        counts[model] += 1
    return counts


def _level(owed: Sequence[float], count: int) -> float:
    """What each taker would be left with if requests could be divided."""
    level, total = 0.0, -float(count)
    for takers, each in enumerate(sorted(owed, reverse=True), 1):
        if takers > 1 and each <= level:
            break
        total += each
        level = total / takers
    return level
