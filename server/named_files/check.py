"""Whether the files that a configuration names can be used."""

from server.config.problems import Problems
from server.config.schema import Config
from server.named_files.tls import tls_problems


def named_files_problems(config: Config) -> Problems:
    """Everything that is wrong with them.

    They are the service's own: only who serves can be asked to read them.
    """
    if config.listeners.tls is not None:
        yield from tls_problems(config.listeners.tls)
    if config.classifier is not None:
        # Here, for numpy takes 0.1 s, which commands need not wait for where there is none.
        from server.named_files.classifier import classifier_problems

        yield from classifier_problems(config)
