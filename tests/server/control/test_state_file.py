import gzip
import json
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.control.state_file import (
    LINE_BYTES_MAX,
    ROWS_AT_ONCE,
    TEXT_BYTES_MAX,
    Kept,
    Plain,
    StateInvalid,
    StateTooLarge,
    packed,
    unpacked,
)

HEAD = {"turnout_state": 1, "version": "0.1.0", "written_s": 7.5}

names = st.text(max_size=5)
numbers = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
leaves = st.none() | st.booleans() | numbers | names
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
plains = st.dictionaries(names, st.dictionaries(names, values, max_size=3), max_size=3)


def file_of(*lines: object) -> bytes:
    head, *body = [json.dumps(line).encode() + b"\n" for line in lines] or [b""]
    return gzip.compress(head) + gzip.compress(b"".join(body))


def kept(plain: Plain) -> bytes:
    return b"".join(packed(plain, written_s=7.5, version="0.1.0"))


@given(plains)
def test_what_is_kept_comes_back(plain: dict[str, dict[str, object]]) -> None:
    found = unpacked(kept(plain))
    told = {part: fields for part, fields in plain.items() if fields}
    assert found == Kept(7.5, "0.1.0", told)


@pytest.mark.parametrize("rows", [0, 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 3 * ROWS_AT_ONCE])
def test_a_long_list_comes_back_whole_from_its_lines(rows: int) -> None:
    content = kept({"a": {"b": iter(range(rows))}})
    assert unpacked(content).plain == {"a": {"b": list(range(rows))}}
    assert len(gzip.decompress(content).splitlines()) == 1 + max(-(-rows // ROWS_AT_ONCE), 1)


@given(st.binary(max_size=40))
def test_what_is_no_gzip_is_refused(content: bytes) -> None:
    with pytest.raises(StateInvalid):
        unpacked(content)


@pytest.mark.parametrize("written_s", ["1" + "0" * 400, "1e400", "-1e400", '"7.5"', "null"])
def test_a_file_of_no_time_that_a_clock_has_is_refused(written_s: str) -> None:
    head = f'{{"turnout_state": 1, "version": "x", "written_s": {written_s}}}\n'.encode()
    with pytest.raises(StateInvalid, match="when it was written"):
        unpacked(gzip.compress(head) + gzip.compress(b""))


@given(st.data())
def test_a_file_that_was_cut_off_is_refused(data: st.DataObject) -> None:
    whole = kept({"a": {"b": list(range(1_000))}})
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(StateInvalid):
        unpacked(whole[:length])


@given(st.data())
def test_of_a_file_with_another_byte_nothing_else_is_read(data: st.DataObject) -> None:
    whole = bytearray(kept({"a": {"b": list(range(1_000))}}))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with suppress(StateInvalid):  # heads of gzips have bytes that say nothing
        assert unpacked(bytes(whole)) == unpacked(kept({"a": {"b": list(range(1_000))}}))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (file_of(), "not Turnout's"),
        (file_of({"id": "a"}), "not Turnout's"),
        (file_of([1]), "not Turnout's"),
        (file_of(HEAD | {"turnout_state": 2}), "its schema is 2, this Turnout has 1"),
        (file_of({"turnout_state": 1}), "when it was written"),
        (file_of(HEAD, {"a": 1}), "no part, field and value"),
        (file_of(HEAD, ["a", "b", 1], ["a", "b", 2]), "a.b comes twice"),
        (file_of(HEAD, ["a", "b", [1]], ["a", "b", 2]), "a.b comes twice"),
        (file_of(HEAD, ["a", "b", float("nan")]), "NaN is no number"),
        (gzip.compress(b'{"turnout_state":1') + gzip.compress(b""), "more behind its end"),
        (gzip.compress(b"{}"), "ends too early"),
        (gzip.compress(b"[" * 100_000 + b"\n") + gzip.compress(b""), "no JSON of ours"),
        (file_of(HEAD) + b"more", "more behind its end"),
        (file_of(HEAD, ["a", "b", "x" * LINE_BYTES_MAX]), "larger than any that we write"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_ours_is_refused_and_says_why(content: bytes, why: str) -> None:
    with pytest.raises(StateInvalid, match=why):
        unpacked(content)


def test_a_small_file_that_inflates_to_much_is_refused_before_it_takes_the_memory() -> None:
    compressor = zlib.compressobj(1, wbits=31)
    line = json.dumps(["a", "b", ["x" * 100_000]]).encode() + b"\n"
    pieces = [gzip.compress(json.dumps(HEAD).encode() + b"\n")]
    pieces += [compressor.compress(line) for _ in range(TEXT_BYTES_MAX // len(line) + 1)]
    with pytest.raises(StateInvalid, match="larger than any that we write"):
        unpacked(b"".join((*pieces, compressor.flush())))


def test_what_was_learned_is_the_same_bytes_whenever_it_is_written() -> None:
    first, second = (packed({"a": {"b": [1]}}, written_s=s, version="1") for s in (7.5, 8.5))
    assert first.head != second.head
    assert first.body == second.body


def test_more_than_would_be_read_back_is_not_written() -> None:
    plain = {"a": {"b": range(10_000)}}
    with pytest.raises(StateTooLarge, match="more than 40,000 bytes of text"):
        packed(plain, written_s=7.5, version="", text_bytes_max=40_000)
    assert packed(plain, written_s=7.5, version="", text_bytes_max=100_000).body
