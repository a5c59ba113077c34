import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from server.app.key_follower import KeyFollower
from server.control.client import ControlClient
from server.control.key_ring import CLASSES_MAX, NOTE_BYTES_MAX, OVERLAP_S_MAX, TENANT_BYTES_MAX
from server.control.protocol import PROTOCOL
from server.routing.callers import Callers, Shown
from server.rpc.author import OPERATOR_KEY
from tests.server.control.served import PATIENCE_S, Served, control_plane, serving
from tests.server.control.told import service
from tests.server.rpc.refusal import refusal
from turnout.v1 import admin_pb2 as pb
from turnout.v1 import control_pb2


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(control_plane(tmp_path, service(window_s=3_600.0)), tmp_path) as found:
        yield found


async def create(served: Served, **terms: Any) -> pb.CreateKeyResponse:
    request = pb.CreateKeyRequest(key=pb.Key(**{"tenant": "team-a", **terms}))
    return await served.admin.CreateKey(request, metadata=((OPERATOR_KEY, "anna"),))


async def listed(served: Served) -> list[pb.Key]:
    return list((await served.admin.ListKeys(pb.ListKeysRequest())).keys)


def at(at_s: float) -> Timestamp:
    moment = Timestamp()
    moment.FromSeconds(int(at_s))
    return moment


async def test_a_key_is_made_as_it_was_asked_for_and_its_secret_is_told_once(
    served: Served,
) -> None:
    asked = pb.Key(
        tenant="team-a",
        classes=["code"],
        requests_per_minute=600,
        concurrent=20,
        expires=at(time.time() + 3_600),
        note="the shop's backend",
    )
    made = await served.admin.CreateKey(pb.CreateKeyRequest(key=asked))
    assert made.secret.startswith(f"tk_{made.key.id}_")
    assert made.key.HasField("created")
    (found,) = await listed(served)
    assert found == made.key
    for field in ("id", "created"):
        found.ClearField(field)
    assert found == asked


async def test_keys_are_listed_the_newest_first_and_without_their_secrets(served: Served) -> None:
    first, second = [await create(served, note=note) for note in ("one", "two")]
    response = await served.admin.ListKeys(pb.ListKeysRequest())
    assert [key.id for key in response.keys] == [second.key.id, first.key.id]
    for made in (first, second):
        assert made.secret[-43:] not in str(response)


async def test_no_two_secrets_are_alike(served: Served) -> None:
    made = [await create(served) for _ in range(20)]
    assert len({one.secret[-43:] for one in made}) == len({one.key.id for one in made}) == 20


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"tenant": ""}, "key.tenant", "say whose"),
    ({"tenant": (TENANT_BYTES_MAX + 1) * "t"}, "key.tenant", "longer than 256 bytes"),
    ({"tenant": "a\nb"}, "key.tenant", "cannot be shown"),
    ({"note": (NOTE_BYTES_MAX + 1) * "n"}, "key.note", "longer than 128 bytes"),
    ({"classes": ["cod"]}, "key.classes", "did you mean 'code'?"),
    ({"classes": (CLASSES_MAX + 1) * ["code"]}, "key.classes", "more than 32"),
    ({"requests_per_minute": 0}, "key.requests_per_minute", "leave it out for no limit"),
    ({"concurrent": 2_000_000_000}, "key.concurrent", "must be 1 to 1,000,000,000"),
    ({"expires": at(1)}, "key.expires", "a moment to come"),
]


