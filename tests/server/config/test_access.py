"""How a model's endpoints are reached: what contradicts itself, without a secret in any message."""

from typing import Any

import pytest

from server.config.changes import changes
from server.config.diagnostics import ConfigError
from server.config.endpoints import URL_CHARS_MAX, is_link_local
from server.config.models import HEADERS_MAX
from server.config.parse import parse
from server.config.schema import Config
from tests.server.configs import plain

SECRET = "sk-oops-0123456789"
URL = "https://a.example/v1"


def hosted(**more: Any) -> Config:
    model = {
        "name": "hosted",
        "protocol": "openai",
        "endpoints": [URL],
        "price": {"request_usd": 1},
        "prior_accuracy": 0.5,
    }
    return parse(plain((("models", 2), model | more)))


def header(**more: object) -> dict[str, object]:
    return {"headers": [{"name": "x-team", "value": "blue"} | more]}


ENDPOINTS: list[tuple[str, str]] = [
    ("a.example/v1", "must be a URL such as https://host/v1, not 'a.example/v1'"),
    ("ftp://a.example/v1", "must be a URL such as"),
    ("https://a.example", "its path is missing: write https://a.example/v1"),
    ("https://a.example/v1/chat/completions", "write https://a.example/v1, and the method"),
    ("https://a.example/v1?api-version=1", "must end with its path"),
    ("https://a.example/v1#x", "must end with its path"),
    (f"https://me:{SECRET}@a.example/v1", "holds a name or password"),
    ("https:///v1", "no host"),
    ("https://a b/v1", "no host"),
    ("https://a.example:0/v1", "must be 1 to 65535"),
    ("https://a.example:port/v1", "must be 1 to 65535"),
    ("https://a.example/v 1", "a character that cannot stand there"),
    ("http://169.254.169.254/v1", "is link-local"),
    ("http://[fe80::1]:80/v1", "is link-local"),
    ("http://" + "a" * URL_CHARS_MAX, f"at most {URL_CHARS_MAX:,} characters"),
    ("https://[::1/v1", "must be a URL such as"),
]


@pytest.mark.parametrize(("endpoint", "words"), ENDPOINTS)
def test_an_endpoint_that_is_no_base_url_is_told_with_what_would_be_right(
    endpoint: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        hosted(endpoints=[URL, endpoint])
    (problem,) = caught.value.diagnostics
    assert problem.path == "models[2].endpoints[1]"
    assert words in problem.message
    assert SECRET not in problem.message


OTHERS: list[tuple[dict[str, Any], str, str]] = [
    ({"endpoints": [URL, URL + "/"]}, "endpoints[1]", "is listed twice"),
    ({"api_key_env": SECRET}, "api_key_env", "the name of an environment variable"),
    ({"api_key_env": "A", "api_key_file": "/k"}, "api_key_file", "give one of the two"),
    ({"endpoints": ["a:1"], "api_key_env": "A"}, "endpoints[0]", "write http://a:1/v1"),
    (header(value=None), "headers[0]", "needs one of value, env and file"),
    (header(env="A"), "headers[0]", "needs one of value, env and file"),
    (header(name="a b"), "headers[0].name", "must be the name of a header"),
    (header(name="Host"), "headers[0].name", "is set by Turnout itself"),
    (header(name="x-api-key", value=SECRET), "headers[0].value", "give env or file"),
    (header(value="bl\u00fce"), "headers[0].value", "must be visible ASCII"),
    (header(value="a\r\nb: c"), "headers[0].value", "must be visible ASCII"),
    (header(value=None, env=SECRET), "headers[0].env", "the name of an environment variable"),
    ({"headers": 2 * [{"name": "a", "value": "b"}]}, "headers[1].name", "headers are unique"),
    (
        {"api_key_env": "A", "headers": [{"name": "Authorization", "env": "B"}]},
        "headers[0].name",
        "is there already",
    ),
    (
        {"headers": [{"name": f"a{i}", "value": "b"} for i in range(HEADERS_MAX + 1)]},
        "headers",
        "at most 16 entries",
    ),
    ({"tls": {"cert_file": "/c"}}, "tls.key_file", "go together"),
    ({"tls": {"key_file": "/c"}}, "tls.cert_file", "go together"),
    ({"tls": {}, "endpoints": ["http://a/v1"]}, "tls", "has nothing to encrypt"),
    ({"serves": "pictures"}, "serves", "must be 'chat' or 'embeddings'"),
    ({"api_key_env": 7}, "api_key_env", "must be text (in quotes), not what is written there"),
]


@pytest.mark.parametrize(("keys", "path", "words"), OTHERS)
def test_what_contradicts_itself_is_told_without_what_may_be_a_secret(
    keys: dict[str, Any], path: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        hosted(**keys)
    (problem,) = caught.value.diagnostics
    assert problem.path == f"models[2].{path}"
    assert words in problem.message
    assert SECRET not in problem.message


@pytest.mark.parametrize(
    "keys",
    [
        {"serves": "embeddings"},
        {"api_key_env": "A"},
        {"api_key_file": "/k"},
        header(),
    ],
)
def test_what_is_for_models_of_openai_alone_is_refused_elsewhere(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="is for models of protocol openai"):
        hosted(protocol="oip", endpoints=["a:1"], **keys)


@pytest.mark.parametrize(
    "endpoints",
    [
        ["http://127.0.0.1:11434/v1"],
        ["https://a.example/"],
        ["http://[::1]:8000/openai/v1/", "http://[::1]:8001/openai/v1/"],
        ["a.example:8000"],  # for callers of Route
        [],
    ],
)
def test_what_makes_sense_is_accepted(endpoints: list[str]) -> None:
    assert hosted(endpoints=endpoints).models[2].endpoints == tuple(endpoints)


def test_a_change_of_keys_is_told_without_their_places() -> None:
    before = hosted(api_key_env="OLD_PLACE", **header(value=None, env="OLD_PLACE"))
    after = hosted(api_key_env="NEW_PLACE", **header(value=None, env="NEW_PLACE"))
    assert [change.text for change in changes(before, after)] == [
        "models.hosted.api_key_env: another variable",
        "models.hosted.headers: another list",
    ]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("169.254.0.1", True),
        ("::ffff:169.254.169.254", True),
        ("2002:a9fe:a9fe::1", True),
        ("fe80::1%eth0", True),
        ("10.0.0.1", False),
        ("::1", False),
        ("a.example", False),
    ],
)
def test_a_link_local_address_is_known_in_every_form(host: str, expected: bool) -> None:
    assert is_link_local(host) is expected
