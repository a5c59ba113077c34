from typing import Any

import pytest
from hypothesis import given

from server.config.changes import FIXED, SHOWN_CHARS_MAX, changes, fixed_findings
from server.config.parse import parse
from server.config.schema import Config
from tests.server.configs import configs, plain

PRICE = ("models", 0, "price", "request_usd")


def config(*put: tuple[tuple[str | int, ...], object]) -> Config:
    return parse(plain(*put))


def texts(before: Config, after: Config) -> list[str]:
    return [change.text for change in changes(before, after)]


def test_a_value_is_told_with_its_path_before_and_after() -> None:
    (change,) = changes(config(), config((PRICE, 0.0005)))
    assert change.text == "models.small.price.request_usd: 0.001 -> 0.0005"
    assert change[:3] == ("models.small.price.request_usd", "0.001", "0.0005")


def test_entries_are_told_by_name_and_not_by_place() -> None:
    other: dict[str, Any] = plain()
    other["models"][0]["name"] = "tiny"
    other["models"].reverse()
    assert texts(config(), parse(other)) == ["models: small removed", "models: tiny added"]


@pytest.mark.parametrize(
    ("put", "text"),
    [
        ((("classes", 1, "floor"), 0.5), "classes.rest.floor: none -> 0.5"),
        ((("models", 0, "enabled"), False), "models.small.enabled: true -> false"),
        ((("models", 0, "version"), "a\nb"), 'models.small.version: "" -> "a\\nb"'),
        ((("window_s",), 2), "window_s: 5.0 -> 2.0"),
        ((("size_buckets_tokens",), [9]), "size_buckets_tokens: [1000, 8000] -> [9]"),
        ((("health", "ejection_s"), 3), "health.ejection_s: 10.0 -> 3.0"),
        ((("budgets", 0, "scope", "tenant"), "t"), "budgets.all.scope.tenant: none -> t"),
        (
            (("models", 0, "endpoints"), ["h:1", "h:2"]),
            'models.small.endpoints: ["127.0.0.1:8001"] -> ["h:1", "h:2"]',
        ),
    ],
)
def test_every_kind_of_value_is_told_in_a_line(
    put: tuple[tuple[str | int, ...], object], text: str
) -> None:
    assert texts(config(), config(put)) == [text]


def test_a_section_that_was_not_given_is_told_key_by_key() -> None:
    given = config((("classes", 1, "slo"), {"ms": 200, "fraction": 0.9}))
    assert texts(config(), given) == [
        "classes.rest.slo.metric: none -> total",
        "classes.rest.slo.ms: none -> 200.0",
        "classes.rest.slo.fraction: none -> 0.9",
    ]


def test_a_name_with_a_dot_is_quoted() -> None:
    before = config((("models", 0, "name"), "small-1.5"))
    after = config((("models", 0, "name"), "small-1.5"), (("models", 0, "enabled"), False))
    assert texts(before, after) == ["models['small-1.5'].enabled: true -> false"]


def test_classes_that_are_tried_in_another_order_are_told() -> None:
    turned: dict[str, Any] = plain()
    turned["classes"].reverse()
    assert texts(config(), parse(turned)) == [
        'classes: another order: ["strict", "rest"] -> ["rest", "strict"]'
    ]


def test_what_rules_compare_with_is_never_told() -> None:
    rule = {"metadata": {"x-key": ["s3cret"]}}
    (change,) = changes(config(), config((("classes", 0, "match"), rule)))
    assert change == ("classes.strict.match", "", "", "classes.strict.match: another rule")


def test_a_long_value_is_cut() -> None:
    many = [f"127.0.0.1:{port}" for port in range(1, 200)]
    (change,) = changes(config(), config((("models", 0, "endpoints"), many)))
    assert len(change.after) == SHOWN_CHARS_MAX + len("...")


@given(configs())
def test_nothing_differs_from_itself(one: Config) -> None:
    assert changes(one, one.model_copy(deep=True)) == []


@given(configs(), configs())
def test_whatever_differs_is_told_but_for_an_order_that_means_nothing(
    before: Config, after: Config
) -> None:
    told = changes(before, after)
    assert bool(told) == (_sorted(before) != _sorted(after))
    assert all(change.text.isprintable() for change in told)


def _sorted(config: Config) -> Config:
    by_name = {
        "models": tuple(sorted(config.models, key=lambda model: model.name)),
        "budgets": tuple(sorted(config.budgets, key=lambda budget: budget.name)),
    }
    return config.model_copy(update=by_name)


@pytest.mark.parametrize(
    ("put", "path"),
    [
        ((("state_dir",), "/srv/other"), ("state_dir",)),
        ((("worker_memory_mib",), 2_048), ("worker_memory_mib",)),
        ((("listeners", "data"), "127.0.0.1:1"), ("listeners", "data")),
        (
            (("listeners", "tls"), {"cert_file": "a", "key_file": "s3cret"}),
            ("listeners", "tls", "cert_file"),
        ),
    ],
)
def test_what_only_a_restart_changes_is_named_without_its_value(
    put: tuple[tuple[str | int, ...], object], path: tuple[str, ...]
) -> None:
    found = list(fixed_findings(config(), config(put)))
    assert found[0] == (path, "cannot change while the service runs: restart it to change this")
    assert not any("s3cret" in message for _, message in found)


def test_every_key_either_can_change_or_is_refused() -> None:
    assert set(FIXED) <= set(Config.model_fields)
    assert not list(fixed_findings(config(), config((PRICE, 0.5))))


@pytest.mark.parametrize(
    ("put", "text"),
    [
        ((("listeners", "admin_token_file"), "s3cret"), "listeners.admin_token_file: another file"),
        (
            (("listeners", "tls"), {"cert_file": "/a.pem", "key_file": "s3cret"}),
            "listeners.tls.key_file: another file",
        ),
    ],
)
def test_what_stands_where_the_file_of_a_secret_belongs_is_never_told(
    put: tuple[tuple[str | int, ...], object], text: str
) -> None:
    found = changes(config(), config(put))
    assert text in [change.text for change in found]
    assert not any("s3cret" in value for change in found for value in change)


def test_an_entry_that_is_named_as_a_key_is_told_like_any_other() -> None:
    named = (("models", 0, "name"), "match")
    assert texts(config(named), config(named, (PRICE, 0.0005))) == [
        "models.match.price.request_usd: 0.001 -> 0.0005"
    ]
