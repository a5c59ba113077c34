"""The stories of github.com/http2jp/hpack-test-case, from the folder `hpack` in TURNOUT_DATA."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import hpack
import pytest

from server.transport.http2.hpack.decoder import Decoder
from server.transport.http2.hpack.encoder import Encoder
from server.transport.http2.hpack.table import Header

ENCODERS = (
    "go-hpack",
    "haskell-http2-static-huffman",
    "nghttp2",
    "nghttp2-change-table-size",
    "python-hpack",
    "swift-nio-hpack-huffman",
)
# They were recorded before anyone limited header lists.
LIST_BYTES_MAX = 1_000_000


class Case(NamedTuple):
    table_bytes: int
    block: bytes
    headers: tuple[Header, ...]


Story = list[Case]


def stories(folder: str) -> Iterator[Story]:
    data = os.environ.get("TURNOUT_DATA")
    if data is None:
        pytest.skip("TURNOUT_DATA names no folder with recorded data")
    files = sorted((Path(data) / "hpack" / folder).glob("story_*.json"))
    assert files, f"TURNOUT_DATA/hpack/{folder} holds no story"
    for file in files:
        yield [
            Case(
                case.get("header_table_size") or 4_096,
                bytes.fromhex(case.get("wire", "")),
                tuple(
                    (name.encode(), value.encode())
                    for header in case["headers"]
                    for name, value in header.items()
                ),
            )
            for case in json.loads(file.read_text())["cases"]
        ]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_story_is_decoded(encoder: str) -> None:
    for story in stories(encoder):
        decoder = Decoder(list_bytes_max=LIST_BYTES_MAX)
        table_bytes = 4_096
        for case in story:
            if case.table_bytes != table_bytes:
                decoder.table_size(table_bytes := case.table_bytes)
            assert decoder.decode(case.block) == case.headers


def test_the_headers_of_every_story_arrive_at_us_and_at_the_library() -> None:
    for story in stories("raw-data"):
        encoder, decoder = Encoder(), Decoder(list_bytes_max=LIST_BYTES_MAX)
        theirs = hpack.Decoder(max_header_list_size=LIST_BYTES_MAX)
        for case in story:
            block = encoder.encode(case.headers)
            assert decoder.decode(block) == case.headers
            assert tuple(map(tuple, theirs.decode(block, raw=True))) == case.headers
