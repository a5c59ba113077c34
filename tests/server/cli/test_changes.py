import json

from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run


def test_who_changed_what_is_shown_the_newest_first(run: Run, address: str) -> None:
    lines = run("changes", "--admin", address).stdout.splitlines()[2:]
    assert lines[0].startswith("2025-06-15 15:06:40  uid 1000 (anna)")
    assert "models.small.price.request_usd:" in lines[0]
    assert any("and 3 more" in line for line in lines)
    assert lines[-1].startswith("2025-06-15 15:05:40  token from 10.0.0.7")


def test_only_as_many_are_shown_as_are_asked_for(run: Run, address: str) -> None:
    shown = run("changes", "--limit", "1", "--admin", address).stdout
    assert "token from 10.0.0.7" not in shown
    assert "1 earlier ones: see --limit" in shown


def test_where_nothing_was_changed_it_says_so(run: Run, address: str, answers: Answers) -> None:
    answers.updates = []
    assert "Nothing was changed" in run("changes", "--admin", address).stdout


def test_json_has_every_change_with_both_values(run: Run, address: str) -> None:
    updates = json.loads(run("changes", "--json", "--admin", address).stdout)["updates"]
    assert [one["operator"] for one in updates] == ["anna", ""]
    assert updates[0]["changes"][0]["before"] == "0.002"
