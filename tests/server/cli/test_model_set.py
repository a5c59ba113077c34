import json

import pytest

from tests.server.cli.answers import Answers
from tests.server.cli.conftest import Run
from turnout.v1 import admin_pb2 as pb


def test_fields_of_a_model_are_set(run: Run, address: str, answers: Answers) -> None:
    result = run(
        *("model", "set", "small", "price.request_usd=0.002", "capacity.concurrent=none"),
        *("endpoints=10.0.0.1:8001,10.0.0.2:8001", "enabled=false", "prior_grades=300"),
        *("--admin", address),
    )
    assert result.exit_code == 0
    assert answers.updated.model == pb.Model(
        name="small",
        price=pb.Price(request_usd=0.002),
        capacity=pb.Capacity(),
        endpoints=["10.0.0.1:8001", "10.0.0.2:8001"],
        prior_grades=300,
    )
    assert list(answers.updated.update_mask.paths) == [
        "price.request_usd",
        "capacity.concurrent",
        "endpoints",
        "enabled",
        "prior_grades",
    ]
    assert not answers.updated.allow_missing
    assert "small: endpoints is 10.0.0.1:8001, 10.0.0.2:8001" in result.stdout
    assert "small: capacity.concurrent is none" in result.stdout


def test_a_model_is_added_enabled(run: Run, address: str, answers: Answers) -> None:
    run("model", "set", "new", "protocol=oip", "--add", "--admin", address)
    assert answers.updated.allow_missing
    assert answers.updated.model == pb.Model(name="new", protocol="oip", enabled=True)


def test_json_of_a_change_is_the_model(run: Run, address: str) -> None:
    result = run("model", "set", "small", "version=3", "--admin", address, "--json")
    assert json.loads(result.stdout)["version"] == "3"


def test_models_are_reached_by_both_names(run: Run, address: str) -> None:
    assert (
        run("model", "list", "--admin", address).stdout == run("models", "--admin", address).stdout
    )


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        (["enabled"], "'enabled' is no KEY=VALUE"),
        (["pric.request_usd=1"], "did you mean 'price.request_usd'?"),
        (["name=other"], "'name' cannot be set"),
        (["version=1", "version=2"], "version is given twice"),
        (["enabled=none"], "enabled is true or false, not 'none'"),
        (["enabled=yes"], "enabled is true or false, not 'yes'"),
        (["price.request_usd=0,002"], "'0,002': write 0.002"),
        (["price.request_usd=cheap"], "price.request_usd is a number, not 'cheap'"),
        (["prior_accuracy=95%"], "'95%': write 0.95"),
        (["prior_grades=1.5"], "prior_grades is a whole number, not '1.5'"),
        (["prior_grades=-1"], "prior_grades is from 0 to 2,147,483,647"),
        (["prior_grades=99999999999"], "prior_grades is from 0 to 2,147,483,647"),
        (["price=1"], "price: only none can be given"),
    ],
)
def test_what_cannot_be_set_is_told_by_its_key(
    run: Run, address: str, assignments: list[str], said: str
) -> None:
    result = run("model", "set", "small", *assignments, "--admin", address)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_where_a_key_is_can_be_set_and_is_not_shown(
    run: Run, address: str, answers: Answers
) -> None:
    assigned = "endpoints=https://b.example/v1", "api_key_env=B_KEY", "api_key_file=none"
    result = run("model", "set", "small", *assigned, "--admin", address)
    assert result.exit_code == 0
    assert answers.updated.model.api_key_env == "B_KEY"
    assert not answers.updated.model.HasField("api_key_file")
    assert list(answers.updated.update_mask.paths)[1:] == ["api_key_env", "api_key_file"]
    assert "small: api_key_env is changed" in result.stdout
    assert "B_KEY" not in result.stdout
