"""An input that hangs, or kills its process, is told of like any other failure."""

import os
import re
import signal
from collections.abc import Callable
from functools import partial

import pytest

from benchmarks.fuzz.apart import Begin, Died, apart


def for_ever() -> None:
    while True:
        pass


def with_the_lock_held() -> None:
    """As a regular expression does: no thread of Python's can look."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def broken() -> None:
    raise LookupError("of the fuzzer itself")


def returns(size_bytes: int, _begin: Begin) -> bytes:
    return bytes(size_bytes)


def dies(fate: Callable[[], None], begin: Begin) -> None:
    begin(b"an input")
    begin(b"the last")
    fate()


def test_what_is_found_comes_back() -> None:
    assert apart(partial(returns, 2**20)) == bytes(2**20)


@pytest.mark.parametrize(
    ("fate", "why"),
    [
        (for_ever, "hang: it took more than 0.2 s"),
        (with_the_lock_held, "hang: it took more than 0.2 s"),
        (killed, "crash: SIGKILL"),
        (broken, "the fuzzer failed: exit status 3"),
    ],
)
def test_an_input_that_ends_its_process_is_told(fate: Callable[[], None], why: str) -> None:
    with pytest.raises(Died) as died:
        apart(partial(dies, fate), 0.2)
    assert (died.value.why, died.value.data) == (why, b"the last")
