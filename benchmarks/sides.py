"""What is compared: servers, each where it listens and whose CPU time counts."""

from pathlib import Path
from typing import NamedTuple


class Side(NamedTuple):
    """One of those that are compared."""

    address: str
    pids: tuple[int, ...]  # whose CPU time counts; none: latencies only


class Certificate(NamedTuple):
    """Files of a server's certificate, and of who signed it."""

    cert_file: Path
    key_file: Path
    ca_file: Path
