"""The head of an OIP request, read without its tensors."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.errors import InvalidRequest, PayloadMalformed
from server.rpc.oip_wire import NAME_BYTES_MAX, STEPS_MAX, read_request
from server.wire import oip_pb2

Request = oip_pb2.ModelInferRequest

texts = st.text(st.characters(codec="utf-8"), max_size=200)
parameters = st.dictionaries(
    texts.filter(lambda key: key != "sequence_id"),
    st.builds(oip_pb2.InferParameter, string_param=texts)
    | st.builds(oip_pb2.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
    max_size=3,
)
tensors = st.builds(
    Request.InferInputTensor,
    name=texts,
    datatype=texts,
    shape=st.lists(st.integers(-1, 2**40), max_size=4),
    parameters=parameters,
)
requests = st.builds(
    Request,
    model_name=texts,
    model_version=texts,
    id=texts,
    parameters=parameters,
    inputs=st.lists(tensors, max_size=3),
    raw_input_contents=st.lists(st.binary(max_size=300), max_size=3),
)


def read_head(data: bytes, *, field: str) -> tuple[str, str]:
    request = read_request(data, field=field)
    return request.model_name, request.model_version


def refused(data: bytes, field: str = "oip_request") -> PayloadMalformed:
    with pytest.raises(PayloadMalformed) as found:
        read_head(data, field=field)
    return found.value


@given(requests)
def test_name_and_version_are_read_of_any_request(request: Request) -> None:
    head = read_head(request.SerializeToString(), field="oip_request")
    assert head == (request.model_name, request.model_version)


@given(requests, requests)
def test_of_what_is_said_twice_the_last_holds_as_in_protobuf(
    first: Request, second: Request
) -> None:
    both = first.SerializeToString() + second.SerializeToString()
    merged = Request.FromString(both)
    assert read_head(both, field="") == (merged.model_name, merged.model_version)


def test_an_empty_request_names_nothing() -> None:
    assert read_head(b"", field="oip_request") == ("", "")


@given(st.binary())
def test_any_bytes_are_read_or_refused_as_malformed(data: bytes) -> None:
    with suppress(PayloadMalformed):
        read_head(data, field="oip_request")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x0a", id="no-length"),
        pytest.param(b"\x0a\x05abc", id="too-short"),
        pytest.param(b"\x0a\x01\xff", id="no-text"),
        pytest.param(b"\x08\x00", id="a-number-for-a-name"),
        pytest.param(b"\x00\x00", id="field-0"),
        pytest.param(b"\x42\x00", id="field-8"),
        pytest.param(b"\x0b\x0c", id="a-group"),
        pytest.param(b"\xff" * 11, id="no-end-of-a-number"),
        pytest.param(b"\x0a" + b"\xff" * 9 + b"\x01", id="a-length-of-64-bits"),
    ],
)
def test_what_is_no_request_is_refused_by_its_field(data: bytes) -> None:
    assert refused(data).field == "oip_request"
    assert refused(data, field="").field == ""


@given(requests, st.data())
def test_a_request_that_is_cut_off_is_refused_unless_it_is_cut_between_fields(
    request: Request, data: st.DataObject
) -> None:
    whole = request.SerializeToString()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        read_head(cut, field="oip_request")
    except PayloadMalformed:
        assert cut != whole


def test_a_request_of_many_fields_is_read_up_to_a_bound() -> None:
    empty = b"\x3a\x00"  # an empty tensor
    assert read_head(empty * STEPS_MAX, field="oip_request") == ("", "")
    assert f"{STEPS_MAX:,}" in str(refused(empty * (STEPS_MAX + 1)))


@pytest.mark.parametrize(
    ("field", "path"), [("oip_request", "oip_request.parameters"), ("", "parameters")]
)
@pytest.mark.parametrize(
    "parameter",
    [oip_pb2.InferParameter(int64_param=7), oip_pb2.InferParameter(string_param="s")],
)
def test_a_sequence_is_refused_for_it_needs_one_endpoint(
    parameter: oip_pb2.InferParameter, field: str, path: str
) -> None:
    request = Request(parameters={"a": oip_pb2.InferParameter(), "sequence_id": parameter})
    with pytest.raises(InvalidRequest) as found:
        read_head(request.SerializeToString(), field=field)
    assert found.value.field == path


@pytest.mark.parametrize("key", ["sequence_idx", "sequence_i", "my_sequence_id", "sequence_start"])
def test_a_parameter_of_another_name_is_no_sequence(key: str) -> None:
    request = Request(parameters={key: oip_pb2.InferParameter(int64_param=1)})
    assert read_head(request.SerializeToString(), field="oip_request") == ("", "")


@pytest.mark.parametrize("field", ["model_name", "model_version"])
def test_a_name_is_no_longer_than_what_rules_look_at(field: str) -> None:
    named = Request()
    setattr(named, field, "x" * NAME_BYTES_MAX)
    assert "x" * NAME_BYTES_MAX in read_head(named.SerializeToString(), field="")
    setattr(named, field, "x" * (NAME_BYTES_MAX + 1))
    with pytest.raises(InvalidRequest, match="256 bytes") as found:
        read_head(named.SerializeToString(), field="f")
    assert found.value.field == f"f.{field}"
