"""The digits once for all tests: they are the same in every process."""

import pytest

from benchmarks.demo.digits import Digits, split_digits


@pytest.fixture(scope="session")
def digits() -> Digits:
    return split_digits()
