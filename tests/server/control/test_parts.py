from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.problem import Resource
from server.control.client import Assembly
from server.control.parts import PART_CELLS_MAX, Shares, parts_of, shares_of
from server.control.window import Window
from server.routing.catalog import Cell
from tests.server.control.planned import Table, solution, window
from tests.server.control.told import CHAT, CODE
from turnout.v1 import control_pb2 as pb

COSTS = (1_000_000.0, 10_000_000.0)
LARGE_CODE = CODE._replace(size_bucket="s1")


def shares(table: Table, demand: tuple[float, ...] = (3.0, 1.0)) -> Shares:
    found = window((CODE, LARGE_CODE), demand=demand, cost_nano_usd=(COSTS, COSTS))
    return shares_of(found, solution(found, table))


def test_a_model_without_a_share_does_not_travel() -> None:
    found = shares([[0.25, 0.75], [0.0, 1.0]])
    assert found.cells == {
        CODE: ((0, 0.25, 1_000_000), (1, 0.75, 10_000_000)),
        LARGE_CODE: ((1, 1.0, 10_000_000),),
    }


def test_a_share_that_is_the_solvers_rounding_is_dropped() -> None:
    assert shares([[1e-9, 1 - 1e-9], [0.0, 1.0]]).cells[CODE] == ((1, 1.0, 10_000_000),)


def test_shares_are_of_what_is_served() -> None:
    found = window((CODE,), demand=[1.0], cost_nano_usd=[COSTS])
    half = shares_of(found, solution(found, [[0.25, 0.25]], shed=[0.5]))
    assert half.cells == {CODE: ((0, 0.5, 1_000_000), (1, 0.5, 10_000_000))}


def test_a_cell_that_is_shed_whole_has_no_shares() -> None:
    found = window((CODE, CHAT), demand=[1.0, 1.0], cost_nano_usd=[COSTS, COSTS])
    rest = shares_of(found, solution(found, [[0.0, 0.0], [1.0, 0.0]], shed=[1.0, 0.0]))
    assert list(rest.cells) == [CHAT]
    assert list(rest.classes) == ["chat"]


def scarce(**capacity: float) -> Window:
    """A window in which these models take so many requests."""
    found = window((CODE, CHAT), demand=[6.0, 6.0], cost_nano_usd=[COSTS, COSTS])
    models = found.problem.models
    resources = [
        Resource(name, np.eye(2)[[models.index(name)] * 2], units)
        for name, units in capacity.items()
    ]
    return replace(found, problem=replace(found.problem, resources=resources))


def test_what_is_shed_travels_with_what_binds() -> None:
    half = shares_of(
        scarce(small=3.0), solution(scarce(), [[0.5, 0.0], [0.0, 1.0]], shed=[0.5, 0.0])
    )
    assert half.shed == {CODE: (0.5, "capacity of small")}
    assert half.kinds_shed == {("code", "any"): (0.5, "capacity of small")}


def test_a_capacity_that_is_left_does_not_bind() -> None:
    found = scarce(small=3.0, large=9.0)
    half = shares_of(found, solution(found, [[0.5, 0.0], [0.0, 1.0]], shed=[0.5, 0.0]))
    assert half.shed[CODE] == (0.5, "capacity of small")


def test_all_that_binds_is_named() -> None:
    found = scarce(small=1.5, large=1.5)
    half = shares_of(found, solution(found, [[0.25, 0.25], [0.0, 0.0]], shed=[0.5, 1.0]))
    assert set(half.shed.values()) == {
        (0.5, "capacity of small and large"),
        (1.0, "capacity of small and large"),
    }


def test_a_cell_whose_shares_are_all_rounding_is_shed_whole() -> None:
    found = scarce()
    rest = shares_of(found, solution(found, [[9e-7, 9e-7], [1.0, 0.0]], shed=[1 - 1.8e-6, 0.0]))
    assert CODE not in rest.cells
    assert rest.shed[CODE][0] == rest.kinds_shed["code", "any"][0] == 1.0


def test_of_several_payers_a_kind_of_a_class_sheds_the_mean() -> None:
    other = CODE._replace(payer="other")
    found = window((CODE, other), demand=[3.0, 1.0], cost_nano_usd=[COSTS, COSTS])
    some = shares_of(found, solution(found, [[0.2, 0.0], [1.0, 0.0]], shed=[0.8, 0.0]))
    part, why = some.kinds_shed["code", "any"]
    assert part == pytest.approx(0.6)
    assert why == "capacity"
    assert list(some.shed) == [CODE]


