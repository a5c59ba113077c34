"""What budgets have spent in their periods, as earlier versions kept it in a file of its own."""

from pathlib import Path

from server.control.budgets import Spending
from server.control.kept_file import read_or_set_aside

# Of each budget, whose name has at most 63 characters, some 120.
SPENT_BYTES_MAX = 2**20


def restore_spent(path: Path, spending: Spending) -> None:
    """Takes up the file of an earlier version that ran since; else there is none.

    What is not ours is named in the log and set aside.
    """
    lost = "what budgets spent is lost, they begin anew"
    read_or_set_aside(path, spending.restore_json, bytes_max=SPENT_BYTES_MAX, lost=lost)
