"""What the connections of a server count together."""

from server.transport.server_limits import ServerLimits
from server.transport.tally import Tally


def test_connections_are_admitted_up_to_the_limit() -> None:
    tally = Tally(ServerLimits(connections_max=2))
    assert [tally.admit(address) for address in ("a", "b", "c")] == [True, True, False]
    assert tally.limits_reached == {"connections": 1}
    tally.leave("a")
    assert tally.admit("c")
    assert tally.connections == 2


def test_an_address_is_admitted_up_to_its_limit() -> None:
    tally = Tally(ServerLimits(connections_per_address_max=1))
    assert [tally.admit(address) for address in ("a", "a", "b")] == [True, False, True]
    assert tally.limits_reached == {"connections_per_address": 1}
    tally.leave("a")
    assert tally.admit("a")


def test_peers_without_an_address_are_not_counted_by_it() -> None:
    tally = Tally(ServerLimits(connections_per_address_max=1))
    assert [tally.admit(""), tally.admit("")] == [True, True]
