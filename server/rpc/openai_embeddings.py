"""Reads the body of an embeddings request as far as routing needs it."""

from collections.abc import Sequence

from server.routing.errors import PayloadTooLarge
from server.routing.reading.token_estimate import estimate_tokens
from server.rpc.openai_body import FORWARDED_BYTES_MAX, Json, parsed, refuse, sender, whole
from server.rpc.openai_chat import Chat
from server.rpc.wire import Bytes

# What OpenAI takes in one request.
INPUTS_MAX = 2_048
# Texts are of one caller and, as a rule, of one kind: the first say what they are about.
_READ_CHARS_MAX = 4_096


def read_embeddings(body: Bytes, *, field: str, bytes_max: int = FORWARDED_BYTES_MAX) -> Chat:
    """Reads what is to be embedded as if it were said in a chat; `field` is the path of `body`.

    Raises PayloadTooLarge, or PayloadMalformed with the place of the mistake.
    """
    if len(body) > bytes_max:
        raise PayloadTooLarge(f"{len(body):,} bytes: at most {bytes_max:,}", field=field)
    try:
        request = parsed(bytes(body), field)
    except RecursionError:
        refuse(field, "it is nested too deep")
    texts, tokens = _inputs(request.get("input"), f"{field}.input")
    asked = whole("\n".join(texts))
    return Chat(
        asked=asked[:_READ_CHARS_MAX],
        earlier="",
        messages=0,
        overhead_tokens=tokens + estimate_tokens(asked[_READ_CHARS_MAX:]),
        capabilities=(),
        response_format="",
        **sender(request, field)._asdict(),
    )


def _inputs(value: Json, field: str) -> tuple[Sequence[str], int]:
    """The texts, and how many tokens there are of what comes as tokens."""
    if isinstance(value, str):
        return (value,), 0
    if not isinstance(value, list) or not value:
        refuse(field, "must be text, or a list of texts or of tokens")
    if all(type(one) is int for one in value):
        return (), len(value)
    if len(value) > INPUTS_MAX:
        raise PayloadTooLarge(f"{len(value):,} inputs: at most {INPUTS_MAX:,}", field=field)
    texts, tokens = [], 0
    for i, one in enumerate(value):
        if isinstance(one, str):
            texts.append(one)
        elif isinstance(one, list) and one and all(type(token) is int for token in one):
            tokens += len(one)
        else:
            refuse(f"{field}[{i}]", "must be text, or a list of tokens")
    return texts, tokens
