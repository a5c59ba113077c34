"""Whether the files and variables that a configuration names can be used."""

from collections.abc import Mapping

from server.config.diagnostics import Findings
from server.config.schema import Config
from server.named_files.keys import key_findings
from server.named_files.tls import model_tls_findings, tls_findings


def served_findings(config: Config, environ: Mapping[str, str]) -> Findings:
    """Everything that is wrong with them where the service runs, the keys of models included."""
    yield from named_files_findings(config)
    yield from key_findings(config, environ)
    yield from model_tls_findings(config)


def named_files_findings(config: Config) -> Findings:
    """What is wrong with the service's own, wherever it is looked for."""
    if config.listeners.tls is not None:
        yield from tls_findings(config.listeners.tls)
    if config.classifier is not None:
        # Here, for numpy takes 0.1 s, which commands need not wait for where there is none.
        from server.named_files.classifier import classifier_findings

        yield from classifier_findings(config)
