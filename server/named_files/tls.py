"""The certificates of the listeners."""

import os

from server.config.diagnostics import Findings
from server.config.listeners import TlsConfig
from server.transport.sockets.tls import TlsFiles, faults


def tls_files(tls: TlsConfig) -> TlsFiles:
    """Where they are, with what ~ stands for."""
    authority = tls.client_ca_file
    return TlsFiles(
        _expanded(tls.cert_file),
        _expanded(tls.key_file),
        None if authority is None else _expanded(authority),
    )


def tls_findings(tls: TlsConfig) -> Findings:
    """Why they cannot be used."""
    no_paths = [key for key, path in tls if path is not None and "\0" in path]
    for key in no_paths:
        yield ("listeners", "tls", key), "cannot be read: no path has a NUL in it"
    for fault in () if no_paths else faults(tls_files(tls)):
        yield ("listeners", "tls", fault.file), fault.why


def _expanded(path: str) -> str:
    """As it is where nobody has such a home: no such file, then."""
    return os.path.expanduser(path)
