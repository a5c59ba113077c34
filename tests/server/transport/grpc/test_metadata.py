"""Metadata and timeouts, to and from headers."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.transport.grpc.metadata import (
    metadata_headers,
    read_metadata,
    read_timeout_s,
    timeout_header,
)

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789_.-", min_size=1, max_size=12).map(
    "x-".__add__
)
texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)
pairs = st.one_of(
    st.tuples(names.filter(lambda name: not name.endswith("-bin")), texts),
    st.tuples(names.map("{}-bin".format), st.binary(max_size=20)),
)


@given(st.lists(pairs, max_size=6).map(tuple))
def test_metadata_comes_back_in_order(sent: tuple[tuple[str, str | bytes], ...]) -> None:
    assert read_metadata(metadata_headers(sent)) == sent


@pytest.mark.parametrize("value", [b"\0", b"\0\1", b"\0\1\2", b""])
def test_a_binary_value_may_be_padded_or_not(value: bytes) -> None:
    padded = b64encode(value)
    headers = ((b"a-bin", padded), (b"a-bin", padded.rstrip(b"=")))
    assert read_metadata(headers) == (("a-bin", value), ("a-bin", value))


def test_binary_values_are_sent_without_padding() -> None:
    assert metadata_headers([("a-bin", b"\0")]) == ((b"a-bin", b"AA"),)


def test_binary_values_joined_by_commas_are_several() -> None:
    assert read_metadata([(b"a-bin", b"AA==,AQ, Ag==")]) == (
        ("a-bin", b"\0"),
        ("a-bin", b"\1"),
        ("a-bin", b"\2"),
    )


def test_a_value_that_is_no_base64_is_left_out() -> None:
    assert read_metadata([(b"a-bin", b"%"), (b"b", b"1")]) == (("b", "1"),)


def test_what_belongs_to_http_and_grpc_is_kept_out() -> None:
    reserved = [
        (b":path", b"/a/b"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"host", b"a"),
        (b"grpc-timeout", b"1S"),
        (b"grpc-encoding", b"gzip"),
        (b"grpc-accept-encoding", b"gzip"),
        (b"grpc-status", b"0"),
        (b"grpc-message", b""),
    ]
    assert read_metadata([*reserved, (b"user-agent", b"me"), (b"grpc-trace-bin", b"AA")]) == (
        ("user-agent", "me"),
        ("grpc-trace-bin", b"\0"),
    )


def test_whatever_http_lets_through_can_be_sent_back() -> None:
    headers = ((b"x~y", b"a\tb"), (b"z", b"\xe9"))
    assert metadata_headers(read_metadata(headers)) == headers


@pytest.mark.parametrize(
    "name",
    ["", "Upper", "a b", "a:b", ":path", "ä", "te", "connection", "content-type", "grpc-status"],
)
def test_a_name_that_may_not_be_sent_is_named(name: str) -> None:
    with pytest.raises(ValueError, match="metadata may not be named"):
        metadata_headers([(name, "1")])


@pytest.mark.parametrize("value", ["a\nb", "a\0", "€"])
def test_a_value_that_may_not_be_sent_names_its_key(value: str) -> None:
    with pytest.raises(ValueError, match="metadata 'x-a' has to be printable"):
        metadata_headers([("x-a", value)])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"1H", 3_600.0),
        (b"2M", 120.0),
        (b"3S", 3.0),
        (b"4m", 4e-3),
        (b"5u", 5e-6),
        (b"6n", 6e-9),
        (b"99999999S", 99_999_999.0),
        (b"0S", 0.0),
        (b"007S", 7.0),
    ],
)
def test_every_unit_of_a_timeout_is_read(value: bytes, seconds: float) -> None:
    assert read_timeout_s(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [b"", b"S", b"1", b"1s", b"-1S", b"+1S", b"1_0S", b" 1S", b"1.5S", b"123456789S", b"1SS"],
)
def test_a_malformed_timeout_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="grpc-timeout"):
        read_timeout_s(value)


@given(st.floats(1e-9, 1e9))
def test_a_timeout_is_sent_as_finely_as_its_digits_can(timeout_s: float) -> None:
    name, value = timeout_header(timeout_s)
    assert name == b"grpc-timeout"
    assert read_timeout_s(value) == pytest.approx(timeout_s, rel=1e-4, abs=1e-9)
    assert read_timeout_s(value) <= timeout_s * (1 + 1e-9)


def test_a_timeout_of_ages_is_sent_as_the_longest() -> None:
    assert timeout_header(1e30) == (b"grpc-timeout", b"99999999H")


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_a_timeout_that_is_over_is_sent_as_the_shortest(timeout_s: float) -> None:
    assert timeout_header(timeout_s) == (b"grpc-timeout", b"1n")
