"""What a test may need from outside the lock, and how hypothesis runs here."""

import os
import shutil

import pytest
from hypothesis import settings

# Derandomised: what fails here fails for everyone, not one time in 200.
settings.register_profile("check", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("check")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        missing = [name for name in mark.args if shutil.which(name) is None]
        if missing and "CI" in os.environ:
            pytest.fail(f"CI lacks {', '.join(missing)}: install it in .ci/run")
        if missing:
            pytest.skip(f"needs {', '.join(missing)}")
