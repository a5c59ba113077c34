import pytest

from server.rpc.author import who


@pytest.mark.parametrize(
    ("peer", "named"),
    [
        ("unix:", "uid 1000"),
        ("unix:/run/turnout/admin.sock", "uid 1000"),
        ("ipv4:10.0.0.7:53212", "token from 10.0.0.7"),
        ("ipv6:%5B2001:db8::7%5D:53212", "token from 2001:db8::7"),
        ("", "token from an unknown address"),
    ],
)
def test_who_asks_is_named_as_the_listener_knows_them(peer: str, named: str) -> None:
    assert who(peer, user=1000) == named
