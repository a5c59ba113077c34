"""The demo's models and Turnout left running, for whoever wants to try a client on them."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.demo.configuration import config_of
from benchmarks.demo.digits import split_digits
from benchmarks.demo.fleet import ModelServers, turnout_started, wait_until_serving
from benchmarks.demo.models import AT_START, study

ADDRESS = "127.0.0.1:7080"
_FIRST_MODEL_PORT = 7081

CLIENT_CODE = f"""\
from sklearn.datasets import load_digits
from server.wire.oip_pb2 import ModelInferRequest, ModelInferResponse
from turnout import Client

request = ModelInferRequest()
pixels = request.inputs.add(name="pixels", datatype="FP32", shape=[1, 64])
pixels.contents.fp32_contents.extend(load_digits().data[0])
with Client("{ADDRESS}") as client:
    answer = client.infer(request, labels={{"app": "strict"}})
digit = answer.parse(ModelInferResponse).outputs[0].contents.int64_contents[0]
print(f"{{answer.model}} says {{digit}} for ${{answer.cost_usd:.9f}}: {{answer.reason.text}}")
"""


async def serve(say: Callable[[str], None]) -> None:
    """Until cancelled; then ends all."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="turnout-demo-")))
        servers = ModelServers(folder, stack)
        ports = {name: _FIRST_MODEL_PORT + i for i, name in enumerate(AT_START)}
        for name, port in ports.items():
            await servers.start(name, port)
        known = await asyncio.to_thread(study, split_digits())
        for name in AT_START:
            await servers.port_of(name)
        config = config_of(known.measured, ports, ADDRESS, state_dir=None)
        turnout = await stack.enter_async_context(turnout_started(config, folder))
        await wait_until_serving(turnout, ADDRESS)
        say(f"Turnout listens at {ADDRESS}, configured by {folder / 'turnout.yaml'}. Try:\n")
        say(CLIENT_CODE)
        say("Or: turnout plan, turnout models. Ctrl-C ends it.")
        await turnout.wait()
    raise turnout.start_error()
