"""The headers that a model's endpoints are asked with, its keys among them."""

from collections.abc import Callable, Iterator, Mapping
from ssl import SSLContext

from server.dispatch.exchange import EndpointError
from server.named_files.keys import KeyUnusable, StoredKey
from server.named_files.tls import client_tls_files
from server.routing.catalog import Model
from server.status_code import Code
from server.transport.sockets.client_tls import ClientCertificates
from server.transport.sockets.tls import TlsError

_BEARER = "Bearer "


class Access:
    """To one model's endpoints."""

    def __init__(
        self, model: Model, environ: Mapping[str, str], *, now_s: Callable[[], float]
    ) -> None:
        self._of = model.api_key, model.headers, model.tls
        self._plain = {h.name: h.value for h in model.headers if h.value is not None}
        tls = model.tls
        self._certificates = None if tls is None else ClientCertificates(client_tls_files(tls))
        self._secret: dict[str, tuple[str, StoredKey]] = {}
        if model.api_key is not None:
            key = StoredKey(model.api_key, environ, now_s=now_s)
            self._secret["Authorization"] = _BEARER, key
        for header in model.headers:
            if header.source is not None:
                self._secret[header.name] = "", StoredKey(header.source, environ, now_s=now_s)

    def is_of(self, model: Model) -> bool:
        """Whether it is what the model asks for."""
        return self._of == (model.api_key, model.headers, model.tls)

    def headers(self) -> Iterator[dict[str, str]]:
        """Those to ask with, then those to ask with where they are refused.

        Raises EndpointError where there is no key.
        """
        try:
            keys = {name: stored.candidates() for name, (_, stored) in self._secret.items()}
        except KeyUnusable as error:
            message = f"the key of the model cannot be used: {error}"
            raise EndpointError(Code.UNAUTHENTICATED, message, is_sent=False) from None
        for place in range(max(map(len, keys.values()), default=1)):
            yield self._plain | {
                name: self._secret[name][0] + candidates[min(place, len(candidates) - 1)]
                for name, candidates in keys.items()
            }

    def tls(self) -> SSLContext | bool:
        """Of https: True stands for the system's authorities. Raises EndpointError."""
        try:
            return True if self._certificates is None else self._certificates.context()
        except TlsError as error:
            message = f"the model's tls cannot be used: {error}"
            raise EndpointError(Code.UNAUTHENTICATED, message, is_sent=False) from None

    def secrets(self) -> list[str]:
        """What may be in nobody's words."""
        try:
            return [key for _, stored in self._secret.values() for key in stored.candidates()]
        except KeyUnusable:
            return []
