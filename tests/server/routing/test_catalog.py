"""The configuration, compiled: prices, payers, who takes what, and the order before a plan."""

import pytest

from server.config.budgets import BudgetConfig, ScopeConfig
from server.config.classes import ClassConfig
from server.config.models import PriceConfig
from server.money import NANO_USD_MAX
from server.routing.catalog import (
    NO_PAYER,
    PayloadKind,
    bits,
    compile_catalog,
    nominal_cost_nano_usd,
)
from server.routing.price import charge, charge_unanswered
from server.token_usage import NO_TOKENS, TokenUsage
from tests.server.routing.configs import config, model


def budget(name: str, **scope: str) -> BudgetConfig:
    return BudgetConfig(name=name, scope=ScopeConfig(**scope), amount_usd=1, period="day")


def test_an_attempt_costs_the_sum_of_its_parts() -> None:
    price = PriceConfig(
        input_usd_per_mtok=2, output_usd_per_mtok=8, request_usd=0.5, busy_second_usd=4
    )
    found = compile_catalog(config(model("m", price=price))).models[0]
    usage = TokenUsage(input=1_000_000, output=500_000)
    assert charge(found.price, usage, 0.25) == 7_500_000_000
    assert charge_unanswered(found.price, 0.25) == 1_000_000_000


@pytest.mark.parametrize(
    ("usd", "nano_usd"), [(0, 0), (1.01e-9, 2), (1.9e-9, 2), (0.0011, 1_100_000), (3, 3 * 10**9)]
)
def test_a_cost_is_rounded_up_to_a_nano_dollar(usd: float, nano_usd: int) -> None:
    found = compile_catalog(config(model("m", price=PriceConfig(request_usd=usd)))).models[0]
    assert charge(found.price, NO_TOKENS, 0.0) == nano_usd


def test_a_cost_fits_in_64_bits_whatever_a_caller_says_of_its_tokens() -> None:
    price = PriceConfig(input_usd_per_mtok=1e9)
    found = compile_catalog(config(model("m", price=price))).models[0]
    assert nominal_cost_nano_usd(found, input_tokens=2**32 - 1) == NANO_USD_MAX


def test_a_model_is_called_by_its_upstream_name_or_else_by_its_own() -> None:
    models = compile_catalog(config(model("a"), model("b", upstream_name="bert"))).models
    assert [m.upstream_name for m in models] == ["a", "bert"]


@pytest.mark.parametrize(
    ("traffic_class", "tenant", "payer"),
    [
        ("chat", "acme", "acme+chat-acme+everyone"),
        ("code", "acme", "acme+everyone"),
        ("chat", "other", "everyone"),
        ("chat", "", "everyone"),
    ],
)
def test_a_payer_is_all_budgets_whose_scope_matches(
    traffic_class: str, tenant: str, payer: str
) -> None:
    catalog = compile_catalog(
        config(
            classes=(ClassConfig(name="chat", default=True), ClassConfig(name="code")),
            budgets=(
                budget("everyone"),
                budget("acme", tenant="acme"),
                budget("chat-acme", tenant="acme", traffic_class="chat"),
            ),
        )
    )
    assert catalog.payer(traffic_class, tenant) == payer


def test_without_budgets_nobody_pays() -> None:
    assert compile_catalog(config()).payer("chat", "acme") == NO_PAYER


def test_a_group_is_a_class_with_a_payer_that_a_request_of_it_can_have() -> None:
    budgets = budget("all"), budget("acme", tenant="acme")
    assert compile_catalog(config(budgets=budgets)).groups() == {
        ("chat", "all"),
        ("chat", "acme+all"),
    }


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ([], [budget("all")], {"-": "all"}),
        ([budget("all")], [], {"all": "-"}),
        ([budget("all")], [budget("all")], {}),
        # Of those whom nobody named some are named now; the rest keep the name.
        ([], [budget("acme", tenant="acme")], {}),
        ([budget("acme", tenant="acme")], [], {"acme": "-"}),
        (
            [budget("acme", tenant="acme")],
            [budget("acme", tenant="acme"), budget("all")],
            {"acme": "acme+all", "-": "all"},
        ),
    ],
)
def test_payers_are_followed_from_one_configuration_to_the_next(
    before: list[BudgetConfig], after: list[BudgetConfig], moved: dict[str, str]
) -> None:
    old, new = (compile_catalog(config(budgets=tuple(each))) for each in (before, after))
    chat = {payer: name for (_, payer), (_, name) in old.groups_after(new).items()}
    assert chat == moved


@pytest.mark.parametrize(
    ("kind", "fit"),
    [
        (PayloadKind.UNKNOWN, ["tensors", "text"]),
        (PayloadKind.TEXT, ["text"]),
        (PayloadKind.TENSORS, ["tensors"]),
    ],
)
def test_a_payload_is_for_models_whose_protocol_carries_it_and_that_are_not_drained(
    kind: PayloadKind, fit: list[str]
) -> None:
    catalog = compile_catalog(
        config(
            model("tensors"),
            model("text", protocol="openai"),
            model("drained", enabled=False),
        )
    )
    assert [m.name for i, m in enumerate(catalog.models) if not catalog.unfit[kind] >> i & 1] == fit


def test_a_model_lacks_capabilities_unless_it_has_all_of_them() -> None:
    catalog = compile_catalog(
        config(
            model("plain"),
            model("tools", capabilities=("tools",)),
            model("both", capabilities=("tools", "images")),
        )
    )
    assert catalog.lacking(["tools"]) == bits([0])
    assert catalog.lacking(["tools", "images"]) == bits([0, 1])
    assert catalog.lacking([]) == 0


def test_before_a_plan_the_cheapest_that_holds_the_floor_comes_first_and_the_short_ones_last() -> (
    None
):
    models = (
        model("poor", prior_accuracy=0.5, price=PriceConfig(request_usd=0.001)),
        model("poorer", prior_accuracy=0.4, price=PriceConfig(request_usd=0.0001)),
        model("dear", prior_accuracy=0.99, price=PriceConfig(request_usd=0.1)),
        model("right", prior_accuracy=0.9, price=PriceConfig(request_usd=0.01)),
    )
    catalog = compile_catalog(
        config(*models, classes=(ClassConfig(name="chat", default=True, floor=0.9),))
    )
    order = [models[i].name for i in catalog.classes["chat"].greedy]
    assert order == ["right", "dear", "poor", "poorer"]


def test_models_are_put_in_order_once_for_classes_of_one_floor() -> None:
    """A thousand classes of a thousand models would hold the loop for a second."""
    classes = [ClassConfig(name=f"c{number}", floor=0.5 + number % 2 / 4) for number in range(10)]
    found = compile_catalog(config(model("a"), model("b"), classes=classes)).classes
    assert len({id(one.greedy) for one in found.values()}) == 2


def test_a_model_of_embeddings_is_asked_for_nothing_else() -> None:
    catalog = compile_catalog(
        config(
            model("chat", protocol="openai", endpoints=()),
            model("vectors", protocol="openai", serves="embeddings", endpoints=()),
        )
    )
    fit = {kind: [not unfit >> m & 1 for m in (0, 1)] for kind, unfit in catalog.unfit.items()}
    assert fit == {
        PayloadKind.UNKNOWN: [True, False],
        PayloadKind.TEXT: [True, False],
        PayloadKind.TENSORS: [False, False],
        PayloadKind.EMBEDDINGS: [False, True],
    }