@pytest.mark.parametrize(("terms", "field", "words"), MISTAKES)
async def test_a_mistake_is_named_with_its_field_and_no_key_is_made(
    served: Served, terms: dict[str, Any], field: str, words: str
) -> None:
    found = await refusal(create(served, **terms))
    assert (found.code, found.reason) == (StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    assert found.fields == [field]
    assert words in found.message
    assert await listed(served) == []


async def test_a_rotated_key_says_until_when_the_old_secret_holds(served: Served) -> None:
    made = await create(served)
    request = pb.RotateKeyRequest(id=made.key.id, overlap=Duration(seconds=3_600))
    rotated = await served.admin.RotateKey(request)
    assert rotated.secret != made.secret
    assert rotated.key.overlap_until.seconds == pytest.approx(time.time() + 3_600, abs=60)
    assert rotated.key.HasField("rotated")


async def test_without_an_overlap_the_old_secret_holds_no_more(served: Served) -> None:
    made = await create(served)
    rotated = await served.admin.RotateKey(pb.RotateKeyRequest(id=made.key.id))
    assert not rotated.key.HasField("overlap_until")


@pytest.mark.parametrize("seconds", [-1, OVERLAP_S_MAX + 1])
async def test_an_overlap_is_bounded(served: Served, seconds: int) -> None:
    made = await create(served)
    request = pb.RotateKeyRequest(id=made.key.id, overlap=Duration(seconds=seconds))
    found = await refusal(served.admin.RotateKey(request))
    assert (found.fields, found.message) == (["overlap"], "must be from 0 to 90 days")


async def test_a_key_that_there_is_not_is_not_found(served: Served) -> None:
    for call in (
        served.admin.RevokeKey(pb.RevokeKeyRequest(id="nope")),
        served.admin.RotateKey(pb.RotateKeyRequest(id="nope")),
    ):
        found = await refusal(call)
        assert (found.code, found.reason, found.fields) == (
            StatusCode.NOT_FOUND,
            "NOT_FOUND",
            ["id"],
        )


async def test_a_revoked_key_is_listed_as_such_and_may_be_revoked_again(served: Served) -> None:
    made = await create(served)
    request = pb.RevokeKeyRequest(id=made.key.id)
    first, second = [await served.admin.RevokeKey(request) for _ in range(2)]
    assert first.key.HasField("revoked")
    assert first == second
    assert await listed(served) == [first.key]


async def test_who_changed_keys_is_told_among_the_changes(served: Served) -> None:
    made = await create(served)
    await served.admin.RevokeKey(pb.RevokeKeyRequest(id=made.key.id))
    updates = (await served.admin.ListUpdates(pb.ListUpdatesRequest())).updates
    assert [[change.text for change in update.changes] for update in updates] == [
        [f"keys: {made.key.id} revoked"],
        [f"keys: {made.key.id} created for tenant 'team-a'"],
    ]
    assert (updates[1].who, updates[1].operator) == (f"uid {os.geteuid()}", "anna")
    assert made.secret[-43:] not in str(updates)


class Worker:
    """Follows keys, and says which are in force."""

    def __init__(self, served: Served) -> None:
        self.callers = Callers()
        self.in_force = 0, 0
        self._client = ControlClient(served.channel, "w0")
        self._follower = KeyFollower(self.callers, self._followed)
        self._sequence = 0

    def _followed(self, epoch: int, number: int) -> None:
        self.in_force = epoch, number

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """From the first keys on."""
        following = asyncio.create_task(self._follower.run(self._client))
        await self._follower.before(_nothing)
        try:
            yield
        finally:
            following.cancel()

    async def push(self, **said: Any) -> None:
        self._sequence += 1
        epoch, number = self.in_force
        request = _push(sequence=self._sequence, epoch=epoch, keys_number=number, **said)
        await self._client.push(request)


async def _nothing() -> None:
    """All that is wanted is to wait."""


def _push(**said: Any) -> control_pb2.PushStatsRequest:
    return control_pb2.PushStatsRequest(protocol=PROTOCOL, boot="b0", **said)


async def test_keys_are_in_force_at_a_worker_before_it_does_anything_else(served: Served) -> None:
    made = await create(served)
    worker = Worker(served)
    shown = Shown([f"Bearer {made.secret}"])
    async with worker.following():
        assert worker.callers.find(shown, now_s=time.time()).tenant == "team-a"


async def test_a_change_reaches_a_worker_that_reads_no_plan_meanwhile(served: Served) -> None:
    """As one does that compiles a large configuration."""
    worker = Worker(served)
    async with worker.following():
        before = worker.in_force
        await create(served)
        async with asyncio.timeout(PATIENCE_S):
            while worker.in_force == before:  # noqa: ASYNC110 - it comes in its own time
                await asyncio.sleep(0.001)


async def test_when_a_key_was_used_last_is_told_by_workers(served: Served) -> None:
    made = await create(served)
    worker = Worker(served)
    await worker.push(keys_used=[control_pb2.KeyUse(id=made.key.id, used_s=1_000.5)])
    (found,) = await listed(served)
    assert found.last_used.ToMilliseconds() == 1_000_500


async def test_a_worker_that_does_not_follow_is_named(served: Served) -> None:
    worker = Worker(served)
    async with worker.following():
        await worker.push()
    assert served.plane.behind_keys() == []
    made = await create(served)  # which waits its whole time: the worker says nothing more
    assert list(made.behind) == ["w0"]


async def test_a_full_disk_refuses_a_change_and_says_nothing_of_a_key(
    served: Served, tmp_path: Path
) -> None:
    (tmp_path / "keys.json").mkdir()
    (tmp_path / "keys.json/in the way").touch()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await create(served)
    assert caught.value.code() is StatusCode.INTERNAL
    assert await listed(served) == []
