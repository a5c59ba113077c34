"""How commands reach a Turnout that runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import grpc
import typer

from server.cli.terminal import fail
from turnout.errors import DeadlineExceeded, TurnoutError, Unreachable
from turnout.status import error_of

# Nothing that commands ask for takes long; who waits longer than this wants to know why.
TIMEOUT_S = 10.0
_OPTIONS = (
    # Turnout is asked directly, whatever proxy the environment has for HTTP.
    ("grpc.enable_http_proxy", 0),
    # A service that is started again while it is watched is found again at once.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

# Options that say where a service is and how it is reached stand apart in --help.
PANEL = "The service that is asked"
TlsCa = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        metavar="FILE",
        help="Speak TLS, and trust the authority whose certificates are in this file.",
        rich_help_panel=PANEL,
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option(
        "--tls-cert",
        metavar="FILE",
        help="Your certificate, where the listener asks for one.",
        rich_help_panel=PANEL,
    ),
]
TlsKey = Annotated[
    Path | None,
    typer.Option(
        "--tls-key", metavar="FILE", help="The key of your certificate.", rich_help_panel=PANEL
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help="Your key, where callers have to show one: what 'turnout keys create' printed.",
        rich_help_panel=PANEL,
    ),
]
DataAddress = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="The data listener, host:port or unix:/PATH.",
        rich_help_panel=PANEL,
    ),
]
DATA_ADDRESS = "127.0.0.1:7080"


def tls_of(
    ca_file: Path | None, cert_file: Path | None = None, key_file: Path | None = None
) -> grpc.ChannelCredentials | None:
    """What TLS needs; None without an authority to trust."""
    if ca_file is None:
        return None
    files = (ca_file, key_file, cert_file)
    return grpc.ssl_channel_credentials(*(None if file is None else _read(file) for file in files))


def shown(file: Path | None, what: str = "key") -> tuple[tuple[str, str], ...]:
    """What calls show of who makes them; ends the command where the file holds no secret."""
    return () if file is None else (("authorization", f"Bearer {_secret(file, what)}"),)


def _secret(path: Path, what: str) -> str:
    try:
        secret = path.expanduser().read_text().strip()
    except (OSError, ValueError, RuntimeError) as error:
        fail(f"the {what} file {path} cannot be read: {error}")
    if not secret.isascii() or not secret.isprintable() or not secret:
        fail(f"the {what} file {path} holds no {what}: one line of printable ASCII")
    return secret


def _read(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except (OSError, RuntimeError) as error:  # ~ of nobody
        fail(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")


@contextmanager
def connected(
    address: str, option: str, credentials: grpc.ChannelCredentials | None
) -> Iterator[grpc.Channel]:
    """A channel to the address; a call that fails ends the command and says what to do.

    `option` is the one that names another address.
    """
    try:
        with _channel(address, credentials) as channel:
            yield channel
    except grpc.RpcError as raised:
        fail(explained(raised, address, option))


def _channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    if credentials is None:
        return grpc.insecure_channel(address, _OPTIONS)
    return grpc.secure_channel(address, credentials, _OPTIONS)


def explained(raised: grpc.RpcError, address: str, option: str) -> str:
    """What went wrong and what to do, in a line."""
    error = error_of(raised)
    if isinstance(error, Unreachable):
        return _unreachable(error, address, option)
    if isinstance(error, DeadlineExceeded) and not error.reason:
        return f"{address} did not answer in time: see its log"
    if raised.code() is grpc.StatusCode.UNIMPLEMENTED:
        return f"{address} does not offer this: name the listener that does with {option}"
    if raised.code() is grpc.StatusCode.UNAUTHENTICATED:
        file = "--admin-token-file" if option == "--admin" else "--key-file"
        return f"{error.message}: name the file with {file}"
    if not error.reason and _GONE in error.message:
        return f"{address} ended before it answered: look whether it is done, or do it again"
    if not error.reason:
        return f"{address} answered with an error that is not Turnout's: {error.message}"
    return f"{error.reason}: {error.message}"


# What gRPC says where a process dies with a call.
_GONE = "Stream removed"
# Words of gRPC's, and ours for them.
_NO_CONNECTION: Mapping[str, str] = {
    "Permission denied": "is another user's: ask as the one who runs Turnout",
    "CERTIFICATE_VERIFY_FAILED": (
        "has a certificate of an authority that is not trusted: name its own with --tls-ca"
    ),
    "Hostname Verification": "has a certificate for another name: ask by that name",
    "WRONG_VERSION_NUMBER": "has no TLS: leave --tls-ca out",
    "Socket closed": "hangs up: if it has TLS, name --tls-ca, and your certificate if it wants one",
}


def _unreachable(error: TurnoutError, address: str, option: str) -> str:
    for words, ours in _NO_CONNECTION.items():
        if words in error.message:
            return f"{address} {ours}"
    return (
        f"no Turnout listens on {address}: start one with 'turnout serve FILE' "
        f"or name another with {option}"
    )
