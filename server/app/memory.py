"""Gives memory back to the system that the C library would keep."""

import asyncio
import ctypes
from collections.abc import Callable

# From here on a buffer is a mapping of its own: it grows without being copied, and goes back to the
# system when it is freed. The library would raise this to 32 MiB by itself. What is read from a
# socket at once stays below: to map it each time would cost more than reading it.
MAPPED_BYTES = 512 * 2**10
# So much less is held than there was: worth the milliseconds that giving it back takes.
FREED_BYTES = 8 * 2**20
# Between two times: where 600 MiB were freed in small pieces, a worker that wants memory meanwhile
# waits for up to 45 ms.
REST_S = 10.0
LOOK_EVERY_S = 1.0

_M_MMAP_THRESHOLD = -3  # of mallopt, in glibc's malloc.h


class Freed:
    """Is told how much is held and when; says when there is memory to give back."""

    def __init__(self) -> None:
        self._most_bytes = 0  # held since the last time
        self._given_back_s = float("-inf")

    def is_due(self, held_bytes: int, *, now_s: float) -> bool:
        """True once for each time that much was freed."""
        self._most_bytes = max(self._most_bytes, held_bytes)
        is_due = self._most_bytes - held_bytes >= FREED_BYTES
        if not is_due or now_s < self._given_back_s + REST_S:
            return False
        self._most_bytes, self._given_back_s = held_bytes, now_s
        return True


def map_large_buffers() -> None:
    """Once a process, where the C library is glibc."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)


def give_back() -> None:
    """Free pages go back to the system; other threads go on, until they want memory themselves."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


async def give_back_what_is_freed(held_bytes: Callable[[], int]) -> None:
    """Whenever much of what is held was freed; never ends."""
    freed, loop = Freed(), asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if freed.is_due(held_bytes(), now_s=loop.time()):
            await asyncio.to_thread(give_back)
