"""What budgets have spent in their periods, as earlier versions kept it in a file of its own."""

import contextlib
from pathlib import Path

import structlog

from server.control.budgets import Spending
from server.control.kept_file import FileRefused, read_own, set_aside

# Of each budget, whose name has at most 63 characters, some 120.
SPENT_BYTES_MAX = 2**20

_log = structlog.get_logger()


def restore_spent(path: Path, spending: Spending) -> None:
    """Takes up the file of an earlier version that ran since; else there is none.

    What is not ours is named in the log and set aside.
    """
    try:
        spending.restore_json(read_own(path, bytes_max=SPENT_BYTES_MAX))
    except FileNotFoundError:
        return
    except (FileRefused, ValueError) as error:
        with contextlib.suppress(OSError):
            set_aside(path)
        _log.warning(
            "what budgets spent is lost, they begin anew: the file is set aside",
            file=str(path),
            error=str(error),
        )
