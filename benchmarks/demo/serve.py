"""The demo's models and Turnout left running, for whoever wants to try a client on them."""

import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc

from benchmarks.demo.configuration import config_of
from benchmarks.demo.fleet import (
    ModelServers,
    data_address,
    trained,
    turnout_started,
    wait_until_serving,
)
from benchmarks.demo.models import AT_START
from benchmarks.demo.port import refuse_taken
from server.config.state_dir import state_dir
from turnout.v1.admin_pb2_grpc import AdminServiceStub

_HOST = "127.0.0.1"
PORT = 7080

CLIENT_CODE = f"""\
from sklearn.datasets import load_digits
from server.wire.oip_pb2 import ModelInferRequest, ModelInferResponse
from turnout import Client

request = ModelInferRequest()
pixels = request.inputs.add(name="pixels", datatype="FP32", shape=[1, 64])
pixels.contents.fp32_contents.extend(load_digits().data[0])
with Client("127.0.0.1:{PORT}") as client:
    answer = client.infer(request, labels={{"app": "strict"}})
digit = answer.parse(ModelInferResponse).outputs[0].contents.int64_contents[0]
print(f"{{answer.model}} says {{digit}} for ${{answer.cost_usd:.9f}}: {{answer.reason.text}}")
"""


async def serve(say: Callable[[str], None], port: int) -> None:
    """Until cancelled; then ends all. Port 0 takes a free one; admin is where `turnout` looks."""
    refuse_taken(_HOST, port)  # now, for training takes a while
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="turnout-demo-")))
        known, _ = await trained(folder)
        servers = ModelServers(folder, stack)
        ports = await servers.started(AT_START)
        config = config_of(known.measured, ports, f"{_HOST}:{port}", state_dir=None)
        turnout = await stack.enter_async_context(turnout_started(config, folder))
        admin_address = f"unix:{state_dir(config, os.environ)}/admin.sock"
        async with grpc.aio.insecure_channel(admin_address) as channel:
            address = await data_address(turnout, AdminServiceStub(channel))
        await wait_until_serving(turnout, address)
        say(f"Turnout listens at {address}, configured by {folder / 'turnout.yaml'}. Try:\n")
        say(CLIENT_CODE.replace(f"127.0.0.1:{PORT}", address))
        say("Or: turnout plan, turnout models. Ctrl-C ends it.")
        await turnout.wait()
    raise turnout.start_error()
