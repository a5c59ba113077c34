"""The configuration that the demo writes."""

from pathlib import Path

import pytest
import yaml

from benchmarks.demo.configuration import BUDGET, BULK, FLOORS, STRICT, config_of, yaml_of
from benchmarks.demo.models import AT_START, NEW_VERSION, Measured
from server.config.file import load
from server.config.match import MatchConfig

MEASURED = {
    name: Measured(accuracy=0.95 + i / 100, graded=599, cpu_s=0.001 * (i + 1))
    for i, name in enumerate((*AT_START, NEW_VERSION))
}
PORTS = {name: 9000 + i for i, name in enumerate(AT_START)}
CONFIG = config_of(MEASURED, PORTS, "127.0.0.1:0", Path("/tmp/state"))


def test_turnout_reads_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "turnout.yaml"
    file.write_text(yaml_of(CONFIG))
    assert load(file) == CONFIG


def test_nothing_is_written_that_was_not_set() -> None:
    written = yaml.safe_load(yaml_of(CONFIG))
    assert "domains" not in written
    assert "enabled" not in written["models"][0]


def test_each_model_has_its_port_its_measured_accuracy_and_its_price() -> None:
    model = CONFIG.models[2]
    assert (model.name, model.upstream_name, model.version) == ("svc", "svc", "1")
    assert model.endpoints == ("127.0.0.1:9002",)
    assert (model.prior_accuracy, model.prior_grades) == (MEASURED["svc"].accuracy, 599)
    assert round(model.price.request_usd * 1e9) == MEASURED["svc"].request_nano_usd


def test_a_model_may_take_a_quarter_of_a_core() -> None:
    rates = [model.capacity.requests_per_s for model in CONFIG.models]
    assert rates == pytest.approx([250, 125, 250 / 3, 62.5])


def test_only_models_with_a_port_are_there() -> None:
    assert tuple(model.name for model in CONFIG.models) == AT_START


def test_each_class_is_matched_by_the_label_app_and_has_its_floor() -> None:
    rules = {one.name: one.match for one in CONFIG.classes}
    assert rules == {name: MatchConfig(labels={"app": (name,)}) for name in (BULK, STRICT)}
    assert {one.name: one.floor for one in CONFIG.classes} == FLOORS


def test_only_a_part_of_the_answers_is_graded() -> None:
    assert all(0 < one.audit_rate < 1 for one in CONFIG.classes)


def test_one_budget_covers_all_traffic() -> None:
    [budget] = CONFIG.budgets
    assert budget.name == BUDGET
    assert budget.scope.model_dump(exclude_none=True) == {}


def test_the_state_folder_is_left_to_turnout_where_none_is_given() -> None:
    assert config_of(MEASURED, PORTS, "127.0.0.1:7080", None).state_dir is None
