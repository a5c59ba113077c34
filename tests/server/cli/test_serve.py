from pathlib import Path

import pytest

from server.cli.serve import WORKERS_MAX
from server.control import counters
from tests.server.cli.conftest import Run


@pytest.mark.parametrize(
    ("workers", "words"),
    [(0, "greater than or equal to 1"), (WORKERS_MAX + 1, "less than or equal to 128")],
)
def test_the_number_of_workers_is_bounded(
    run: Run, tmp_path: Path, workers: int, words: str
) -> None:
    result = run("serve", tmp_path / "turnout.yaml", "--workers", workers)
    assert result.exit_code == 2
    assert words in result.stderr


def test_the_control_plane_tells_as_many_workers_apart() -> None:
    assert WORKERS_MAX <= counters.WORKERS_MAX


def test_an_unknown_transport_is_told(run: Run, tmp_path: Path) -> None:
    result = run("serve", tmp_path / "turnout.yaml", "--transport", "http")
    assert result.exit_code == 2
    assert "'turnout', 'grpcio'" in result.stderr
