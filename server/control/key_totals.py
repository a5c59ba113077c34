"""What was asked by each key, summed over workers and their restarts."""

from collections.abc import Container
from typing import NamedTuple


class KeyTotal(NamedTuple):
    """Of one key."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0

    def plus(self, other: "KeyTotal") -> "KeyTotal":
        return KeyTotal(*map(sum, zip(self, other, strict=True)))


_NOTHING = KeyTotal()


class KeyTotals:
    """A worker tells what it has counted since its start; another start of it begins at zero.

    At most as many as there are keys and workers.
    """

    def __init__(self) -> None:
        self._ended: dict[str, KeyTotal] = {}  # by workers' starts that are over
        # By worker: its start, and what it has counted since.
        self._live: dict[str, tuple[str, dict[str, KeyTotal]]] = {}

    def count(self, worker: str, boot: str, id_: str, total: KeyTotal) -> None:
        """Takes what a worker has counted of a key by now."""
        known, keys = self._live.get(worker, (boot, {}))
        if known != boot:
            for ended, so_far in keys.items():
                self._ended[ended] = self._ended.get(ended, _NOTHING).plus(so_far)
            keys = {}
        keys[id_] = total
        self._live[worker] = boot, keys

    def of(self, id_: str) -> KeyTotal:
        """Since the service started, as far as it was told."""
        total = self._ended.get(id_, _NOTHING)
        for _, keys in self._live.values():
            total = total.plus(keys.get(id_, _NOTHING))
        return total

    def keep(self, ids: Container[str]) -> None:
        """Forgets every other key."""
        self._ended = {id_: total for id_, total in self._ended.items() if id_ in ids}
        self._live = {
            worker: (boot, {id_: total for id_, total in keys.items() if id_ in ids})
            for worker, (boot, keys) in self._live.items()
        }
