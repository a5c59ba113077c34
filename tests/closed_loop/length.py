"""How many stories are told."""

import os

from hypothesis import HealthCheck, settings

# TURNOUT_STORIES=100 tells a hundred times as many as a commit has to pass, new ones each time.
TIMES = int(os.environ.get("TURNOUT_STORIES", "1"))
# Of each test: seconds of a machine that has others to serve beside it.
TIMEOUT_S = 600.0 * TIMES


def stories(count: int) -> settings:
    """Of one test."""
    return settings(
        max_examples=count * TIMES,
        derandomize=TIMES == 1,
        print_blob=TIMES > 1,
        suppress_health_check=[HealthCheck.too_slow],
    )
