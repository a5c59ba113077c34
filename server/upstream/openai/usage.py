"""What servers say of tokens, as classes that share none.

OpenAI counts cached tokens inside prompt_tokens and reasoning inside completion_tokens. Others use
its words and count beside: where the numbers show it, that is what they are taken for.
"""

import json
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from server.token_usage import TokenUsage
from server.upstream.openai.top_level import Malformed, Member

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

# Beyond any context; a number above it is a mistake, and would be money.
TOKENS_MAX = 1_000_000_000
# A usage has some 20 numbers.
USAGE_BYTES_MAX = 16 * 2**10


def usage_in(answer: bytes, found: Iterable[Member]) -> TokenUsage | None:
    """Of a whole answer, of which `found` are the members; None where it does not tell.

    Raises Malformed.
    """
    told: TokenUsage | None = None
    for key, begin, end in found:
        if key == b"usage" and end - begin <= USAGE_BYTES_MAX:
            told = _parsed(answer[begin:end])
    return told


def usage_of(told: Json) -> TokenUsage | None:
    """Of what a server calls its usage; None where that says nothing that makes sense."""
    if not isinstance(told, dict):
        return None
    read = _count(told, "prompt_tokens", "input_tokens")
    written = _count(told, "completion_tokens", "output_tokens")
    if read is None and written is None:
        return None
    cached, put = _cached(told), _put(told)
    fresh = _fresh(told, read or 0, cached + put)
    reasoning = _reasoning(told)
    output = _said(told, read or 0, written or 0, reasoning)
    return TokenUsage(
        input=fresh,
        cached_input=cached,
        cache_write_input=put,
        output=output,
        reasoning=reasoning,
    )


def _parsed(value: bytes) -> TokenUsage | None:
    try:
        return usage_of(json.loads(value))
    except ValueError:
        raise Malformed("its usage is no JSON") from None


def _cached(told: Mapping[str, Json]) -> int:
    """Read from the provider's cache: as OpenAI, Anthropic and DeepSeek call it."""
    inner = _count(_input_details(told), "cached_tokens")
    return inner or _count(told, "cache_read_input_tokens", "prompt_cache_hit_tokens") or 0


def _put(told: Mapping[str, Json]) -> int:
    """Put into it: as OpenRouter and Anthropic call it."""
    inner = _count(_input_details(told), "cache_write_tokens", "cache_creation_tokens")
    return inner or _count(told, "cache_creation_input_tokens") or 0


def _fresh(told: Mapping[str, Json], read: int, by_cache: int) -> int:
    """Read, and neither from the cache nor into it."""
    anthropic = "prompt_tokens" not in told and "input_tokens_details" not in told
    is_beside = by_cache > read or (anthropic and "cache_read_input_tokens" in told)
    return read if is_beside else read - by_cache


def _reasoning(told: Mapping[str, Json]) -> int:
    for details in ("completion_tokens_details", "output_tokens_details"):
        found = _count(_section(told, details), "reasoning_tokens")
        if found is not None:
            return found
    return _count(told, "reasoning_tokens") or 0


def _said(told: Mapping[str, Json], read: int, written: int, reasoning: int) -> int:
    """Written for the caller."""
    # xAI and Gemini count reasoning beside what is written: their total shows it.
    is_beside = reasoning > written or (
        reasoning > 0 and _count(told, "total_tokens") == read + written + reasoning
    )
    return written if is_beside else written - reasoning


def _input_details(told: Mapping[str, Json]) -> Mapping[str, Json]:
    return _section(told, "prompt_tokens_details") or _section(told, "input_tokens_details")


def _section(told: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    found = told.get(key)
    return found if isinstance(found, dict) else {}


def _count(told: Mapping[str, Json], *keys: str) -> int | None:
    """The first of these that is a number of tokens."""
    for key in keys:
        found = told.get(key)
        if isinstance(found, bool) or not isinstance(found, int | float):
            continue
        if 0 <= found <= TOKENS_MAX:
            return int(found)
    return None
