"""The file of the learned classifier, as a configuration names it."""

import os
from pathlib import Path

from server.config.diagnostics import Findings
from server.config.rules import unknown_names
from server.config.schema import DOMAINS_MAX, Config
from server.routing.learned_classifier.file_format import (
    FILE_BYTES_MAX,
    ClassifierInvalid,
    Contents,
    load,
)


def read_classifier(path: str) -> bytes:
    """No more of the file than a classifier may have; raises ClassifierInvalid."""
    try:
        with open(Path(path).expanduser(), "rb", opener=_open_at_once) as file:
            return file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError, RuntimeError) as error:  # a path with NUL, ~ of nobody
        why = getattr(error, "strerror", None) or error
        raise ClassifierInvalid(f"the file cannot be read: {why}") from None


def _open_at_once(path: str, flags: int) -> int:
    """Without waiting: of a FIFO nobody may be at the other end, and a reload would hang."""
    return os.open(path, flags | os.O_NONBLOCK)


def classifier_findings(config: Config) -> Findings:
    """Why the classifier cannot be used with this configuration."""
    if config.classifier is None:
        return
    try:
        contents = load(read_classifier(config.classifier.file))
        _check_domains(config, contents)
    except ClassifierInvalid as error:
        yield ("classifier", "file"), str(error)
    else:
        yield from unknown_names(config, contents.header.domains, contents.header.intents)


def fitting(config: Config, data: bytes) -> Contents:
    """A classifier for this configuration; raises ClassifierInvalid where it is none."""
    contents = load(data)
    _check_domains(config, contents)
    unknown = unknown_names(config, contents.header.domains, contents.header.intents)
    for path, message in unknown:
        raise ClassifierInvalid(f"{'.'.join(map(str, path))}: {message}")
    return contents


def _check_domains(config: Config, contents: Contents) -> None:
    """Raises ClassifierInvalid where there would be too many cells."""
    domains = {domain.name for domain in config.domains}.union(contents.header.domains)
    if len(domains) > DOMAINS_MAX:
        raise ClassifierInvalid(
            f"its domains and those of the configuration are {len(domains)}: "
            f"at most {DOMAINS_MAX}, for each makes cells"
        )
