"""The certificates of the listeners, and those by which models are called."""

import os

from server.config.diagnostics import Findings
from server.config.listeners import TlsConfig
from server.config.models import ModelTlsConfig
from server.config.schema import Config
from server.transport.sockets.client_tls import ClientTlsFiles, client_context
from server.transport.sockets.tls import TlsError, TlsFiles, faults


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


def client_tls_files(tls: ModelTlsConfig) -> ClientTlsFiles:
    """Where they are, with what ~ stands for."""
    paths = (tls.ca_file, tls.cert_file, tls.key_file)
    return ClientTlsFiles(*(None if path is None else _expanded(path) for path in paths))


def model_tls_findings(config: Config) -> Findings:
    """Why models cannot be called by theirs."""
    for i, model in enumerate(config.models):
        if model.tls is None:
            continue
        no_paths = [key for key, path in model.tls if path is not None and "\0" in path]
        for key in no_paths:
            yield ("models", i, "tls", key), "cannot be read: no path has a NUL in it"
        try:
            if not no_paths:
                client_context(client_tls_files(model.tls))
        except TlsError as fault:
            yield ("models", i, "tls", fault.file), fault.why


def _expanded(path: str) -> str:
    """As it is where nobody has such a home: no such file, then."""
    return os.path.expanduser(path)
