"""When memory goes back to the system."""

from pathlib import Path

from server.app.memory import FREED_BYTES, REST_S, Freed, give_back


def test_nothing_is_given_back_while_nothing_is_freed() -> None:
    freed = Freed()
    assert not any(freed.is_due(held * FREED_BYTES, now_s=held) for held in range(100))


def test_memory_is_given_back_once_when_much_was_freed() -> None:
    freed = Freed()
    freed.is_due(3 * FREED_BYTES, now_s=0.0)
    assert not freed.is_due(2 * FREED_BYTES + 1, now_s=1.0)
    assert freed.is_due(2 * FREED_BYTES, now_s=2.0)
    assert not freed.is_due(2 * FREED_BYTES, now_s=100.0)


def test_it_rests_between_two_times_and_forgets_nothing_meanwhile() -> None:
    freed = Freed()
    freed.is_due(FREED_BYTES, now_s=0.0)
    assert freed.is_due(0, now_s=0.0)
    freed.is_due(FREED_BYTES, now_s=1.0)
    assert not freed.is_due(0, now_s=2.0)
    assert freed.is_due(0, now_s=REST_S)


def test_free_memory_goes_back_to_the_system() -> None:
    """Freed behind pieces that stay, it would be kept."""
    pieces = [bytearray(b"x" * 100_000) for _ in range(1_000)]
    stay = pieces[::10]
    before = _resident_bytes()
    pieces.clear()
    give_back()
    assert before - _resident_bytes() > 80_000_000
    assert len(stay) == 100


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096
