"""Calls that fail in the same words cost less from the second on; so many are kept and no more."""

import pytest

from server.transport.grpc.metadata import BINARY_KEPT_MAX, kept_binary, metadata_headers
from server.transport.grpc.status import FAILURES_KEPT_MAX, failure_trailers, trailers
from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.hpack.encoder import FAILURE_FIELDS_KEPT_MAX, Encoder, failure_literal


def test_the_trailers_of_failures_that_are_alike_are_one_object() -> None:
    details = metadata_headers([("grpc-status-details-bin", b"why")])
    first, again = (failure_trailers(14, "not now", details) for _ in range(2))
    assert first is again
    assert first == trailers(14, "not now", details)


def test_no_more_trailers_of_failures_are_kept_than_their_bound() -> None:
    for number in range(FAILURES_KEPT_MAX + 10):
        failure_trailers(14, f"not now {number}")
    assert failure_trailers.cache_info().currsize == FAILURES_KEPT_MAX


def test_no_more_binary_values_are_kept_than_their_bound_and_no_large_one() -> None:
    for number in range(BINARY_KEPT_MAX + 10):
        metadata_headers([("x-bin", b"%d" % number)])
    before = kept_binary.cache_info()
    assert before.currsize == BINARY_KEPT_MAX
    metadata_headers([("x-bin", bytes(2_000))])
    assert kept_binary.cache_info() == before


@pytest.mark.parametrize("name", [b"grpc-message", b"grpc-status-details-bin"])
def test_fields_of_failures_are_read_as_they_were_sent(name: bytes) -> None:
    encoder, decoder = Encoder(), Decoder()
    for value in (b"", b"short", b"x" * 126, b"x" * 127, b"x" * 5_000):
        assert decoder.decode(encoder.encode([(name, value)])) == ((name, value),)


def test_no_more_fields_of_failures_are_kept_than_their_bound() -> None:
    encoder = Encoder()
    for number in range(FAILURE_FIELDS_KEPT_MAX + 10):
        encoder.encode([(b"grpc-message", b"%d" % number)])
    assert failure_literal.cache_info().currsize == FAILURE_FIELDS_KEPT_MAX
