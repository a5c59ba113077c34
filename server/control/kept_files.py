"""Which files the control plane keeps, and where they are."""

from dataclasses import dataclass
from pathlib import Path

from server.control.state_file import FILE_NAME


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """What outlives the process."""

    live_config: Path  # the configuration with its live updates
    state: Path  # what was learned and spent
    spent: Path  # what budgets have spent in their periods, as earlier versions kept it
    updates: Path  # who changed what while it ran
    keys: Path  # what callers show, as hashes

    @classmethod
    def in_folder(cls, folder: Path) -> "KeptFiles":
        """Under the names that they have in the state folder."""
        return cls(
            folder / "live.json",
            folder / FILE_NAME,
            folder / "spent.json",
            folder / "updates.jsonl",
            folder / "keys.json",
        )
