"""A configuration with a door for OpenAI clients, before a language model or none."""

from pathlib import Path
from typing import Any

from tests.server.running import write_config

QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]


def configured(folder: Path, *endpoints: str, serves: str = "chat", **listeners: object) -> Path:
    return write_config(
        folder,
        "",
        listeners={"data": "127.0.0.1:0", "openai": "127.0.0.1:0", **listeners},
        models=[
            {
                "name": "smollm2",
                "protocol": "openai",
                "endpoints": list(endpoints),
                "serves": serves,
                "price": {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.4},
                "prior_accuracy": 0.5,
            }
        ],
        classes=[{"name": "all", "default": True}, {"name": "support"}],
    )
