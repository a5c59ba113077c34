"""What the peer of a socket is called, and what its connections are counted by."""

from ipaddress import IPv6Address


def counted_address(name: object) -> str:
    """What the connections of a peer of this name are counted by; on a Unix socket nothing.

    Of IPv6 the network of 64 bits: within it, a single machine takes as many addresses as it likes.
    """
    if not isinstance(name, tuple):
        return ""
    host = str(name[0])
    if ":" not in host:
        return host
    address = IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def written_address(name: object) -> str:
    """The name of a peer as gRPC writes it."""
    if not isinstance(name, tuple):
        return f"unix:{name or ''}"
    host, port = name[:2]
    return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
