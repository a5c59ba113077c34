"""What a worker holds of libraries that only some workers need."""

import subprocess
import sys


def test_a_worker_without_a_door_or_a_model_of_openai_does_not_hold_aiohttp() -> None:
    code = "import sys, server.app.worker; print('aiohttp' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
