"""How a model's endpoints are reached: what has to hold between the keys that say so."""

import re

from server.config.diagnostics import Findings, Path
from server.config.endpoints import address_fault, is_url, url_fault
from server.config.models import HeaderConfig, ModelConfig

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# A token of RFC 9110.
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
# What we set ourselves, and what only concerns one connection.
_OURS = frozenset(
    (
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_SECRET_NAME = re.compile(r"authorization|key|token|secret|password", re.IGNORECASE)
_VARIABLE_FORM = "must be the name of an environment variable, such as OPENAI_API_KEY"
_OPENAI_ONLY = "is for models of protocol openai: leave it out"


def access_findings(at: Path, model: ModelConfig) -> Findings:
    """What contradicts itself. Shows nothing of what may be a secret in a wrong place."""
    yield from _endpoints((*at, "endpoints"), model)
    if model.protocol == "oip":
        yield from _of_openai_only(at, model)
    if model.api_key_env is not None and model.api_key_file is not None:
        yield (*at, "api_key_file"), "stands beside api_key_env: give one of the two"
    if model.api_key_env is not None and not _VARIABLE.fullmatch(model.api_key_env):
        yield (*at, "api_key_env"), _VARIABLE_FORM
    seen = {"authorization"} if model.api_key is not None else set()
    for i, header in enumerate(model.headers):
        yield from _header((*at, "headers", i), header, seen)
        seen.add(header.name.lower())
    yield from _tls((*at, "tls"), model)


def _endpoints(at: Path, model: ModelConfig) -> Findings:
    if model.protocol == "oip" and not model.endpoints:
        yield at, "is empty: give at least one host:port"
    seen: set[str] = set()
    for i, endpoint in enumerate(model.endpoints):
        fault = _fault(endpoint, model)
        same = endpoint.rstrip("/")
        if fault is not None:
            yield (*at, i), fault
        elif same in seen:
            yield (*at, i), f"{endpoint} is listed twice: leave one out"
        seen.add(same)


def _fault(endpoint: str, model: ModelConfig) -> str | None:
    fault = address_fault(endpoint, port_min=1)
    if model.protocol == "oip":
        return fault
    if fault is not None or is_url(model.endpoints[0]):
        return url_fault(endpoint)
    # An address of openai is what callers of Route are told, who ask there themselves.
    if model.api_key is not None or model.headers:
        return f"is asked by callers themselves, without the key: write http://{endpoint}/v1"
    return None


def _of_openai_only(at: Path, model: ModelConfig) -> Findings:
    given = {
        "serves": model.serves != "chat",
        "api_key_env": model.api_key_env is not None,
        "api_key_file": model.api_key_file is not None,
        "headers": bool(model.headers),
    }
    for key, is_given in given.items():
        if is_given:
            yield (*at, key), _OPENAI_ONLY


def _header(at: Path, header: HeaderConfig, seen: set[str]) -> Findings:
    name = header.name.lower()
    if not _HEADER.fullmatch(header.name):
        yield (*at, "name"), "must be the name of a header, such as OpenAI-Organization"
    elif name in _OURS:
        yield (*at, "name"), f"{header.name} is set by Turnout itself: leave it out"
    elif name in seen:
        yield (*at, "name"), f"{header.name} is there already: headers are unique"
    given = [one for one in (header.value, header.env, header.file) if one is not None]
    if len(given) != 1:
        yield at, "needs one of value, env and file"
    yield from _value(at, header)


def _value(at: Path, header: HeaderConfig) -> Findings:
    value = header.value
    if value is not None and _SECRET_NAME.search(header.name):
        yield (*at, "value"), "may be a secret, which has no place here: give env or file"
    elif value is not None and not (value.isascii() and value.isprintable() and value.strip()):
        yield (*at, "value"), "must be visible ASCII, as headers are"
    if header.env is not None and not _VARIABLE.fullmatch(header.env):
        yield (*at, "env"), _VARIABLE_FORM


def _tls(at: Path, model: ModelConfig) -> Findings:
    tls = model.tls
    if tls is None:
        return
    if (tls.cert_file is None) != (tls.key_file is None):
        missing = "key_file" if tls.key_file is None else "cert_file"
        yield (*at, missing), "is missing: a certificate and its private key go together"
    is_encrypted = any(endpoint.startswith("https://") for endpoint in model.endpoints)
    if model.protocol == "openai" and not is_encrypted:
        yield at, "has nothing to encrypt: no endpoint is an https:// URL"
