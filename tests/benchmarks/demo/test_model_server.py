"""A model server over real gRPC."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2

from benchmarks.demo.digits import Digits
from benchmarks.demo.fleet import ModelServers, trained
from benchmarks.demo.model_server import serving
from benchmarks.demo.models import MODELS
from benchmarks.demo.processes import StartError
from benchmarks.demo.training import RECIPES, Classifier, train
from server.wire import oip_pb2 as oip
from server.wire.oip_pb2_grpc import GRPCInferenceServiceStub

NAN = float("nan")


@pytest.fixture(scope="module")
def classifier(digits: Digits) -> Classifier:
    return train(RECIPES["svc-2"], digits)


@pytest.fixture(scope="module")
def channel(classifier: Classifier) -> Iterator[grpc.Channel]:
    with (
        serving(classifier, MODELS["svc-2"], 0) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield channel


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> GRPCInferenceServiceStub:
    return GRPCInferenceServiceStub(channel)


def infer_request(
    pixels: list[float],
    *,
    name: str = "pixels",
    datatype: str = "FP32",
    shape: tuple[int, ...] = (1, 64),
) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(model_name="svc", id="seven")
    tensor = request.inputs.add(name=name, datatype=datatype, shape=shape)
    tensor.contents.fp32_contents.extend(pixels)
    return request


def raw_request(raw: bytes) -> oip.ModelInferRequest:
    request = infer_request([])
    request.raw_input_contents.append(raw)
    return request


def refusal(
    stub: GRPCInferenceServiceStub, request: oip.ModelInferRequest
) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(request)
    assert isinstance(raised.value, grpc.Call)
    return raised.value.code(), raised.value.details() or ""


def test_the_server_is_live_and_ready(stub: GRPCInferenceServiceStub) -> None:
    assert stub.ServerLive(oip.ServerLiveRequest()).live
    assert stub.ServerReady(oip.ServerReadyRequest()).ready


def test_the_server_says_what_it_is(stub: GRPCInferenceServiceStub) -> None:
    assert stub.ServerMetadata(oip.ServerMetadataRequest()).name == "digits"


@pytest.mark.parametrize(
    ("name", "version", "ready"),
    [("svc", "", True), ("svc", "2", True), ("svc", "1", False), ("forest", "", False)],
)
def test_only_the_model_and_version_it_has_are_ready(
    stub: GRPCInferenceServiceStub, name: str, version: str, ready: bool
) -> None:
    assert stub.ModelReady(oip.ModelReadyRequest(name=name, version=version)).ready is ready


def test_metadata_describes_the_tensors(stub: GRPCInferenceServiceStub) -> None:
    metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name="svc"))
    assert (metadata.name, list(metadata.versions)) == ("svc", ["2"])
    [pixels], [digit] = metadata.inputs, metadata.outputs
    assert (pixels.name, pixels.datatype, list(pixels.shape)) == ("pixels", "FP32", [1, 64])
    assert (digit.name, digit.datatype, list(digit.shape)) == ("digit", "INT64", [1])


@pytest.mark.parametrize("row", range(5))
def test_it_answers_as_its_classifier_does(
    stub: GRPCInferenceServiceStub, classifier: Classifier, digits: Digits, row: int
) -> None:
    image = digits.held_out.images[row : row + 1]
    response = stub.ModelInfer(infer_request(image[0].tolist()))
    [digit] = response.outputs
    assert (response.model_name, response.model_version, response.id) == ("svc", "2", "seven")
    assert (digit.name, digit.datatype, list(digit.shape)) == ("digit", "INT64", [1])
    assert list(digit.contents.int64_contents) == classifier.predict(image).tolist()


def test_raw_bytes_are_answered_as_typed_values_are(
    stub: GRPCInferenceServiceStub, digits: Digits
) -> None:
    image = digits.held_out.images[0]
    typed = stub.ModelInfer(infer_request(image.tolist()))
    assert stub.ModelInfer(raw_request(image.astype("<f4").tobytes())) == typed


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (oip.ModelInferRequest(model_name="svc"), "inputs"),
        (infer_request([0.0] * 64, shape=(64,)), "inputs[0]"),
        (infer_request([0.0] * 128, shape=(2, 64)), "inputs[0]"),
        (infer_request([0.0] * 64, datatype="FP64"), "inputs[0]"),
        (infer_request([0.0] * 64, name="image"), "inputs[0]"),
        (infer_request([]), "inputs[0].contents.fp32_contents"),
        (infer_request([0.0] * 63), "inputs[0].contents.fp32_contents"),
        (infer_request([NAN] * 64), "inputs[0].contents.fp32_contents"),
        (raw_request(b"\0" * 255), "raw_input_contents[0]"),
        (raw_request(b"\0" * 260), "raw_input_contents[0]"),
        (raw_request(np.full(64, NAN, "<f4").tobytes()), "raw_input_contents[0]"),
    ],
)
def test_a_malformed_request_is_told_which_field_is_wrong(
    stub: GRPCInferenceServiceStub, request_: oip.ModelInferRequest, field: str
) -> None:
    code, details = refusal(stub, request_)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details.startswith(f"{field}: ")


@pytest.mark.parametrize(("name", "version"), [("forest", ""), ("svc", "1")])
def test_another_model_is_not_found(
    stub: GRPCInferenceServiceStub, name: str, version: str
) -> None:
    request = infer_request([0.0] * 64)
    request.model_name, request.model_version = name, version
    code, details = refusal(stub, request)
    assert code is grpc.StatusCode.NOT_FOUND
    assert "'svc' version '2' is served here" in details


@pytest.mark.parametrize("service", ["", "inference.GRPCInferenceService"])
def test_the_health_protocol_says_serving(channel: grpc.Channel, service: str) -> None:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    answer = check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_second_server_on_the_port_is_told_that_it_is_taken(classifier: Classifier) -> None:
    with (
        serving(classifier, MODELS["svc-2"], 0) as port,
        pytest.raises(OSError, match=f"{port} is taken"),
    ):
        serving(classifier, MODELS["svc-2"], port).__enter__()


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[ModelServers]:
    async with AsyncExitStack() as stack:
        await trained(tmp_path)
        yield ModelServers(tmp_path, stack)


async def ready(port: int) -> bool:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = oip.ModelReadyRequest(name="logreg-4x4", version="1")
        response = await GRPCInferenceServiceStub(channel).ModelReady(request, timeout=30)
        return bool(response.ready)


@pytest.mark.slow
async def test_a_process_serves_at_the_port_that_it_says_until_it_is_stopped(
    servers: ModelServers,
) -> None:
    await servers.start("logreg-4x4")
    port = await servers.port_of("logreg-4x4")
    assert await ready(port)
    await servers.stop("logreg-4x4")
    with pytest.raises(grpc.aio.AioRpcError):
        await ready(port)


@pytest.mark.slow
async def test_a_process_that_cannot_start_says_why(servers: ModelServers) -> None:
    await servers.start("logreg-4x4")
    taken = await servers.port_of("logreg-4x4")
    await servers.start("forest", taken)
    with pytest.raises(
        StartError, match=f"(?s)^forest did not start: .*127.0.0.1:{taken} is taken"
    ):
        await servers.port_of("forest")
