"""What a worker holds of libraries that only some workers need."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("library", ["aiohttp", "opentelemetry"])
def test_a_worker_holds_no_library_that_only_some_workers_need(library: str) -> None:
    code = f"import sys, server.app.worker; print('{library}' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
