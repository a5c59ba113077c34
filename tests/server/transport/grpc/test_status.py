"""How calls end, in trailers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.status_code import Code
from server.transport.grpc.status import OK_TRAILERS, percent_decoded, percent_encoded, trailers


def test_success_is_always_the_same_object() -> None:
    assert trailers(Code.OK) is OK_TRAILERS


def test_an_error_has_its_message_before_its_metadata() -> None:
    assert trailers(Code.NOT_FOUND, "no", ((b"a", b"1"),)) == (
        (b"grpc-status", b"5"),
        (b"grpc-message", b"no"),
        (b"a", b"1"),
    )


def test_an_error_without_a_message_has_none() -> None:
    assert trailers(Code.NOT_FOUND) == ((b"grpc-status", b"5"),)


@pytest.mark.parametrize(
    ("message", "value"),
    [
        ("plain text!", b"plain text!"),
        ("100%", b"100%25"),
        ("a\nb", b"a%0Ab"),
        ("é", b"%C3%A9"),
        ("\ta\t", b"%09a%09"),
        (" a b ", b"%20a b%20"),
        ("  ", b"%20%20"),
        ("\x7f", b"%7F"),
        ("\ud800", b"?"),
    ],
)
def test_a_message_is_percent_encoded(message: str, value: bytes) -> None:
    assert percent_encoded(message) == value


@given(st.text())
def test_a_message_comes_back(message: str) -> None:
    expected = message.encode(errors="replace").decode()
    assert percent_decoded(percent_encoded(message)) == expected


@given(st.text(max_size=20))
def test_an_encoded_message_is_a_field_value_of_http(message: str) -> None:
    value = percent_encoded(message)
    assert all(0x20 <= byte <= 0x7E for byte in value)
    assert value == value.strip()


@pytest.mark.parametrize(
    ("value", "message"), [(b"50%", "50%"), (b"%zz", "%zz"), (b"%FF", "\ufffd")]
)
def test_what_is_no_encoding_stays(value: bytes, message: str) -> None:
    assert percent_decoded(value) == message
