"""Who may call the admin listener over TCP: whoever shows the token of the configured file."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc

from server.routing.errors import Unauthenticated
from server.rpc.errors import Context, Handler, abort, status_of

KEY = "authorization"
# 128 random bits in hex; shorter ones can be guessed.
TOKEN_CHARS_MIN = 32


class TokenError(Exception):
    """The token file cannot be used; the message says why."""


def read_token(path: str) -> bytes:
    """The hash of the token in the file; raises TokenError."""
    try:
        token = Path(path).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        # The path is not echoed: someone may have put the token there.
        raise TokenError(
            f"listeners.admin_token_file cannot be read ({type(error).__name__}): "
            "name a file that holds the token"
        ) from None
    if len(token) < TOKEN_CHARS_MIN:
        raise TokenError(
            f"the token of listeners.admin_token_file is shorter than {TOKEN_CHARS_MIN} "
            "characters: make one with 'openssl rand -hex 32'"
        )
    return _hash(token)


class TokenCheck(grpc.aio.ServerInterceptor):
    """Answers UNAUTHENTICATED to every call without the token."""

    def __init__(self, token_hash: bytes) -> None:
        self._token_hash = token_hash
        self._refusal: Handler = grpc.unary_unary_rpc_method_handler(_refuse)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Awaitable[Handler | None]"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        shown = dict(handler_call_details.invocation_metadata or ()).get(KEY, "")
        token = shown.removeprefix("Bearer ") if isinstance(shown, str) else ""
        if hmac.compare_digest(_hash(token), self._token_hash):
            return await continuation(handler_call_details)
        return self._refusal


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def _refuse(_request: bytes, context: Context) -> None:
    error = Unauthenticated(
        "the admin listener wants metadata 'authorization: Bearer TOKEN', "
        "with the token of admin_token_file"
    )
    await abort(context, status_of(error))
