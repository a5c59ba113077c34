"""Where a peer is: `host:port`, `[::1]:port` or `unix:PATH`."""

from typing import NamedTuple

_PORT_MAX = 65_535


class AddressError(ValueError):
    """The text is no address; says what would be right."""


class Address(NamedTuple):
    """A TCP address, or the path of a Unix socket, which then has neither host nor port."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def authority(self) -> str:
        """What `:authority` says of it."""
        if self.path:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Raises AddressError."""
    kind, separator, path = text.partition(":")
    if kind == "unix" and separator:
        if not path:
            raise AddressError(f"{text!r} has no path: write unix:/run/model.sock")
        return Address(path=path)
    host, separator, port = text.rpartition(":")
    if not (separator and host and port.isascii() and port.isdigit() and int(port) <= _PORT_MAX):
        raise AddressError(f"{text!r} is no address: write host:port, [::1]:port or unix:PATH")
    return Address(_host(host, text), int(port))


def _host(host: str, text: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1]
    if ":" in host:
        raise AddressError(f"{text!r} needs brackets: write [::1]:port")
    return host
