"""A classifier behind the Open Inference Protocol, as any model server would offer it."""

import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from benchmarks.demo.digits import PIXELS, Images
from benchmarks.demo.forks import Line
from benchmarks.demo.models import MODELS, THREADS, ServedAs
from benchmarks.demo.training import Classifier
from server.wire import oip_pb2 as oip
from server.wire import oip_pb2_grpc as oip_grpc

_SERVICE = "inference.GRPCInferenceService"
_DRAIN_S = 1.0  # a prediction takes hundredths of it


class BadInputError(Exception):
    """What is wrong with a request, and what would be right."""


def image_of(request: oip.ModelInferRequest) -> Images:
    """The one image of a request, from whichever of the two places tensors may stand in."""
    if len(request.inputs) != 1:
        raise BadInputError(f"inputs: 1 tensor is right, {len(request.inputs)} came")
    tensor = request.inputs[0]
    if (tensor.name, tensor.datatype, [*tensor.shape]) != ("pixels", "FP32", [1, PIXELS]):
        raise BadInputError(f"inputs[0]: 'pixels', FP32, [1, {PIXELS}] is right")
    if request.raw_input_contents:
        return _image("raw_input_contents[0]", _floats(request.raw_input_contents[0]))
    return _image("inputs[0].contents.fp32_contents", tensor.contents.fp32_contents)


def _floats(raw: bytes) -> Images:
    whole = len(raw) - len(raw) % 4
    return np.frombuffer(raw[:whole], dtype="<f4")


def _image(field: str, pixels: Sequence[float] | Images) -> Images:
    image = np.array(pixels, dtype=np.float32).reshape(1, -1)
    if image.size != PIXELS or not np.isfinite(image).all():
        raise BadInputError(f"{field}: {PIXELS} finite numbers are right")
    return image


class DigitsServicer(oip_grpc.GRPCInferenceServiceServicer):
    """One classifier, one version of it."""

    def __init__(self, classifier: Classifier, served_as: ServedAs, busy_s: float = 0.0) -> None:
        """A prediction keeps a thread busy for `busy_s` more, as on slower hardware."""
        self._classifier = classifier
        self._busy_s = busy_s
        self._name, self._version = served_as.upstream_name, served_as.version

    def ServerLive(
        self, _request: oip.ServerLiveRequest, _context: grpc.ServicerContext
    ) -> oip.ServerLiveResponse:
        return oip.ServerLiveResponse(live=True)

    def ServerReady(
        self, _request: oip.ServerReadyRequest, _context: grpc.ServicerContext
    ) -> oip.ServerReadyResponse:
        return oip.ServerReadyResponse(ready=True)

    def ModelReady(
        self, request: oip.ModelReadyRequest, _context: grpc.ServicerContext
    ) -> oip.ModelReadyResponse:
        return oip.ModelReadyResponse(ready=self._is_served(request.name, request.version))

    def ServerMetadata(
        self, _request: oip.ServerMetadataRequest, _context: grpc.ServicerContext
    ) -> oip.ServerMetadataResponse:
        return oip.ServerMetadataResponse(name="digits", version="1")

    def ModelMetadata(
        self, request: oip.ModelMetadataRequest, context: grpc.ServicerContext
    ) -> oip.ModelMetadataResponse:
        self._refuse_others(request.name, request.version, context)
        tensor = oip.ModelMetadataResponse.TensorMetadata
        return oip.ModelMetadataResponse(
            name=self._name,
            versions=[self._version],
            platform="scikit-learn",
            inputs=[tensor(name="pixels", datatype="FP32", shape=[1, PIXELS])],
            outputs=[tensor(name="digit", datatype="INT64", shape=[1])],
        )

    def ModelInfer(
        self, request: oip.ModelInferRequest, context: grpc.ServicerContext
    ) -> oip.ModelInferResponse:
        self._refuse_others(request.model_name, request.model_version, context)
        try:
            image = image_of(request)
        except BadInputError as problem:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(problem))
        time.sleep(self._busy_s)
        return self._answer(request.id, int(self._classifier.predict(image)[0]))

    def _answer(self, request_id: str, digit: int) -> oip.ModelInferResponse:
        response = oip.ModelInferResponse(
            model_name=self._name, model_version=self._version, id=request_id
        )
        tensor = response.outputs.add(name="digit", datatype="INT64", shape=[1])
        tensor.contents.int64_contents.append(digit)
        return response

    def _is_served(self, name: str, version: str) -> bool:
        return name == self._name and version in ("", self._version)

    def _refuse_others(self, name: str, version: str, context: grpc.ServicerContext) -> None:
        if not self._is_served(name, version):
            served = f"{self._name!r} version {self._version!r} is served here"
            context.abort(grpc.StatusCode.NOT_FOUND, f"{name!r} version {version!r}: {served}")


@contextmanager
def serving(
    classifier: Classifier, served_as: ServedAs, port: int, busy_s: float = 0.0
) -> Iterator[int]:
    """Serves on loopback; yields the port, a free one for 0."""
    # Without the option a second server on the same port would share its connections.
    server = grpc.server(ThreadPoolExecutor(THREADS), options=[("grpc.so_reuseport", 0)])
    servicer = DigitsServicer(classifier, served_as, busy_s)
    oip_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    status = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    for service in ("", _SERVICE):
        status.set(service, health_pb2.HealthCheckResponse.SERVING)
    try:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError:
        raise OSError(f"127.0.0.1:{port} is taken: stop what listens there") from None
    server.start()
    try:
        yield bound
    finally:
        status.enter_graceful_shutdown()
        server.stop(_DRAIN_S).wait()


def serve_model(line: Line, name: str, file: Path, port: int, busy_s: float) -> None:
    """Loads what `training` left, says its port, serves until SIGTERM."""
    classifier: Classifier = pickle.loads(file.read_bytes())  # noqa: S301 - ours
    try:
        with serving(classifier, MODELS[name], port, busy_s) as bound:
            line.send(bound)
            _wait_for_the_end()
    except OSError as error:
        sys.exit(str(error))


def _wait_for_the_end() -> None:
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    over.wait()
