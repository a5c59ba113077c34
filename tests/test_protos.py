import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.needs("buf")
def test_buf_finds_nothing_to_say_about_our_protos() -> None:
    buf = shutil.which("buf")
    assert buf is not None
    said = subprocess.run([buf, "lint"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")
