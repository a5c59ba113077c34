"""Who gives way when too much is held."""

from server.transport.held_bytes import HeldBytes


class Holder:
    def __init__(self) -> None:
        self.gave_way: list[str] = []

    def give_way(self, limit: str) -> None:
        self.gave_way.append(limit)


def test_what_is_held_is_counted_in_all() -> None:
    held, one, other = HeldBytes(bytes_max=10, in_all_max=100), Holder(), Holder()
    held.hold(one.give_way, 5)
    held.hold(other.give_way, 6)
    held.hold(one.give_way, 2)
    assert held.in_all == 8
    held.hold(one.give_way, 0)
    held.hold(other.give_way, 0)
    assert held.in_all == 0
    assert one.gave_way == other.gave_way == []


def test_one_that_holds_more_than_its_share_gives_way() -> None:
    held, one = HeldBytes(bytes_max=10, in_all_max=100), Holder()
    held.hold(one.give_way, 10)
    assert one.gave_way == []
    held.hold(one.give_way, 11)
    assert one.gave_way == ["held_bytes"]


def test_whoever_holds_most_gives_way_when_all_hold_too_much() -> None:
    held, large, small = HeldBytes(bytes_max=10, in_all_max=12), Holder(), Holder()
    held.hold(large.give_way, 9)
    held.hold(small.give_way, 4)
    assert large.gave_way == ["held_bytes_in_all"]
    assert small.gave_way == []
