from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from server.transport.places import Places

IN_ALL_MAX, OF_ADDRESS_MAX = 5, 2
_MOVES = st.lists(st.tuples(st.booleans(), st.sampled_from(["", "10.0.0.1", "10.0.0.2"])))


@given(_MOVES)
def test_neither_limit_is_exceeded_whoever_comes_and_goes(moves: list[tuple[bool, str]]) -> None:
    places = Places(in_all_max=IN_ALL_MAX, of_address_max=OF_ADDRESS_MAX)
    inside: Counter[str] = Counter()
    for comes, address in moves:
        if comes:
            is_full = inside.total() == IN_ALL_MAX
            has_its_part = bool(address) and inside[address] == OF_ADDRESS_MAX
            limit = places.take(address)
            assert bool(limit) == (is_full or has_its_part)
            inside[address] += not limit
        elif inside[address]:
            places.leave(address)
            inside[address] -= 1
        assert places.taken == inside.total()


def test_the_limit_that_is_reached_is_named() -> None:
    places = Places(in_all_max=2, of_address_max=1)
    assert [places.take(address) for address in ("a", "a", "b", "c")] == [
        "",
        "connections_per_address",
        "",
        "connections",
    ]
