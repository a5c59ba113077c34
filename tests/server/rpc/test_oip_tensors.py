"""What is read of the tensors of an OIP request."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.errors import InvalidRequest, PayloadMalformed
from server.routing.query import Tensor
from server.rpc import oip_tensors
from server.rpc.long_text import TEXT_BYTES_MAX, LongText
from server.rpc.oip_wire import NAME_BYTES_MAX, STEPS_MAX, TENSORS_MAX, read_request
from server.wire import oip_pb2

Input = oip_pb2.ModelInferRequest.InferInputTensor
Contents = oip_pb2.InferTensorContents


def request(*inputs: Input, raw: tuple[bytes, ...] = ()) -> bytes:
    return oip_pb2.ModelInferRequest(
        model_name="m", inputs=inputs, raw_input_contents=raw
    ).SerializeToString()


def read_tensors(data: bytes, *, field: str) -> tuple[Tensor, ...]:
    return oip_tensors.read_tensors(read_request(data, field=field), field=field)


def read_text(data: bytes) -> LongText:
    return oip_tensors.read_text(read_request(data, field=""))


def raw_string(*texts: bytes) -> bytes:
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def text_input(name: str = "text", *strings: bytes) -> Input:
    contents = Contents(bytes_contents=strings) if strings else None
    return Input(name=name, datatype="BYTES", shape=[1], contents=contents)


IMAGE = Input(name="page", datatype="UINT8", shape=[2, 3, 4])


def test_the_heads_of_tensors_are_read_whatever_they_hold() -> None:
    numbers = Contents(fp32_contents=[1.0, 2.0])
    given = request(IMAGE, Input(name="x", datatype="FP32", shape=[2], contents=numbers))
    assert read_tensors(given, field="oip_request") == (
        Tensor("page", "UINT8", 24),
        Tensor("x", "FP32", 2),
    )


def test_a_request_without_tensors_has_none() -> None:
    assert read_tensors(b"", field="") == ()


@pytest.mark.parametrize(
    ("shape", "elements"),
    [([], 1), ([0], 0), ([-1, 5], 5), ([2**31, 3], 3), ([2**20, 2**20], 2**31 - 1)],
)
def test_elements_are_those_of_the_sizes_that_are_known(shape: list[int], elements: int) -> None:
    given = request(Input(name="x", datatype="FP32", shape=shape))
    assert read_tensors(given, field="")[0].elements == elements


def test_a_shape_that_is_not_packed_is_read_too() -> None:
    tensor = b"\x0a\x01x\x12\x04FP32\x18\x02\x18\x03"
    assert read_tensors(b"\x2a" + bytes([len(tensor)]) + tensor, field="") == (
        Tensor("x", "FP32", 6),
    )


def test_of_many_tensors_the_first_are_read() -> None:
    assert len(read_tensors(request(*TENSORS_MAX * [IMAGE]), field="")) == TENSORS_MAX
    assert len(read_tensors(request(*(TENSORS_MAX + 1) * [IMAGE]), field="")) == TENSORS_MAX


@pytest.mark.parametrize(
    "tensor",
    [b"\x0a\x05x", b"\x0a\x01\xff", b"\x18", b"\x0b", b"\x07", b"\x08\x01" * (STEPS_MAX + 1)],
)
def test_a_malformed_tensor_is_refused_with_its_field(tensor: bytes) -> None:
    length = len(tensor)
    given = b"\x2a" + bytes([length & 127 | 128, length >> 7]) + tensor
    with pytest.raises(PayloadMalformed) as refused:
        read_tensors(given, field="oip_request")
    assert refused.value.field == "oip_request.inputs"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (request(text_input("a", b"hello")), "hello"),
        (request(text_input("a", "grüße".encode(), b"second")), "grüße"),
        (request(text_input(), raw=(raw_string(b"hello", b"second"),)), "hello"),
        (request(IMAGE, text_input(), raw=(b"pixels", raw_string(b"hello"))), "hello"),
        (request(IMAGE, text_input("a", b"hello")), "hello"),
        (request(IMAGE), ""),
        (request(text_input()), ""),
        (request(text_input(), raw=(b"",)), ""),
        (request(text_input(), raw=(b"\xff\xff\xff\xff!",)), ""),
        (request(text_input("a", b"\xff\xfe")), ""),
        (b"", ""),
    ],
)
def test_the_first_string_of_a_request_is_its_text(given: bytes, text: str) -> None:
    assert read_text(given) == LongText(text, 0)


def test_of_a_long_text_the_ends_are_read_and_the_rest_is_counted() -> None:
    half = TEXT_BYTES_MAX // 2
    fits = half * "ab"
    assert read_text(request(text_input("a", fits.encode()))) == LongText(fits, 0)
    longer = f"{fits}{400 * 'c'}{half * 'de'}".encode()
    text, more = read_text(request(text_input("a", longer)))
    assert (len(text), text[:4], text[-4:]) == (TEXT_BYTES_MAX + 1, "abab", "dede")
    assert more == (len(longer) - TEXT_BYTES_MAX) // 4


def test_a_character_that_is_cut_is_left_out() -> None:
    text, _ = read_text(request(text_input("a", b"x" + ("é" * TEXT_BYTES_MAX).encode())))
    assert set(text) == {"x", "é", "\n"}


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(PayloadMalformed):
        read_text(data + b"\x12\x05BYTES")
        read_tensors(data, field="f")


@given(st.binary(max_size=40))
def test_a_tensor_of_any_bytes_is_read_or_refused(tensor: bytes) -> None:
    given = b"\x2a" + bytes([len(tensor)]) + tensor
    read_text(given + b"\x3a\x07\x12\x05BYTES")
    with suppress(PayloadMalformed):
        read_tensors(given, field="")


MANY = STEPS_MAX // TENSORS_MAX


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param(b"\x20\x01" * MANY, id="fields"),
        pytest.param(b"\x1a\x7f" + b"\x01" * 127, id="sizes-packed"),
        pytest.param(b"\x18\x01" * MANY, id="sizes"),
        pytest.param(b"\x2a\x00" * MANY, id="contents"),
    ],
)
def test_all_tensors_together_have_one_budget_of_fields(tensor: bytes) -> None:
    length = bytes([len(tensor) & 127 | 128, len(tensor) >> 7])
    given = (b"\x2a" + length + tensor) * TENSORS_MAX
    with pytest.raises(PayloadMalformed, match="all tensors together") as refused:
        read_tensors(given, field="oip_request")
    assert refused.value.field == "oip_request.inputs"
    assert read_text(given + request(text_input("a", b"hello"))) == LongText("", 0)


def test_what_the_head_takes_is_not_there_for_tensors() -> None:
    parameters = b"\x22\x00" * (STEPS_MAX - 10)
    assert len(read_tensors(parameters + request(IMAGE), field="")) == 1
    with pytest.raises(PayloadMalformed):
        read_tensors(parameters + request(IMAGE, IMAGE), field="")


def test_a_tensor_of_a_thousand_strings_is_no_more_than_one_of_a_single_one() -> None:
    given = request(*TENSORS_MAX * [text_input("a", *1_000 * [b"hello"])])
    assert len(read_tensors(given, field="")) == TENSORS_MAX
    assert read_text(given).text == "hello"


def test_a_request_is_read_where_it_lies() -> None:
    data = memoryview(request(IMAGE, text_input("a", b"hello")))
    read = read_request(data, field="")
    assert oip_tensors.read_text(read).text == "hello"
    assert oip_tensors.read_tensors(read, field="")[0] == Tensor("page", "UINT8", 24)


def test_a_name_that_is_too_long_to_be_looked_at_is_refused_with_its_limit() -> None:
    fits = Input(name="x" * NAME_BYTES_MAX, datatype="FP32")
    assert read_tensors(request(fits), field="")[0].name == fits.name
    for longer in (Input(name=fits.name + "x"), Input(name="x", datatype=fits.name + "x")):
        with pytest.raises(InvalidRequest, match="longer than 256 bytes: shorten it") as refused:
            read_tensors(request(longer), field="oip_request")
        assert refused.value.field == "oip_request.inputs"
