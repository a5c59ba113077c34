"""What may arrive costs no more memory than is promised."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.rpc.worst_requests import CASES

TIMES_MAX = 8
# What the smallest requests cost too: their answers, and what the allocator takes at a time.
BESIDES_BYTES = 8 * 2**20

Costs = dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def costs() -> Costs:
    """The size of each request and how many bytes the process grew by."""
    command = [sys.executable, "-m", "tests.server.rpc.worst_requests"]
    root = Path(__file__).parents[3]
    told = subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=120)
    measured: Costs = json.loads(told.stdout)
    return measured


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the memory of a process")
@pytest.mark.parametrize("name", CASES)
def test_the_worst_requests_cost_eight_times_their_bytes_at_most(costs: Costs, name: str) -> None:
    size, cost = costs[name]
    assert cost <= TIMES_MAX * size + BESIDES_BYTES
