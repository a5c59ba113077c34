"""Certificates of a process: read again every few seconds, so that none needs a restart."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, cast

import grpc
import structlog

from server.config.listeners import TlsConfig
from server.named_files.tls import tls_files
from server.transport.sockets.tls import Certificates, TlsError, TlsFiles

# An authority's tools replace certificates days before the old ones end.
REFRESH_S = 5.0

_log = structlog.get_logger()


async def keep_fresh(certificates: Certificates) -> NoReturn:
    """Puts new files in force; never ends."""
    while True:
        await asyncio.sleep(REFRESH_S)
        refreshed(certificates)


def refreshed(certificates: Certificates) -> bool:
    """True if there are new certificates; new ones that cannot be used are logged."""
    try:
        fresh = certificates.refresh()
    except TlsError as error:
        _log.error("new certificates cannot be used, the old ones stay", error=str(error))
        return False
    if fresh:
        _log.info("certificates read again")
    return fresh


def grpcio_credentials(
    tls: TlsConfig | None, *, ask_callers: bool
) -> grpc.ServerCredentials | None:
    """What grpcio encrypts with; None without TLS. It looks at the files at each handshake.

    With `ask_callers` they have to show a certificate, if the configuration says so.
    """
    if tls is None:
        return None
    files = tls_files(tls)
    certificates = Certificates(files)
    authority = files.client_ca_file if ask_callers else None

    def read() -> grpc.ServerCertificateConfiguration:
        return _read(files, authority)

    def read_anew() -> grpc.ServerCertificateConfiguration | None:
        return read() if refreshed(certificates) else None

    return grpc.dynamic_ssl_server_credentials(
        read(),
        # None keeps what is in force; the stubs do not know.
        cast("Callable[[], grpc.ServerCertificateConfiguration]", read_anew),
        require_client_authentication=authority is not None,
    )


def _read(files: TlsFiles, authority: str | None) -> grpc.ServerCertificateConfiguration:
    pair = Path(files.key_file).read_bytes(), Path(files.cert_file).read_bytes()
    roots = None if authority is None else Path(authority).read_bytes()
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=roots)
