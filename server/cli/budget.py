"""`turnout budget`: what may be spent and what was; another amount while the service runs."""

from typing import Annotated

import typer
from rich.table import Table

from server.cli.admin import Admin, asks_admin, asks_admin_unless_subcommand
from server.cli.assignments import Assignments, assign, keys_help
from server.cli.figures import a
from server.cli.terminal import AsJson, plain_table, show, show_changed
from server.config.budgets import BudgetConfig
from server.money import NANO_PER_USD, usd
from server.rpc.admin_changes import budget_changes, paths_of
from turnout.v1 import admin_pb2 as pb

_KEYS = paths_of(budget_changes(pb.Budget(aim="least_cost")))

app = typer.Typer(help="What may be spent: list it, change it.")


@app.callback(invoke_without_command=True)
@asks_admin_unless_subcommand
def budget(admin: Admin, as_json: AsJson = False) -> None:
    """List the budgets with what is spent of them; change one."""
    _list(admin, as_json=as_json)


@app.command("list", epilog="Example: [bold]turnout budget list --json[/]")
@asks_admin
def list_(admin: Admin, as_json: AsJson = False) -> None:
    """List the budgets with what is spent of them in the period that runs."""
    _list(admin, as_json=as_json)


@app.command("set", epilog=keys_help(BudgetConfig, _KEYS, "budget set company amount_usd=4500"))
@asks_admin
def set_(
    name: Annotated[str, typer.Argument(help="The budget, as the configuration calls it.")],
    changes: Assignments,
    admin: Admin,
    as_json: AsJson = False,
) -> None:
    """Change a budget while the service runs; the next plan keeps to it."""
    wanted = pb.Budget(name=name)
    mask = assign(wanted, changes, keys=_KEYS)
    request = pb.UpdateBudgetRequest(budget=wanted, update_mask=mask)
    found = admin.ask(lambda service: service.UpdateBudget, request).budget
    show_changed(name, found, mask.paths, as_json=as_json)


def _list(admin: Admin, *, as_json: bool) -> None:
    request = pb.ListBudgetsRequest()
    show(admin.ask(lambda service: service.ListBudgets, request), table, as_json=as_json)


def table(response: pb.ListBudgetsResponse) -> Table:
    """A line a budget."""
    found = plain_table("budget", "of", "amount>", "spent>", "unreported>")
    for status in response.budgets:
        one = status.budget
        found.add_row(
            one.name,
            _scope(one),
            f"{usd(one.amount_usd * NANO_PER_USD)} {a(one.period)}",
            _spent(status),
            f"about {usd(status.unreported_nano_usd)}" if status.unreported else "-",
        )
    return found


def _spent(status: pb.BudgetStatus) -> str:
    estimated = status.estimated_nano_usd
    of_it = f"\nof it {usd(estimated)} estimated" if estimated else ""
    return f"{usd(status.spent_nano_usd)}{of_it}"


def _scope(one: pb.Budget) -> str:
    parts = [f"tenant {one.tenant}"] if one.tenant else []
    if one.traffic_class:
        parts.append(f"class {one.traffic_class}")
    return ", ".join(parts) or "all requests"