def test_each_kind_of_a_class_sheds_its_own_and_one_that_is_served_whole_nothing() -> None:
    kinds = [CODE._replace(kind=kind) for kind in ("text", "tensors", "any")]
    found = window(kinds, demand=[3.0, 1.0, 2.0], cost_nano_usd=[COSTS] * 3)
    pools = replace(found.problem, pools=np.arange(3))
    found = replace(found, problem=pools)
    table = [[0.2, 0.0], [0.0, 1.0], [0.0, 0.0]]
    some = shares_of(found, solution(found, table, shed=[0.8, 0.0, 1.0]))
    assert some.kinds_shed == {
        ("code", "text"): (pytest.approx(0.8), "capacity"),
        ("code", "any"): (1.0, "capacity"),
    }


def test_plans_that_shed_otherwise_are_told_apart() -> None:
    found = scarce(small=3.0)
    some, more = (
        shares_of(found, solution(found, [[1 - shed, 0.0], [0.0, 1.0]], shed=[shed, 0.0]))
        for shed in (0.5, 0.51)
    )
    assert some.nearly() != more.nearly()


def test_an_unknown_cell_goes_by_the_mix_of_its_class() -> None:
    found = shares([[1.0, 0.0], [0.0, 1.0]], demand=(3.0, 1.0))
    assert found.classes == {"code": ((0, 0.75, 1_000_000), (1, 0.25, 10_000_000))}


def test_a_class_without_demand_goes_by_the_plain_mean_of_its_cells() -> None:
    found = shares([[1.0, 0.0], [0.0, 1.0]], demand=(0.0, 0.0))
    assert found.classes == {"code": ((0, 0.5, 1_000_000), (1, 0.5, 10_000_000))}


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        ([[0.25001, 0.74999], [0.0, 1.0]], True),
        ([[0.26, 0.74], [0.0, 1.0]], False),
        ([[0.25, 0.75], [0.01, 0.99]], False),
    ],
)
def test_plans_that_route_alike_are_told_from_those_that_do_not(other: Table, alike: bool) -> None:
    assert (shares([[0.25, 0.75], [0.0, 1.0]]).nearly() == shares(other).nearly()) is alike


@given(count=st.integers(0, 3 * PART_CELLS_MAX + 1))
def test_parts_together_hold_every_cell_once_and_none_is_large(count: int) -> None:
    cells = {Cell("code", "-", f"d{n}", "s0"): ((0, 1.0, 7),) for n in range(count)}
    parts = parts_of("p1", Shares(("small",), cells, {"code": ((0, 1.0, 7),)}))
    assert max(len(part.cells) for part in parts) <= PART_CELLS_MAX
    assert [c.cell.domain for part in parts for c in part.cells] == [f"d{n}" for n in range(count)]
    assert [of_class.traffic_class for part in parts for of_class in part.classes] == ["code"]
    assert {part.plan_id for part in parts} == {"p1"}


def test_a_cell_that_is_shed_whole_is_in_a_part_too() -> None:
    shed = {CODE: (1.0, "capacity of small"), CHAT: (0.25, "capacity of small")}
    rows = {CHAT: ((0, 1.0, 7),)}
    (part,) = parts_of(
        "p1", Shares(("small",), rows, {}, shed, {("code", "any"): (1.0, "capacity of small")})
    )
    found = {c.cell.traffic_class: (len(c.shares), c.shed, c.shed_why) for c in part.cells}
    assert found == {
        "code": (0, 1.0, "capacity of small"),
        "chat": (1, 0.25, "capacity of small"),
    }
    (of_class,) = part.classes
    (of_kind,) = of_class.shed_kinds
    assert (of_kind.payload_kind, of_kind.shed, of_kind.shed_why) == (
        "any",
        1.0,
        "capacity of small",
    )


def test_what_answers_are_expected_to_have_travels_by_cell_and_by_class() -> None:
    found = window((CODE, LARGE_CODE), demand=[3.0, 1.0], cost_nano_usd=(COSTS, COSTS))
    found = replace(found, output_tokens=np.array([[100.0, 20.0], [300.0, 60.4]]))
    some = shares_of(found, solution(found, [[1.0, 0.0], [0.5, 0.5]]))
    assembly = Assembly()
    for part in parts_of("p", some):
        assembly.add(part, {"small": 4, "large": 7})
    table = assembly.snapshot(pb.WatchPlanResponse(plan_id="p")).table
    assert table is not None
    assert table.expected_tokens(CODE, 4) == 100
    assert table.expected_tokens(LARGE_CODE, 7) == 60
    # It has no share of the cell, but may be asked after another.
    assert table.expected_tokens(CODE, 7) == 30
    assert table.expected_tokens(CODE._replace(domain="new"), 4) == 150
    assert table.expected_tokens(CODE, 5) is None
    assert table.expected_tokens(CHAT, 4) is None


def test_where_nobody_writes_tokens_none_travel() -> None:
    (part,) = parts_of("p", shares([[1.0, 0.0], [0.0, 1.0]]))
    assert not any(one.output_tokens for cell in part.cells for one in cell.shares)
    assert not any(of_class.output_tokens for of_class in part.classes)
