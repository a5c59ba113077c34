"""Which worker gets the next connection."""

from dataclasses import dataclass

# Handed over and not taken yet, of one worker: a burst fits, and a worker that hangs gets no more
# than these, which it takes with it. A Unix socket holds four times as many.
UNTAKEN_MAX = 64
# Held by one worker, taken or not: twice what its own limits admit. Beyond those it refuses in
# words; this bound is for a worker that does not come to it.
HELD_MAX = 32_768


@dataclass(slots=True)
class _Load:
    held: int = 0
    untaken: int = 0
    full: bool = False  # its channel takes no more until it has taken some


class Balance:
    """Counts what each worker holds. Those that hold as few take turns."""

    def __init__(self) -> None:
        self._loads: dict[str, _Load] = {}  # whoever was given one last comes last

    def join(self, worker: str) -> None:
        """The worker is there, and holds nothing."""
        self._loads[worker] = _Load()

    def leave(self, worker: str) -> None:
        """The worker is gone, with all that it held."""
        self._loads.pop(worker, None)

    def pick(self) -> str | None:
        """The worker that holds the fewest; None while each has enough to take."""
        best, fewest = None, HELD_MAX
        for worker, load in self._loads.items():
            if load.held < fewest and load.untaken < UNTAKEN_MAX and not load.full:
                best, fewest = worker, load.held
        return best

    def handed(self, worker: str) -> None:
        """It was given a connection."""
        load = self._loads[worker] = self._loads.pop(worker)
        load.held += 1
        load.untaken += 1

    def full(self, worker: str) -> None:
        """Its channel holds no more of what it has not taken: none until it has taken some."""
        self._loads[worker].full = True

    def count_connections(self, worker: str, *, taken: int, ended: int) -> None:
        """It has taken so many of those it was given, and so many have ended."""
        load = self._loads[worker]
        load.untaken -= taken
        load.held -= ended
        load.full = load.full and not taken
