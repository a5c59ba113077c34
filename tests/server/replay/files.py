"""Logs and configurations as somebody has them on disk."""

import gzip
from pathlib import Path

import yaml

from server.replay.recording import Recording
from tests.server.replay.recorded import DOMAINS, MODELS, USD

CONFIG = {
    "models": [
        {
            "name": name,
            "protocol": "openai",
            "endpoints": [],
            "price": {"request_usd": usd},
            "prior_accuracy": prior,
        }
        for name, usd, prior in zip(MODELS, USD, (0.5, 0.8, 0.9), strict=True)
    ],
    "classes": [
        {"name": "all", "default": True, "floor": 0.78, "grades": "caller", "audit_rate": 0.5}
    ],
    "domains": [{"name": name} for name in DOMAINS],
}


def write_config(path: Path) -> Path:
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def write_log(folder: Path, recording: Recording, *, compressed: bool = False) -> Path:
    """As docs/replay.md has it."""
    requests = recording.requests
    queries = ["query_id,domain,input_tokens"]
    queries += [f"{i},{d},100" for i, d in zip(requests.ids, requests.domains, strict=True)]
    outcomes = ["query_id,model,score,output_tokens,latency_s"]
    outcomes += [
        f"{query},{model},{recording.score[row, column]:g},50,"
        for row, query in enumerate(requests.ids)
        for column, model in enumerate(recording.models)
    ]
    folder.mkdir(exist_ok=True)
    for name, lines in (("queries.csv", queries), ("outcomes.csv", outcomes)):
        text = "\n".join(lines) + "\n"
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / name).write_text(text)
    return folder
