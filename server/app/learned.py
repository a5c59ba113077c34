"""The learned classifier of a worker: read off the loop; a bad file leaves the one before."""

import asyncio

import structlog

from server.config import Config
from server.config.classifier_file import check_domains, read_classifier
from server.routing.learned import ClassifierInvalid, LinearModel
from server.routing.learned.file_format import load

_log = structlog.get_logger()


class Learned:
    """Holds the model in force."""

    def __init__(self) -> None:
        self._data = b""
        self._model: LinearModel | None = None

    async def of(self, config: Config) -> LinearModel | None:
        """The one that the configuration names, the one before where that cannot be used."""
        if config.classifier is None:
            self._data, self._model = b"", None
            return None
        file = config.classifier.file
        try:
            await asyncio.to_thread(self._read, config, file)
        except ClassifierInvalid as error:
            kept = "none" if self._model is None else "the one before"
            _log.error("classifier refused", file=file, error=str(error), in_force=kept)
        return self._model

    def _read(self, config: Config, file: str) -> None:
        data = read_classifier(file)
        if data == self._data:
            return
        contents = load(data)
        check_domains(config, contents)
        self._data, self._model = data, LinearModel(contents)
        _log.info("classifier in force", file=file, domains=len(self._model.domains))
