"""Addresses as people write them."""

import pytest

from server.transport.sockets.address import Address, AddressError, parse_address


@pytest.mark.parametrize(
    ("text", "address", "authority"),
    [
        ("127.0.0.1:8001", Address("127.0.0.1", 8001), "127.0.0.1:8001"),
        ("models.example:80", Address("models.example", 80), "models.example:80"),
        ("[::1]:8001", Address("::1", 8001), "[::1]:8001"),
        ("unix:/run/model.sock", Address(path="/run/model.sock"), "localhost"),
        ("unix:model.sock", Address(path="model.sock"), "localhost"),
    ],
)
def test_an_address_is_read_and_names_its_authority(
    text: str, address: Address, authority: str
) -> None:
    assert parse_address(text) == address
    assert parse_address(text).authority == authority


@pytest.mark.parametrize(
    "text", ["", "models", ":8001", "models:", "models:http", "models:65536", "models:-1", "m:٣"]
)
def test_what_is_no_address_is_told_what_one_looks_like(text: str) -> None:
    with pytest.raises(AddressError, match=r"write host:port, \[::1\]:port or unix:PATH"):
        parse_address(text)


def test_an_address_of_six_without_brackets_is_told_to_have_them() -> None:
    with pytest.raises(AddressError, match="needs brackets"):
        parse_address("::1:8001")


def test_a_socket_without_a_path_is_told_to_have_one() -> None:
    with pytest.raises(AddressError, match="has no path"):
        parse_address("unix:")
