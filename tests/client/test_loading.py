"""The client loads beside everyone else's stubs. Each test asks an interpreter of its own."""

import subprocess
import sys

import pytest

# Another copy of package inference, as tritonclient and others bring one.
FOREIGN = """
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

file = descriptor_pb2.FileDescriptorProto(
    name="foreign/open_inference.proto", package="inference", syntax="proto3"
)
for name in ("ModelInferRequest", "ModelInferResponse"):
    message = file.message_type.add(name=name)
    for number, field in ((1, "model_name"), (3, "id")):
        message.field.add(name=field, number=number, type=9, label=1)
descriptor_pool.Default().Add(file)
"""

USE = """
import sys
from turnout import Client

def foreign(name):
    found = descriptor_pool.Default().FindMessageTypeByName(name)
    return message_factory.GetMessageClass(found)

asked = foreign("inference.ModelInferRequest")(id="i-1")
with Client(sys.argv[1], timeout_s=20) as client:
    print(client.infer(asked).parse(foreign("inference.ModelInferResponse")).id)
"""

FILES = """
from google.protobuf import descriptor_pool
import turnout

for name in ("inference.ModelInferRequest", "inference.GRPCInferenceService"):
    try:
        descriptor_pool.Default().FindFileContainingSymbol(name)
    except KeyError:
        continue
    print(name)
"""


def run(program: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("order", ["foreign first", "turnout first"])
def test_infer_works_beside_another_copy_of_package_inference(address: str, order: str) -> None:
    program = FOREIGN + USE if order == "foreign first" else "import turnout\n" + FOREIGN + USE
    assert run(program, address) == "i-1\n"


def test_the_client_registers_nothing_of_package_inference() -> None:
    assert run(FILES) == ""


def test_the_client_loads_nothing_of_the_service() -> None:
    loaded = run("import sys, turnout; print(*sys.modules)").split()
    assert not {"server", "optimizer", "grpc_status", "numpy"} & set(loaded)
