"""How commands reach a Turnout that runs."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import grpc
import typer

from server.cli.terminal import fail, load_or_fail
from server.config.diagnostics import ConfigError
from server.config.schema import Config
from server.config.state_dir import state_dir
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

AdminAddress = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="ADDRESS",
        help="The admin listener, host:port or unix:/PATH. "
        "[dim]default: the socket in your state folder[/]",
    ),
]
AdminTokenFile = Annotated[
    Path | None,
    typer.Option("--admin-token-file", metavar="FILE", help="The token, where admin is TCP."),
]
TlsCa = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        metavar="FILE",
        help="Speak TLS, and trust the authority whose certificates are in this file.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="The service's configuration, which says both of these."
    ),
]


class Admin(NamedTuple):
    """An admin listener, what has to be shown there, and what makes it trusted."""

    address: str
    metadata: tuple[tuple[str, str], ...]
    credentials: grpc.ChannelCredentials | None


def admin_of(
    address: str | None, token_file: Path | None, config_file: Path | None, tls_ca: Path | None
) -> Admin:
    """The listener that the options name; ends the command where they cannot be followed."""
    config = None if config_file is None else load_or_fail(config_file)
    token_path = token_file
    if token_path is None and config is not None and config.listeners.admin_token_file:
        token_path = Path(config.listeners.admin_token_file)
    metadata = () if token_path is None else (("authorization", f"Bearer {_token(token_path)}"),)
    return Admin(address or _admin_address(config), metadata, tls_of(tls_ca))


def admin_without_subcommand(
    context: typer.Context,
    address: str | None,
    token_file: Path | None,
    config_file: Path | None,
    tls_ca: Path | None,
    as_json: bool,
) -> Admin | None:
    """As admin_of; None where a subcommand follows, which takes these options itself."""
    if context.invoked_subcommand is None:
        return admin_of(address, token_file, config_file, tls_ca)
    if as_json or address or token_file or tls_ca or config_file:
        raise typer.BadParameter(f"give options after {context.invoked_subcommand!r}")
    return None


def tls_of(
    ca_file: Path | None, cert_file: Path | None = None, key_file: Path | None = None
) -> grpc.ChannelCredentials | None:
    """What TLS needs; None without an authority to trust."""
    if ca_file is None:
        return None
    files = (ca_file, key_file, cert_file)
    return grpc.ssl_channel_credentials(*(None if file is None else _read(file) for file in files))


def _read(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except (OSError, RuntimeError) as error:  # ~ of nobody
        fail(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")


def _admin_address(config: Config | None) -> str:
    address = None if config is None else config.listeners.admin
    if address is None:
        try:
            return f"unix:{state_dir(config, os.environ) / 'admin.sock'}"
        except ConfigError as error:
            fail(f"no state folder is known ({error}): name the listener with --admin")
    if address.endswith(":0"):
        fail("the configuration takes any free port for admin: name the address with --admin")
    return address


def _token(path: Path) -> str:
    try:
        secret = path.expanduser().read_text().strip()
    except (OSError, ValueError, RuntimeError) as error:
        fail(f"the token file {path} cannot be read: {error}")
    if not secret.isascii() or not secret.isprintable() or not secret:
        fail(f"the token file {path} holds no token: one line of printable ASCII")
    return secret


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
        return f"{error.message}: name the file with --admin-token-file"
    if not error.reason:
        return f"{address} answered with an error that is not Turnout's: {error.message}"
    return f"{error.reason}: {error.message}"


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
