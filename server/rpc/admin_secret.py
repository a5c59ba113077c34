"""Who may call the admin listener over TCP: whoever shows the secret of the configured file."""

import hmac
from collections.abc import Awaitable, Callable

import grpc

from server.routing.errors import Unauthenticated
from server.rpc.admin_secret_file import secret_hash
from server.rpc.errors import Context, Handler, abort, status_of

KEY = "authorization"


class AdminSecretCheck(grpc.aio.ServerInterceptor):
    """Answers UNAUTHENTICATED to every call without the secret."""

    def __init__(self, expected_hash: bytes) -> None:
        self._secret_hash = expected_hash
        self._refusal: Handler = grpc.unary_unary_rpc_method_handler(_refuse)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Awaitable[Handler | None]"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        shown = dict(handler_call_details.invocation_metadata or ()).get(KEY, "")
        secret = shown.removeprefix("Bearer ") if isinstance(shown, str) else ""
        if hmac.compare_digest(secret_hash(secret), self._secret_hash):
            return await continuation(handler_call_details)
        return self._refusal


async def _refuse(_request: bytes, context: Context) -> None:
    error = Unauthenticated(
        "the admin listener wants metadata 'authorization: Bearer TOKEN', "
        "with the token of admin_token_file"
    )
    await abort(context, status_of(error))
