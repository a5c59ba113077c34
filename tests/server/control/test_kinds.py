"""What is shed of one kind of payload is not shed of another, which other models serve."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.schema import Config
from server.control.corridor import Corridor, Draft
from server.control.estimates import Estimates
from server.control.knowledge import Knowledge
from server.control.parts import parts_of
from server.control.window import Window
from server.routing.catalog import Cell, PayloadKind
from tests.server.control.learning import learned, window_of
from tests.server.control.told import CHAT, NOW_S, SMALL, answered, push, service, stats

CHAT_MODEL = SMALL | {
    "name": "chat-model",
    "protocol": "openai",
    "capacity": {"requests_per_s": 10.0},
}
VISION = SMALL | {"name": "vision"}
TEXT, TENSORS = CHAT._replace(kind="text"), CHAT._replace(kind="tensors")
BINDS = "capacity of chat-model"


def of_both_kinds() -> Config:
    return service(
        models=(CHAT_MODEL, VISION), classes=({"name": "chat", "default": True},), budgets=()
    )


def planned(requests_a_window: Sequence[tuple[Cell, str, int]]) -> Draft:
    """After a hundred seconds of such windows."""
    knowledge = Knowledge(of_both_kinds())
    corridor = Corridor(knowledge, Estimates(), epoch=1, begun_s=NOW_S)
    for n in range(1, 21):
        now_s = NOW_S + 5 * n
        told = [answered(cell, model, n * count) for cell, model, count in requests_a_window]
        knowledge.count_push(push(*told, sequence=n), now_s=now_s)
        draft = corridor.step(now_s).draft
    assert draft is not None
    return draft


@pytest.fixture(scope="module")
def draft() -> Draft:
    """A hundred requests a second of either kind; the chat model takes ten."""
    return planned([(TEXT, "chat-model", 500), (TENSORS, "vision", 500)])


def test_tensors_are_not_refused_for_a_chat_model_that_they_can_never_reach(draft: Draft) -> None:
    (part,) = parts_of("p1", draft.shares)
    found = {c.cell.payload_kind: (c.shed, c.shed_why, len(c.shares)) for c in part.cells}
    assert found == {"text": (pytest.approx(0.9), BINDS, 1), "tensors": (0.0, "", 1)}


def test_a_plan_tells_what_is_shed_of_a_class_over_its_kinds(draft: Draft) -> None:
    (of_class,) = draft.plan.classes
    assert of_class.shed == pytest.approx(0.45)
    assert {c.cell.payload_kind: c.shed for c in draft.plan.cells} == {
        "text": pytest.approx(0.9),
        "tensors": 0.0,
    }
    (breach,) = draft.plan.breaches
    assert breach.text == (
        f"class chat: 45% of the requests do not fit and are refused: {BINDS} is used up"
    )
    assert draft.plan.certificate.duality_gap <= 1e-9
    assert draft.plan.certificate.worst_violation <= 1e-9


def test_what_the_plan_lacks_is_shed_like_its_kind(draft: Draft) -> None:
    (part,) = parts_of("p1", draft.shares)
    (of_class,) = part.classes
    (of_kind,) = of_class.shed_kinds
    assert (of_kind.payload_kind, of_kind.shed_why) == ("text", BINDS)
    assert of_kind.shed == pytest.approx(0.9)


names = st.sampled_from(["chat", "code"])
TEAM = {"name": "team", "scope": {"tenant": "anna"}, "amount_usd": 9.0, "period": "day"}
payers = st.sampled_from(["-", "team"])
kinds = st.sampled_from([kind.value for kind in PayloadKind if kind != PayloadKind.EMBEDDINGS])
domains = st.sampled_from(["law", "art"])


def window_of_cells(config: Config, *cells: Cell) -> Window:
    knowledge = Knowledge(config)
    knowledge.count_push(
        push(*(stats(cell, "chat-model", decided=5) for cell in cells)), now_s=NOW_S
    )
    window = window_of(knowledge, learned(knowledge))
    assert window is not None
    return window


@given(st.lists(st.tuples(names, payers, domains), min_size=1, unique=True), kinds)
def test_where_all_is_of_one_kind_each_domain_is_shed_by_itself(
    found: list[tuple[str, str, str]], kind: str
) -> None:
    cells = [Cell(*three, "s0", kind) for three in found]
    config = service(models=(CHAT_MODEL, VISION), budgets=(TEAM,))
    problem = window_of_cells(config, *cells).problem
    assert problem.pool_of.tolist() == list(range(len(cells)))
    assert problem.group_of[problem.pool_of].tolist() == problem.group_of.tolist()


def test_kinds_that_the_same_models_serve_are_shed_alike() -> None:
    features = CHAT._replace(kind="any")
    both = window_of_cells(service(models=(CHAT_MODEL,)), TEXT, features)
    assert both.problem.pool_of.tolist() == [0, 0]
    three = window_of_cells(service(models=(CHAT_MODEL, VISION)), TEXT, features, TENSORS)
    assert sorted(three.problem.pool_of.tolist()) == [0, 1, 2]
