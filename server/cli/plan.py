"""`turnout plan`: which models answer, what that costs, and what is kept of what was promised."""

import time
from contextlib import suppress
from typing import Annotated

import grpc
import typer
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from server.cli.admin import Admin, asks_admin
from server.cli.connection import TIMEOUT_S, explained
from server.cli.plan_view import no_plan_view, plan_view
from server.cli.terminal import AsJson, console, json_of
from turnout.v1 import admin_pb2 as pb
from turnout.v1.admin_pb2_grpc import AdminServiceStub

# A new plan is seen soon, and its age counts up by the second.
_LOOK_EVERY_S = 1.0


@asks_admin
def plan(
    plan_id: Annotated[
        str,
        typer.Argument(
            metavar="[ID]", help="Show an earlier plan: a decision names it as its plan_id."
        ),
    ] = "",
    *,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Show each new plan until Ctrl-C; with --json, one a line."),
    ] = False,
    admin: Admin,
    as_json: AsJson = False,
) -> None:
    """Show which models answer, what that costs, and what is promised, kept and spent.

    Amounts an hour are for as many requests as came on average in the last hour, or since the
    service began to count if that is less.
    """
    if watch and plan_id:
        raise typer.BadParameter("an earlier plan does not change: leave out --watch or the id")
    with admin.service() as stub, suppress(KeyboardInterrupt):
        if watch and as_json:
            _print_each(stub, admin)
        elif watch:
            _follow(stub, admin)
        elif as_json:
            print(json_of(_get(stub, admin, plan_id)))
        else:
            console().print(_view(_get(stub, admin, plan_id)))


def _get(stub: AdminServiceStub, admin: Admin, plan_id: str = "") -> pb.GetPlanResponse:
    request = pb.GetPlanRequest(plan_id=plan_id)
    return stub.GetPlan(request, timeout=TIMEOUT_S, metadata=admin.metadata)


def _view(response: pb.GetPlanResponse) -> RenderableType:
    if not response.HasField("plan"):
        return no_plan_view(response.no_plan_reason)
    return plan_view(response.plan, now_s=time.time())


def _print_each(stub: AdminServiceStub, admin: Admin) -> None:
    last = None
    while True:
        response = _get(stub, admin)
        if (found := (response.plan.id, response.plan.time.ToNanoseconds())) != last:
            last = found
            print(json_of(response, indent=None), flush=True)
        time.sleep(_LOOK_EVERY_S)


def _follow(stub: AdminServiceStub, admin: Admin) -> None:
    """Outlives the service: one that is started again is followed again."""
    with Live(console=console(), auto_refresh=False) as live:
        while True:
            try:
                shown = _view(_get(stub, admin))
            except grpc.RpcError as error:
                shown = Text(explained(error, admin.address, "--admin"), "red")
            live.update(shown, refresh=True)
            time.sleep(_LOOK_EVERY_S)
