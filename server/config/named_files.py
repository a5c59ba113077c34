"""The files that a configuration names: each can be used, or the reason is told."""

from pathlib import Path

from server.config import Config, TlsConfig
from server.config.check import Problems
from server.transport.tls import TlsFiles, faults


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
    tls = config.listeners.tls
    for fault in () if tls is None else faults(tls_files(tls)):
        yield ("listeners", "tls", fault.file), fault.why
    if config.classifier is not None:
        # Here, for numpy takes 0.1 s, which commands need not wait for where there is none.
        from server.config.classifier_file import classifier_problems

        yield from classifier_problems(config)


def _expanded(path: str) -> str:
    return str(Path(path).expanduser())
