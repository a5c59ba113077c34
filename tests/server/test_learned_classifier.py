"""The learned classifier through all processes: read, replaced, and its requests kept."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from server.control.kept_requests import read_kept
from server.routing.learned_classifier.file_format import dump
from tests.server.routing.learned_classifier.made import contents
from tests.server.running import Service, routing, serving, write_config
from turnout.v1 import admin_pb2, admin_pb2_grpc
from turnout.v1.routing_pb2 import Outcome, ReportRequest, RouteRequest, RouteResponse

pytestmark = pytest.mark.slow

BEFORE = dump(contents(words={"court": (3, -3)}, threshold=0.6))
AFTER = dump(contents(domains=("art", "law"), words={"court": (3, -3)}, threshold=0.6))

MODEL = {
    "name": "small",
    "protocol": "openai",
    "endpoints": ["127.0.0.1:9"],  # nobody is asked: callers of Route ask themselves
    "price": {"request_usd": 0.001},
    "prior_accuracy": 0.9,
}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    file = tmp_path / "classifier.bin"
    file.write_bytes(BEFORE)
    classifier = {"file": str(file), "keep_requests": 100}
    path = write_config(tmp_path, "", models=[MODEL], classifier=classifier)
    async with serving(path, tmp_path / "state") as found:
        yield found


async def route(service: Service, text: str) -> RouteResponse:
    async with routing(service.data) as stub:
        return await stub.Route(RouteRequest(text=text), timeout=20)


async def test_another_classifier_takes_its_place_while_requests_come(service: Service) -> None:
    assert (await route(service, "to the court")).cell.domain == "law"
    assert (await route(service, "to the beach")).cell.domain == "other"
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir / 'admin.sock'}") as channel:
        update = admin_pb2.UpdateClassifierRequest(classifier=AFTER)
        answer = await admin_pb2_grpc.AdminServiceStub(channel).UpdateClassifier(update, timeout=20)
    assert answer.in_force
    async with asyncio.timeout(20):
        while (await route(service, "to the court")).cell.domain != "art":  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_texts_label_is_kept_with_it(service: Service) -> None:
    answer = await route(service, "to the beach")
    outcome = Outcome(decision_id=answer.decision_id, domain="travel")
    async with routing(service.data) as stub:
        await stub.Report(ReportRequest(outcomes=[outcome]), timeout=20)
    async with asyncio.timeout(20):
        while not any(one.true_domain for one in read_kept(service.state_dir)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    (kept,) = read_kept(service.state_dir)
    assert (kept.text, kept.domain) == ("to the beach", "other")
