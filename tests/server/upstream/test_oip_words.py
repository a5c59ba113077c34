"""What of an OIP endpoint's own words goes on to a caller."""

import pytest

from server.status_code import Code
from server.upstream.oip_words import told_words
from server.upstream.openai.words import COMPARED_BYTES_MAX
from server.wire import oip_pb2

PROMPT = "the launch code of the whale is plankton"
INVALID = Code.INVALID_ARGUMENT


def request(text: bytes = PROMPT.encode(), datatype: str = "BYTES", *, raw: bool = False) -> bytes:
    tensor = oip_pb2.ModelInferRequest.InferInputTensor(name="prompt", datatype=datatype, shape=[1])
    made = oip_pb2.ModelInferRequest(id="r1", inputs=[tensor])
    if raw:
        made.raw_input_contents.append(len(text).to_bytes(4, "little") + text)
    else:
        made.inputs[0].contents.bytes_contents.append(text)
    return made.SerializeToString()


def test_words_that_name_what_is_wrong_go_on() -> None:
    words = "unexpected shape for input 'prompt': expected [1,2], got [1,1]"
    assert told_words(INVALID, words, request()) == words


@pytest.mark.parametrize("raw", [False, True])
def test_words_that_quote_a_text_do_not(raw: bool) -> None:
    words = f"cannot answer {PROMPT!r}"
    assert "whale" not in told_words(INVALID, words, memoryview(request(raw=raw)))


@pytest.mark.parametrize("code", [Code.UNAUTHENTICATED, Code.PERMISSION_DENIED])
def test_what_it_says_of_keys_goes_on_to_nobody(code: Code) -> None:
    assert told_words(code, "the key sk-1 of acme is over", request()) == "it refused the call"


def test_of_a_request_too_large_to_compare_words_go_on_where_it_has_no_texts() -> None:
    large = b"x" * COMPARED_BYTES_MAX
    assert told_words(INVALID, "out of memory", request(large, "FP32", raw=True)) == "out of memory"
    assert told_words(INVALID, "out of memory", request(large, raw=True)) != "out of memory"


def test_what_is_no_request_is_compared_with_nothing() -> None:
    assert told_words(INVALID, "no such field", b"\xff") == "no such field"
