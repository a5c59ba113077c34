import asyncio
import os
import signal
from pathlib import Path

import grpc
import pytest

from server.control.update_log import read_log
from tests.server.running import Service, answering, serving, write_config
from turnout.v1 import admin_pb2 as pb
from turnout.v1.admin_pb2_grpc import AdminServiceStub

BUDGET = {"name": "team", "amount_usd": 20.0, "period": "day"}


async def set_amount(service: Service, amount_usd: float) -> None:
    request = pb.UpdateBudgetRequest(budget=pb.Budget(name="team", amount_usd=amount_usd))
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir}/admin.sock") as channel:
        await AdminServiceStub(channel).UpdateBudget(request, timeout=20, wait_for_ready=True)


async def amount(service: Service) -> float:
    """In force."""
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir}/admin.sock") as channel:
        request = pb.ListBudgetsRequest()
        found = await AdminServiceStub(channel).ListBudgets(
            request, timeout=20, wait_for_ready=True
        )
    return found.budgets[0].budget.amount_usd


async def listed(service: Service) -> list[str]:
    async with grpc.aio.insecure_channel(f"unix:{service.state_dir}/admin.sock") as channel:
        request = pb.ListUpdatesRequest()
        found = await AdminServiceStub(channel).ListUpdates(
            request, timeout=20, wait_for_ready=True
        )
    return [change.text for update in found.updates for change in update.changes]


async def test_after_sigkill_each_change_that_was_answered_is_known_and_no_refused_one(
    tmp_path: Path,
) -> None:
    changes: list[str] = []
    async with answering() as (_, endpoint):
        path = write_config(tmp_path, endpoint, budgets=[BUDGET])
        async with serving(path, tmp_path / "state") as service:
            for before, after in ((20.0, 30.0), (30.0, 40.0)):
                await set_amount(service, after)
                with pytest.raises(grpc.aio.AioRpcError):
                    await set_amount(service, -1.0)
                (control,) = service.children("server.app.control")
                os.kill(control, signal.SIGKILL)
                changes.insert(0, f"budgets.team.amount_usd: {before} -> {after}")
                on_disk = read_log(tmp_path / "state/updates.jsonl").newest_first()
                assert [c.text for update in on_disk for c in update.changes] == changes
                await service.read_until("process died")
                assert await listed(service) == changes
        # The next start of the service begins with its file, and says that too.
        async with serving(path, tmp_path / "state") as service:
            assert await listed(service) == ["budgets.team.amount_usd: 40.0 -> 20.0", *changes]


async def test_a_change_that_no_answer_came_for_is_known_where_it_holds(tmp_path: Path) -> None:
    async with answering() as (_, endpoint):
        path = write_config(tmp_path, endpoint, budgets=[BUDGET])
        async with serving(path, tmp_path / "state") as service:
            calls = [asyncio.ensure_future(set_amount(service, 20.0 + n)) for n in range(1, 40)]
            await calls[0]
            (control,) = service.children("server.app.control")
            os.kill(control, signal.SIGKILL)
            done = await asyncio.gather(*calls, return_exceptions=True)
            await service.read_until("process died")
            amounts = [change.rpartition(" ")[2] for change in await listed(service)]
            answered = [f"{20.0 + n}" for n, found in enumerate(done, 1) if found is None]
            assert set(answered) <= set(amounts)
            # The very last one may have been killed before it was in force.
            assert f"{await amount(service)}" in amounts[:2]
