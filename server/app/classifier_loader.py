"""The learned classifier of a worker: read off the loop; a bad file leaves the one before."""

import asyncio

import structlog

from server.config.schema import Config
from server.named_files.classifier import fitting, read_classifier
from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.learned_classifier.file_format import ClassifierInvalid

_log = structlog.get_logger()


class ClassifierLoader:
    """Holds the model in force."""

    def __init__(self) -> None:
        self._file = ""
        self._model: LearnedClassifier | None = None

    async def load(self, config: Config) -> LearnedClassifier | None:
        """The one that the configuration names, the one before where that cannot be used.

        Read when the name changes only: what is written over a file was compared with nothing.
        """
        file = "" if config.classifier is None else config.classifier.file
        if file == self._file:
            return self._model
        self._file = file
        if not file:
            self._model = None
            return None
        try:
            self._model = await asyncio.to_thread(_read, config, file)
            _log.info("classifier in force", file=file, domains=len(self._model.domains))
        except ClassifierInvalid as error:
            kept = "none" if self._model is None else "the one before"
            _log.error("classifier refused", file=file, error=str(error), in_force=kept)
        return self._model


def _read(config: Config, file: str) -> LearnedClassifier:
    return LearnedClassifier(fitting(config, read_classifier(file)))
