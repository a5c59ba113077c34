"""TLS towards endpoints: whose certificates are trusted, and which is shown."""

import ssl
from typing import NamedTuple

from server.transport.sockets.tls import (
    HTTP_1,
    TlsError,
    TlsFiles,
    check_certificate,
    check_key,
    load_authority,
    load_pair,
    stamp,
)


class ClientTlsFiles(NamedTuple):
    """Where the certificates are, in PEM."""

    ca_file: str | None = None  # the endpoint's is of this authority; None: of one of the system's
    cert_file: str | None = None  # ours, if it is to be shown one
    key_file: str | None = None


class ClientCertificates:
    """What endpoints are called by: the newest files that were good."""

    def __init__(self, files: ClientTlsFiles, speaks: str = HTTP_1) -> None:
        self._files = files
        self._speaks = speaks
        self._seen: tuple[object, ...] = ()
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Raises TlsError where no files were good yet."""
        stamps = tuple(stamp(path) for path in self._files if path is not None)
        if self._context is None or stamps != self._seen:
            self._seen = stamps  # of before they are read: what changes meanwhile is seen next time
            try:
                self._context = client_context(self._files, self._speaks)
            except TlsError:
                if self._context is None:
                    raise
        return self._context


def client_context(files: ClientTlsFiles, speaks: str = HTTP_1) -> ssl.SSLContext:
    """For connections to endpoints, whose names are checked; raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([speaks])
    if files.ca_file is None:
        context.load_default_certs()
    else:
        load_authority(context, "ca_file", files.ca_file)
    if files.cert_file is not None and files.key_file is not None:
        ours = TlsFiles(files.cert_file, files.key_file, None)
        for load in (check_certificate, check_key, load_pair):
            load(context, ours)
    return context
