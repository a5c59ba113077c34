"""`turnout status`: whether it runs, by which plan, and what each worker does."""

import time
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.cli.admin import Admin, asks_admin
from server.cli.connection import TIMEOUT_S
from server.cli.figures import age
from server.cli.terminal import AsJson, console, json_of, plain_table
from turnout.v1 import admin_pb2 as pb
from turnout.v1.admin_pb2_grpc import AdminServiceStub

# As the worker's log has it: windows without a word that the plan still holds.
_LATE_WINDOWS = 3


class _Found(NamedTuple):
    info: pb.GetServerInfoResponse
    plan: pb.Plan | None


@asks_admin
def status(admin: Admin, as_json: AsJson = False) -> None:
    """Show whether Turnout runs, how old its plan is, and what each worker does."""
    with admin.service() as service:
        found = _ask(service, admin)
    if as_json:
        print(json_of(found.info))
    else:
        console().print(view(found.info, found.plan, now_s=time.time()))


def _ask(stub: AdminServiceStub, admin: Admin) -> _Found:
    info = stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=TIMEOUT_S, metadata=admin.metadata)
    found = stub.GetPlan(pb.GetPlanRequest(), timeout=TIMEOUT_S, metadata=admin.metadata)
    return _Found(info, found.plan if found.HasField("plan") else None)


def view(info: pb.GetServerInfoResponse, plan: pb.Plan | None, *, now_s: float) -> RenderableType:
    """The service, its plan, then a row for each worker."""
    since = age(now_s - info.started.ToNanoseconds() / 1e9)
    head = Text.assemble((f"Turnout {info.version}", "bold"), f", up for {since}")
    if info.data_address:
        head.append(f", serves on {info.data_address}")
    return Group(head, _plan(plan, now_s), _workers(info, plan, now_s))


def _plan(plan: pb.Plan | None, now_s: float) -> Text:
    if plan is None:
        return Text("No plan yet: 'turnout plan' says what holds until then.")
    text = Text(f"Plan {plan.id}, found {age(now_s - plan.time.ToNanoseconds() / 1e9)} ago")
    if plan.failure:
        text.append(f"\nNo newer plan could be made: {plan.failure}", "yellow")
    return text


def _workers(info: pb.GetServerInfoResponse, plan: pb.Plan | None, now_s: float) -> Table:
    table = plain_table("worker", "last heard", "decided>", "connections>", "plan", "plan's age>")
    window_s = 0.0 if plan is None else plan.window_s
    for worker in info.workers:
        silent_s = now_s - worker.last_push.ToNanoseconds() / 1e9
        table.add_row(
            worker.name,
            f"{age(silent_s)} ago",
            f"{worker.decided:,}",
            f"{worker.connections:,}",
            worker.plan_id or "none yet",
            _plan_age(worker, silent_s, window_s),
        )
    return table


def _plan_age(worker: pb.Worker, silent_s: float, window_s: float) -> Text:
    if not worker.HasField("plan_age_s"):
        return Text("-")
    age_s = worker.plan_age_s + max(silent_s, 0.0)
    late = window_s > 0 and age_s > _LATE_WINDOWS * window_s
    return Text(age(age_s), "yellow" if late else "")
