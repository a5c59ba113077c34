"""Who runs an endpoint, in the words of the GenAI conventions, as far as its address tells."""

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

# What hosts end with, and what the conventions call those who run them.
_BY_HOST = {
    "openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "cohere.ai": "cohere",
    "cohere.com": "cohere",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "mistral.ai": "mistral_ai",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
}
# As many endpoints as are asked much at a time.
_PLACES_REMEMBERED = 256


class Place(NamedTuple):
    """Where an endpoint is."""

    host: str
    port: int | None
    provider: str


@lru_cache(_PLACES_REMEMBERED)
def place_of(address: str, protocol: str) -> Place:
    """Of an endpoint nobody knows, the provider is called as the protocol is."""
    if address.startswith("unix:"):
        return Place(address.removeprefix("unix:"), None, protocol)
    parts = urlsplit(address if "://" in address else f"//{address}")
    host = parts.hostname or ""
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return Place(host, port, _provider(host) or protocol)


def _provider(host: str) -> str:
    """The longest ending that is known, at a dot or a hyphen."""
    ends = (
        known for known in _BY_HOST if host == known or host.endswith((f".{known}", f"-{known}"))
    )
    return _BY_HOST.get(max(ends, key=len, default=""), "")
