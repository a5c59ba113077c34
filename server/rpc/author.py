"""Who asks for an update, as the admin listener knows them."""

import os
from urllib.parse import unquote

from server.control.update_log import Author
from server.rpc.errors import Context

OPERATOR_KEY = "turnout-operator"
OPERATOR_CHARS_MAX = 64


def author_of(context: Context) -> Author:
    """Who the caller is, and what it says of itself."""
    shown = dict(context.invocation_metadata() or ()).get(OPERATOR_KEY, "")
    operator = shown if isinstance(shown, str) else ""
    return Author(who(context.peer(), os.geteuid()), operator[:OPERATOR_CHARS_MAX])


def who(peer: str, user: int) -> str:
    """The caller, by its peer in gRPC: "unix:", "ipv4:10.0.0.7:53212", "ipv6:%5B::1%5D:53212"."""
    if peer.startswith("unix:"):
        # gRPC does not say whose the other end is. The socket is for its owner alone (mode 0600).
        return f"uid {user}"
    address = unquote(peer).partition(":")[2].rpartition(":")[0]
    return f"token from {address.strip('[]') or 'an unknown address'}"
