"""A configuration whose rules look at everything, and a control plane that has it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.fuzz.loop import TurnLoop
from server.config.parse import parse
from server.config.schema import Config
from server.control.kept_files import KeptFiles
from server.control.plane import ControlPlane
from server.routing.decision_id import KEY_BYTES

KEY = b"k" * KEY_BYTES
# Tuesday, 2024-07-02 10:30:00 UTC.
NOW_S = 1_719_916_200.0

_MODELS: list[dict[str, Any]] = [
    {
        "name": name,
        "protocol": protocol,
        "endpoints": [f"127.0.0.1:{port}"],
        "price": {"request_usd": usd, "input_usd_per_mtok": usd},
        "prior_accuracy": 0.9,
        "capabilities": ["tools"],
    }
    for name, protocol, port, usd in (
        ("small", "oip", 1, 0.001), ("large", "oip", 2, 0.01), ("text", "openai", 3, 0.02)
    )
]  # fmt: skip
_CLASSES: list[dict[str, Any]] = [
    {"name": "tagged", "match": {"labels": {"app": ["x"]}, "metadata": {"x-team": ["blue"]}}},
    {"name": "acme", "match": {"tenant": ["acme"], "user": ["ada"], "priority": {"min": 3}}},
    {"name": "spoken", "match": {"languages": ["de"], "scripts": ["latin"]}},
    {"name": "coded", "match": {"structures": ["code"], "code_languages": ["python"]}},
    {"name": "asked", "match": {"structures": ["question"], "messages": {"min": 3}}},
    {"name": "tools", "match": {"tools": True, "input_tokens": {"min": 100}}},
    {
        "name": "boxes",
        "match": {"tensors": {"names": ["x"], "datatypes": ["FP32"], "elements": {"min": 9}}},
    },
    {
        "name": "chat",
        "default": True,
        "floor": 0.85,
        "grades": "caller",
        "audit_rate": 0.5,
        "slo": {"ms": 100.0, "fraction": 0.9},
    },
]
DOCUMENT: dict[str, Any] = {
    "models": _MODELS,
    "classes": _CLASSES,
    "domains": [
        {"name": "law", "match": {"keywords": {"any_of": ["court", "appeal of", "judge"]}}},
        {"name": "data", "match": {"structures": ["json"]}},
    ],
    "budgets": [{"name": "all", "amount_usd": 240.0, "period": "day"}],
}
CONFIG: Config = parse(DOCUMENT)
# Where files cost no disk.
_SHM = "/dev/shm"


@contextmanager
def folder() -> Iterator[Path]:
    """One that is gone afterwards."""
    place = _SHM if Path(_SHM).is_dir() else None
    with tempfile.TemporaryDirectory(prefix="turnout-fuzz-", dir=place) as made:
        yield Path(made)


@contextmanager
def control_plane(loop: TurnLoop) -> Iterator[ControlPlane]:
    """It counts and settles; it plans nothing, for nobody runs it."""
    with folder() as made:
        files = KeptFiles.in_folder(made)
        yield ControlPlane(CONFIG, KEY, files, clock=lambda: NOW_S + 1.0 + loop.time())
