import json

from rich.console import Console

from server.cli.budget import table
from tests.server.cli import samples
from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import admin_pb2 as pb

SHOWN = """\
budget     of                                      amount   spent    unreported
───────────────────────────────────────────────────────────────────────────────
insurance  tenant insurance, class strict    $40.00 a day  $12.50  about $0.040
company    all requests                    $3,000 a month   $0.00             -"""


def test_budgets_in_80_columns() -> None:
    console = Console(width=80, _environ={})
    with console.capture() as capture:
        console.print(table(pb.ListBudgetsResponse(budgets=samples.budgets())))
    assert "\n".join(line.rstrip() for line in capture.get().splitlines()).rstrip() == SHOWN


def test_an_amount_an_hour_is_written_so() -> None:
    hourly = pb.BudgetStatus(budget=pb.Budget(name="a", amount_usd=2, period="hour"))
    console = Console(width=80, _environ={})
    with console.capture() as capture:
        console.print(table(pb.ListBudgetsResponse(budgets=[hourly])))
    assert "$2.00 an hour" in capture.get()


def test_budgets_are_listed_with_and_without_the_verb(run: Run, address: str) -> None:
    shown = run("budget", "--admin", address).stdout
    assert "insurance" in shown
    assert run("budget", "list", "--admin", address).stdout == shown


def test_json_has_every_budget(run: Run, address: str) -> None:
    budgets = json.loads(run("budget", "list", "--json", "--admin", address).stdout)["budgets"]
    assert [one["budget"]["name"] for one in budgets] == ["insurance", "company"]


def test_an_amount_is_set_and_nothing_else(run: Run, address: str, answers: Answers) -> None:
    result = run("budget", "set", "company", "amount_usd=4500", "--admin", address)
    assert result.exit_code == 0
    assert answers.budget_update.budget == pb.Budget(name="company", amount_usd=4500)
    assert list(answers.budget_update.update_mask.paths) == ["amount_usd"]
    assert "company: amount_usd is 4,500" in result.stdout
    assert "until the service stops" in result.stdout


def test_who_asks_says_its_name(run: Run, address: str, answers: Answers) -> None:
    run("budget", "set", "company", "amount_usd=4500", "--admin", address)
    assert answers.metadata["turnout-operator"]


def test_json_of_a_change_is_the_budget(run: Run, address: str) -> None:
    result = run("budget", "set", "company", "amount_usd=4500", "--admin", address, "--json")
    assert json.loads(result.stdout)["amount_usd"] == 4500
