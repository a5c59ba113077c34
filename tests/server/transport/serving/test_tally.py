"""What the connections of a server count together."""

from server.transport.limit_log import LimitLog
from server.transport.serving.limits import ServerLimits
from server.transport.serving.tally import Tally


def tally_of(limits: ServerLimits) -> Tally:
    return Tally(limits, LimitLog(lambda after_s, call: None))


def test_connections_are_admitted_up_to_the_limit() -> None:
    tally = tally_of(ServerLimits(connections_max=2))
    assert [tally.admit(address) for address in ("a", "b", "c")] == ["", "", "connections"]
    assert tally.limits_reached == {"connections": 1}
    tally.places.leave("a")
    assert not tally.admit("c")
    assert tally.places.taken == 2


def test_an_address_is_admitted_up_to_its_limit() -> None:
    tally = tally_of(ServerLimits(connections_per_address_max=1))
    refused = "connections_per_address"
    assert [tally.admit(address) for address in ("a", "a", "b")] == ["", refused, ""]
    assert tally.limits_reached == {"connections_per_address": 1}
    tally.places.leave("a")
    assert not tally.admit("a")


def test_peers_without_an_address_are_not_counted_by_it() -> None:
    tally = tally_of(ServerLimits(connections_per_address_max=1))
    assert [tally.admit(""), tally.admit("")] == ["", ""]
