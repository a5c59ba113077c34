import json
import subprocess
import sys

SCRIPT = """
import logging
import structlog
from server.telemetry.logs import configure_logs

configure_logs("control plane")
structlog.get_logger().info("plan published", plan_id="p1")
logging.getLogger("grpc").warning("a library %s", "speaks")
try:
    raise ValueError("no")
except ValueError:
    structlog.get_logger().exception("it failed")
"""


def test_every_log_is_a_line_of_json_on_stderr_with_the_name_of_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == ""
    ours, foreign, failure = map(json.loads, done.stderr.splitlines())
    assert ours["event"] == "plan published"
    assert (ours["process"], ours["level"], ours["plan_id"]) == ("control plane", "info", "p1")
    assert ours["timestamp"].endswith("Z")
    assert (foreign["event"], foreign["process"]) == ("a library speaks", "control plane")
    assert "ValueError: no" in failure["exception"]
