"""What of an endpoint's own words about a failure may be passed on.

Some servers quote the request, or the key, in their errors. What quotes either is left out: our
errors are logged and traced, and prompts are nobody's business there.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from server.upstream.openai.usage import Json

# An error's body is read no further.
ERROR_BYTES_MAX = 16 * 2**10
# A request beyond this is not compared, so nothing is passed on: to read it again takes too long.
COMPARED_BYTES_MAX = 64 * 2**10
WORDS_CHARS_MAX = 512
# So many characters in a row are a quotation. Names of parameters are longer, but they are keys of
# the request, and only its values are compared.
_QUOTED_CHARS = 12

# What these hold is a word of the protocol, or ours.
_NO_PROMPT = frozenset({"model", "role", "type"})

_NOT_BARE = re.compile(r"[\W_]+")
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Told(NamedTuple):
    """What an endpoint said of a failure."""

    code: str = ""  # such as "model_not_found"
    words: str = ""


def told(error: Json) -> Told:
    """Of the `error` of an answer: an object, as OpenAI has it, or text."""
    if isinstance(error, str):
        return Told(words=error[:WORDS_CHARS_MAX])
    if not isinstance(error, dict):
        return Told()
    code, message = error.get("code"), error.get("message")
    is_code = isinstance(code, str) and _PLAIN.fullmatch(code)
    return Told(
        code if is_code and isinstance(code, str) else "",
        message[:WORDS_CHARS_MAX] if isinstance(message, str) else "",
    )


def told_in(body: bytes) -> Told:
    """Of the body of an answer that is not 200."""
    try:
        answer: Json = json.loads(body)
    except (ValueError, RecursionError):
        return Told()
    if isinstance(answer, list) and answer:  # Google's
        answer = answer[0]
    if not isinstance(answer, dict):
        return Told()
    # FastAPI has `detail`, and what it objects to in it.
    return told(answer.get("error") or answer.get("message") or answer.get("detail"))


def fit_to_pass_on(words: str, request: bytes, secrets: Iterable[str]) -> str:
    """The words, in one line; empty where they quote the request or a secret."""
    if len(request) > COMPARED_BYTES_MAX:
        return ""
    return fit_among(words, chain(secrets, _values(request)))


def fit_among(words: str, private: Iterable[str]) -> str:
    """The words, in one line; empty where they quote something private."""
    bare = _bare(words)
    if not bare or any(_quotes(bare, _bare(text)) for text in private):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())


def _quotes(bare: str, value: str) -> bool:
    """Whether a long enough run of the value is in it, or all of a shorter one."""
    if len(value) <= _QUOTED_CHARS:
        return len(value) >= _QUOTED_CHARS // 2 and value in bare
    last = len(bare) - _QUOTED_CHARS
    return any(bare[i : i + _QUOTED_CHARS] in value for i in range(last + 1)) or value in bare


def _values(request: bytes) -> Iterator[str]:
    """Every text that is a value in the request."""
    try:
        waiting: list[Json] = [json.loads(request)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += [inner for key, inner in value.items() if key not in _NO_PROMPT]


def _bare(text: str) -> str:
    """Without what escapes and quotation marks change."""
    return _NOT_BARE.sub("", text).casefold()
