"""What goes out is what came in, but for the keys that are ours to set."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.upstream.openai.body import Outgoing
from server.upstream.openai.body import outgoing as outgoing_of
from server.upstream.openai.top_level import DEPTH_MAX, MEMBERS_MAX, Malformed, members

STREAMED = Outgoing("m-1", streams=True)
WHOLE = Outgoing("m-1", streams=False)
OURS = {"model", "stream", "stream_options"}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
keys = st.text() | st.sampled_from(["model", "stream", "stream_options", "max_tokens", "messages"])


def outgoing(body: bytes, change: Outgoing) -> bytes:
    return outgoing_of(body, change, tuple(members(body)))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Any JSON object, in any way of writing it; keys may occur twice."""
    pairs = draw(st.lists(st.tuples(keys, values), max_size=6))
    space = draw(st.sampled_from(["", " ", "\n\t", "\r\n  "]))
    is_ascii = draw(st.booleans())
    written = [
        space.join(
            (json.dumps(k, ensure_ascii=is_ascii), ":", json.dumps(v, ensure_ascii=is_ascii))
        )
        for k, v in pairs
    ]
    text = space + "{" + space + f"{space},{space}".join(written) + space + "}" + space
    return text.encode("utf-8", "replace")


@given(body=bodies(), change=st.sampled_from([STREAMED, WHOLE]))
def test_a_body_differs_only_in_the_keys_that_are_ours(body: bytes, change: Outgoing) -> None:
    before, after = json.loads(body), json.loads(outgoing(body, change))
    assert after["model"] == "m-1"
    assert [k for k in after if k not in OURS] == [k for k in before if k not in OURS]
    for key in before.keys() - OURS:
        assert repr(after[key]) == repr(before[key])


@given(body=bodies())
def test_a_stream_is_asked_for_with_its_usage_whatever_stood_there(body: bytes) -> None:
    before, after = json.loads(body), json.loads(outgoing(body, STREAMED))
    assert after["stream"] is True
    options = before.get("stream_options")
    if options is None:
        assert after["stream_options"] == {"include_usage": True}
    elif isinstance(options, dict):
        assert after["stream_options"] == {**options, "include_usage": True}
    else:
        assert after["stream_options"] == options


@given(body=bodies())
def test_every_key_of_a_body_is_found_where_it_lies(body: bytes) -> None:
    def pairs(text: bytes) -> Any:
        return json.loads(text, object_pairs_hook=list)

    found = [(one.key.decode(), pairs(body[one.begin : one.end])) for one in members(body)]
    assert repr(found) == repr(pairs(body))


def test_what_is_ours_is_set_where_it_stands_and_the_rest_stays_byte_for_byte() -> None:
    body = (
        b'{ "messages" : [{"role":"user","content":"a \\"model\\": x"}],\n"model":"auto" , "n":1.0}'
    )
    assert outgoing(body, WHOLE) == body.replace(b'"auto"', b'"m-1"')


def test_what_is_not_there_is_put_in_front() -> None:
    assert outgoing(b'{"n": 1}', WHOLE) == b'{"model":"m-1","n": 1}'
    assert outgoing(b" {} ", WHOLE) == b' {"model":"m-1"} '


def test_a_key_that_occurs_twice_is_set_at_both_places() -> None:
    assert outgoing(b'{"model":1,"mod\\u0065l":2}', WHOLE) == b'{"model":"m-1","mod\\u0065l":"m-1"}'


def test_an_answer_that_comes_whole_is_asked_for_as_such() -> None:
    body = b'{"model":"m-1","stream":true,"stream_options":{"include_usage":true}}'
    assert outgoing(body, WHOLE) == b'{"model":"m-1","stream":false,"stream_options":null}'
    assert outgoing(b'{"model":"m-1","stream":false}', WHOLE) == b'{"model":"m-1","stream":false}'


def test_usage_is_not_asked_for_where_that_is_refused() -> None:
    change = Outgoing("m-1", streams=True, asks_usage=False)
    assert outgoing(b'{"model":"a","stream":true}', change) == b'{"model":"m-1","stream":true}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {"max_completion_tokens": 10}),
        ({"max_tokens": None}, {"max_tokens": None, "max_completion_tokens": 10}),
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens": 11}, {"max_tokens": 10}),
        ({"max_completion_tokens": 1e9}, {"max_completion_tokens": 10}),
        (
            {"max_tokens": 99, "max_completion_tokens": 5},
            {"max_tokens": 10, "max_completion_tokens": 5},
        ),
        ({"max_tokens": "many"}, {"max_tokens": "many"}),
    ],
)
def test_a_limit_on_the_answer_is_lowered_and_never_raised(
    body: dict[str, Any], expected: dict[str, Any]
) -> None:
    limited = Outgoing("m-1", streams=False, output_tokens_max=10)
    assert json.loads(outgoing(json.dumps(body).encode(), limited)) == {"model": "m-1", **expected}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"a"',
        b"{",
        b'{"a"}',
        b'{"a":1',
        b'{"a":1}}',
        b'{"a":1} x',
        b"{a:1}",
        b'{"a":,}',
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        outgoing(body, WHOLE)


@pytest.mark.parametrize(("depth", "fits"), [(DEPTH_MAX, True), (DEPTH_MAX + 1, False)])
def test_a_value_may_be_nested_so_deep_and_no_deeper(depth: int, fits: bool) -> None:
    body = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    if fits:
        assert outgoing(body, WHOLE).endswith(body[1:])
    else:
        with pytest.raises(Malformed, match="64 levels"):
            outgoing(body, WHOLE)


@pytest.mark.parametrize(("count", "fits"), [(MEMBERS_MAX, True), (MEMBERS_MAX + 1, False)])
def test_an_object_may_have_so_many_keys_and_no_more(count: int, fits: bool) -> None:
    body = b"{" + b",".join(b'"k%d":1' % i for i in range(count)) + b"}"
    if fits:
        assert len(list(members(body))) == count
    else:
        with pytest.raises(Malformed, match="1,000 keys"):
            list(members(body))
