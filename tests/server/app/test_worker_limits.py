"""What a worker lets its peers take, by the memory that it may take itself."""

import pytest

from server.app.handed_listener import WIRE_BYTES_MAX, worker_limits

MIB = 2**20


def test_two_thirds_of_a_workers_memory_may_hold_what_peers_send() -> None:
    assert worker_limits(1_536).held_bytes_in_all_max == 1_024 * MIB


def test_one_peer_may_hold_a_quarter_of_a_gibibyte() -> None:
    assert worker_limits(1_536).held_bytes_max == worker_limits(10_000).held_bytes_max == 256 * MIB


@pytest.mark.parametrize("memory_mib", [512, 1_536, 4_096])
def test_one_peer_may_hold_half_of_it_at_most_and_two_of_the_largest_messages_at_least(
    memory_mib: int,
) -> None:
    limits = worker_limits(memory_mib)
    assert 2 * WIRE_BYTES_MAX < limits.held_bytes_max <= limits.held_bytes_in_all_max / 2
