"""How commands ask the admin listener: the options that name it, in one place for all of them."""

import functools
import getpass
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, TypeVar

import grpc
import typer

from server.cli.connection import PANEL, TIMEOUT_S, TlsCa, connected, shown, tls_of
from server.cli.terminal import fail, load_or_fail
from server.config.diagnostics import ConfigError
from server.config.schema import Config
from server.config.state_dir import state_dir
from turnout.v1.admin_pb2_grpc import AdminServiceStub

Request = TypeVar("Request")
Response = TypeVar("Response")


class Admin(NamedTuple):
    """An admin listener, what has to be shown there, and what makes it trusted."""

    address: str
    metadata: tuple[tuple[str, str], ...]
    credentials: grpc.ChannelCredentials | None

    @classmethod
    def named(
        cls,
        *,
        admin: str | None,
        admin_token_file: Path | None,
        tls_ca: Path | None,
        config: Path | None,
    ) -> Self:
        """The listener that the options name; ends the command where they cannot be followed."""
        configured = None if config is None else load_or_fail(config)
        token_path = admin_token_file
        if token_path is None and configured is not None and configured.listeners.admin_token_file:
            token_path = Path(configured.listeners.admin_token_file)
        by = (("turnout-operator", _operator()),)
        metadata = shown(token_path, "token") + by
        return cls(admin or _address(configured), metadata, tls_of(tls_ca))

    @contextmanager
    def service(self) -> Iterator[AdminServiceStub]:
        """Its methods; a call that fails ends the command and says what to do."""
        with connected(self.address, "--admin", self.credentials) as channel:
            yield AdminServiceStub(channel)

    def ask(
        self,
        method: Callable[[AdminServiceStub], "grpc.UnaryUnaryMultiCallable[Request, Response]"],
        request: Request,
    ) -> Response:
        """The answer to one call; a call that fails ends the command and says what to do."""
        with self.service() as service:
            return method(service)(request, timeout=TIMEOUT_S, metadata=self.metadata)


def asks_admin(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options that name a listener instead of its parameter `admin`."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        reach = {name: given.pop(name) for name in _REACH}
        command(admin=Admin.named(**reach), **given)

    return _with_options(run, command)


def asks_admin_of_file(command: Callable[..., None]) -> Callable[..., None]:
    """As asks_admin; unless --config names another, the command's own file says where it is."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        reach = {name: given.pop(name) for name in _REACH}
        reach["config"] = reach["config"] or given["file"]
        command(admin=Admin.named(**reach), **given)

    return _with_options(run, command)


def asks_admin_unless_subcommand(command: Callable[..., None]) -> Callable[..., None]:
    """As asks_admin; does nothing where a subcommand follows, which takes these options itself."""

    @functools.wraps(command)
    def run(*, context: typer.Context, **given: Any) -> None:
        if context.invoked_subcommand is None:
            reach = {name: given.pop(name) for name in _REACH}
            command(admin=Admin.named(**reach), **given)
        elif any(given.values()):
            raise typer.BadParameter(f"give options after {context.invoked_subcommand!r}")

    context = inspect.Parameter("context", _KEYWORD, annotation=typer.Context)
    return _with_options(run, command, context)


_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_REACH: Mapping[str, Any] = {
    "admin": Annotated[
        str | None,
        typer.Option(
            "--admin",
            metavar="ADDRESS",
            help="The admin listener, host:port or unix:/PATH. "
            "[dim]default: the socket in your state folder[/]",
            rich_help_panel=PANEL,
        ),
    ],
    "admin_token_file": Annotated[
        Path | None,
        typer.Option(
            "--admin-token-file",
            metavar="FILE",
            help="The token, where admin is TCP.",
            rich_help_panel=PANEL,
        ),
    ],
    "tls_ca": TlsCa,
    "config": Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="The service's configuration, which names its admin listener and token.",
            rich_help_panel=PANEL,
        ),
    ],
}


def _with_options(
    run: Any, command: Callable[..., None], *more: inspect.Parameter
) -> Callable[..., None]:
    """`run` with the signature that typer is to read."""
    own = inspect.signature(command).parameters.values()
    kept = (one.replace(kind=_KEYWORD) for one in own if one.name != "admin")
    reach = (
        inspect.Parameter(name, _KEYWORD, default=None, annotation=option)
        for name, option in _REACH.items()
    )
    run.__signature__ = inspect.Signature([*more, *kept, *reach])
    run.__annotations__ = {}  # which say the same of `command`, and typer would ask them too
    signed: Callable[..., None] = run
    return signed


def _address(config: Config | None) -> str:
    address = None if config is None else config.listeners.admin
    if address is None:
        try:
            return f"unix:{state_dir(config, os.environ) / 'admin.sock'}"
        except ConfigError as error:
            fail(f"no state folder is known ({error}): name the listener with --admin")
    if address.endswith(":0"):
        fail("the configuration takes any free port for admin: name the address with --admin")
    return address


def _operator() -> str:
    """Who runs the command, for the list of changes: their own word, and no proof."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as containers have them
        name = f"uid {os.getuid()}"
    return name.encode("ascii", "replace").decode()
