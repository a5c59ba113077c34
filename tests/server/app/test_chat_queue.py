"""Whose body is read next, and who leaves when there is no room."""

import asyncio
from collections.abc import Sequence
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from server.app.chat_queue import BODIES_MAX, BYTES_MAX, ChatQueue, Waiting
from server.rpc import openai_body
from server.rpc.openai_chat import Chat


def waiting(address: str, connection: str = "c", size_bytes: int = 1) -> Waiting:
    nobody = cast("asyncio.Future[Chat | Exception]", None)
    return Waiting(bytes(size_bytes), address, connection, nobody)


def put_all(queue: ChatQueue, bodies: Sequence[Waiting]) -> list[Waiting]:
    return [leaving for body in bodies for leaving in queue.put(body)]


def taken(queue: ChatQueue) -> list[Waiting]:
    return list(iter(queue.take, None))


def test_one_of_each_address_is_read_before_the_second_of_any() -> None:
    queue = ChatQueue()
    many = [waiting("a", f"a{number}") for number in range(3)]
    one, other = waiting("b"), waiting("c")
    put_all(queue, [*many, one, other])
    assert taken(queue) == [many[0], one, other, many[1], many[2]]


def test_connections_of_an_address_take_turns() -> None:
    queue = ChatQueue()
    many = [waiting("a", "first") for _ in range(3)]
    other = waiting("a", "second")
    put_all(queue, [*many, other])
    assert taken(queue) == [many[0], other, many[1], many[2]]


def test_who_comes_back_waits_for_those_that_wait() -> None:
    queue = ChatQueue()
    first, other, again = waiting("a"), waiting("b"), waiting("a")
    put_all(queue, [first, other])
    assert queue.take() is first
    queue.put(again)
    assert taken(queue) == [other, again]


def test_who_has_most_gives_way_with_what_came_last() -> None:
    queue = ChatQueue()
    many = [waiting("a") for _ in range(BODIES_MAX)]
    one = waiting("b")
    assert put_all(queue, [*many, one]) == [many[-1]]
    assert taken(queue) == [many[0], one, *many[1:-1]]


def test_who_has_most_gets_no_more_in() -> None:
    queue = ChatQueue()
    many = [waiting("a") for _ in range(BODIES_MAX + 2)]
    assert put_all(queue, many) == many[BODIES_MAX:]


def test_with_one_of_each_address_the_last_gets_no_place() -> None:
    queue = ChatQueue()
    each = [waiting(f"a{number}") for number in range(BODIES_MAX + 1)]
    assert put_all(queue, each) == [each[-1]]


def test_bytes_are_bounded_too() -> None:
    queue = ChatQueue()
    largest = [
        waiting("a", size_bytes=openai_body.FORWARDED_BYTES_MAX)
        for _ in range(BYTES_MAX // openai_body.FORWARDED_BYTES_MAX)
    ]
    assert put_all(queue, largest) == []
    one = waiting("b")
    assert queue.put(one) == [largest[-1]]


def test_who_left_is_not_read_and_makes_room() -> None:
    queue = ChatQueue(bodies_max=2)
    left, stays, late = waiting("a"), waiting("b"), waiting("c")
    put_all(queue, [left, stays])
    queue.discard(left)
    queue.discard(left)
    assert queue.put(late) == []
    assert taken(queue) == [stays, late]


bodies = st.lists(
    st.builds(waiting, st.sampled_from("abc"), st.sampled_from("xy"), st.integers(1, 5)),
    max_size=30,
)


@given(bodies)
def test_each_is_taken_once_or_leaves_and_limits_hold(come: list[Waiting]) -> None:
    queue = ChatQueue(bodies_max=5, bytes_max=12)
    left = put_all(queue, come)
    kept = taken(queue)
    assert len(kept) <= 5
    assert sum(len(body.body) for body in kept) <= 12
    assert {id(body) for body in kept} | {id(body) for body in left} == {id(b) for b in come}
    assert len(kept) + len(left) == len(come)
