"""Whether the files that a configuration names can be used."""

from server.config.diagnostics import Findings
from server.config.schema import Config
from server.named_files.tls import tls_findings


def named_files_findings(config: Config) -> Findings:
    """Everything that is wrong with them.

    They are the service's own: only who serves can be asked to read them.
    """
    if config.listeners.tls is not None:
        yield from tls_findings(config.listeners.tls)
    if config.classifier is not None:
        # Here, for numpy takes 0.1 s, which commands need not wait for where there is none.
        from server.named_files.classifier import classifier_findings

        yield from classifier_findings(config)
