"""Language models that run here, for the tests that want a real one."""

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from benchmarks.chat.language_model import LanguageModelMissing, language_model


def started(*options: str) -> Iterator[str]:
    """For a fixture: gives the base URL; skips without the packages, and fails in CI."""
    try:
        with language_model(*options) as url:
            yield url
    except LanguageModelMissing as error:
        skip_without(error)


def skip_without(error: LanguageModelMissing) -> NoReturn:
    """CI has them."""
    if "CI" in os.environ:
        pytest.fail(f"CI lacks language models: {error}")
    pytest.skip(f"needs language models: {error}")
