"""The files that a configuration names: each can be used, or the reason is told."""

import os

from server.config import Config, TlsConfig
from server.config.problems import Problems
from server.transport.sockets.tls import TlsFiles, faults


def tls_files(tls: TlsConfig) -> TlsFiles:
    """Where they are, with what ~ stands for."""
    authority = tls.client_ca_file
    return TlsFiles(
        _expanded(tls.cert_file),
        _expanded(tls.key_file),
        None if authority is None else _expanded(authority),
    )


def named_files_problems(config: Config) -> Problems:
    """Everything that is wrong with them."""
    if config.listeners.tls is not None:
        yield from _tls_problems(config.listeners.tls)
    if config.classifier is not None:
        # Here, for numpy takes 0.1 s, which commands need not wait for where there is none.
        from server.config.classifier_file import classifier_problems

        yield from classifier_problems(config)


def _tls_problems(tls: TlsConfig) -> Problems:
    no_paths = [key for key, path in tls if path is not None and "\0" in path]
    for key in no_paths:
        yield ("listeners", "tls", key), "cannot be read: no path has a NUL in it"
    for fault in () if no_paths else faults(tls_files(tls)):
        yield ("listeners", "tls", fault.file), fault.why


def _expanded(path: str) -> str:
    """As it is where nobody has such a home: no such file, then."""
    return os.path.expanduser(path)
