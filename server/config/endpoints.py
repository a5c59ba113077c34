"""How endpoints are written, of each protocol: what is wrong with one, and what would be right."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from server.config.hints import PORT_MAX, address_hint, with_hint
from server.config.state_dir import SOCKET_PATH_BYTES_MAX

URL_CHARS_MAX = 1_024

_HOST_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})", re.ASCII)
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}", re.ASCII)
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]*)+", re.ASCII)
_PASSWORD = re.compile(r".*@")  # of a URL
# What is written after the base URL, and pasted with it.
_METHODS = ("/chat/completions", "/completions", "/embeddings", "/models")
_URL_FORM = "a URL such as https://host/v1"


def is_url(endpoint: str) -> bool:
    """Whether it is meant as one."""
    return endpoint.startswith(("http://", "https://"))


def address_fault(address: str, *, port_min: int, unix: bool = True) -> str | None:
    """Why it is no host:port or Unix socket; None: it is one."""
    if unix and address.startswith("unix:"):
        return _socket_problem(address.removeprefix("unix:"))
    found = _HOST_PORT.fullmatch(address)
    right = "host:port or unix:/PATH" if unix else "host:port"
    if found is None:
        return with_hint(f"must be {right}, not {_shown(address)}", address_hint(address))
    return _port_fault(found[1], port_min)


def url_fault(url: str) -> str | None:
    """Why it is no base URL; None: it is one. Shows nothing that may be a secret."""
    if len(url) > URL_CHARS_MAX:
        return f"must be at most {URL_CHARS_MAX:,} characters long"
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.scheme not in ("http", "https"):
        return f"must be {_URL_FORM}, not {_shown(url)}"
    return _host_fault(parts) or _rest_fault(parts)


def is_link_local(host: str) -> bool:
    """Whether it is such an address, in whichever form; a name is none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        return address.is_link_local or (inner is not None and inner.is_link_local)
    return address.is_link_local


def _host_fault(parts: SplitResult) -> str | None:
    if "@" in parts.netloc:
        return "holds a name or password: give the key by api_key_env or api_key_file"
    host, colon, port = parts.netloc.rpartition(":")
    if not colon or "]" in port:
        host, port = parts.netloc, ""
    if not _HOST.fullmatch(host):
        return f"must be {_URL_FORM}: what stands there is no host"
    if is_link_local(host.strip("[]")):
        return (
            "is link-local, where clouds give away the keys of the machine: nothing is sent there"
        )
    return _port_fault(port, 1) if colon and host != parts.netloc else None


def _rest_fault(parts: SplitResult) -> str | None:
    if parts.query or parts.fragment:
        return "must end with its path: what requests need besides belongs into headers"
    base = f"{parts.scheme}://{parts.netloc}"
    if not parts.path:
        return f"its path is missing: write {base}/v1, or {base}/ where there is none"
    if not _PATH.fullmatch(parts.path):
        return f"must be {_URL_FORM}: its path has a character that cannot stand there"
    for method in _METHODS:
        if parts.path.rstrip("/").endswith(method):
            right = base + parts.path.rstrip("/").removesuffix(method)
            return f"is the URL of a method: write {right}, and the method is added"
    return None


def _port_fault(port: str, port_min: int) -> str | None:
    is_port = port.isdecimal() and len(port) <= len(str(PORT_MAX))
    if not is_port or not port_min <= int(port) <= PORT_MAX:
        return f"the port must be {port_min} to {PORT_MAX}, not {port[:8]}"
    return None


def _socket_problem(path: str) -> str | None:
    if not path.startswith("/") or not path.isprintable():
        return "a Unix socket needs an absolute path: unix:/run/turnout/model.sock"
    if len(path.encode()) > SOCKET_PATH_BYTES_MAX:
        return f"the path of a Unix socket must be at most {SOCKET_PATH_BYTES_MAX} bytes long"
    return None


def _shown(address: str) -> str:
    return repr(_PASSWORD.sub("...@", address)[:80])
