"""Who is refused before a model is picked, and what the others may still be given."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.models import CapacityConfig
from server.routing.admission import Admission
from server.routing.asked import Asked
from server.routing.catalog import Cell
from server.routing.counters import NO_MODEL, Counters, Leg
from server.routing.errors import Shed
from server.routing.reading.classifier import Reading
from server.routing.selector import CellKey, ModelShares, WeightTable
from server.routing.slices import Slices, kept_back
from tests.server.routing.configs import config, model

LOW, HIGH = Cell("chat", "-", "law", "s0"), Cell("chat", "-", "art", "s0")
OF_EACH = 4
MODELS = 3
masks = st.integers(0, 2**MODELS - 1)


class Scene:
    """Three models that take four at a time; the plan sheds of LOW, and serves HIGH whole."""

    def __init__(self, low: Sequence[int], high: Sequence[int]) -> None:
        self.counters, self.slices = Counters(), Slices()
        self.admission = Admission(self.counters, self.slices)
        capacity = CapacityConfig(concurrent=OF_EACH)
        names = [f"m{index}" for index in range(MODELS)]
        self.admission.configure(config(*[model(name, capacity=capacity) for name in names]))
        cells: dict[CellKey, ModelShares] = {LOW: shares_of(low), HIGH: shares_of(high)}
        self.admission.publish(WeightTable("p1", cells, {}, {LOW: (0.5, "capacity of m0")}))

    def take(self, index: int, count: int) -> None:
        for _ in range(count):
            self.slices.take(index)

    def shut(self, cell: Cell, *, unfit: int = 0, down: int = 0) -> int:
        """What such a request is not given; raises Shed."""
        asked = Asked(Reading(cell, "a", 0), unfit, demanding=False, text="")
        return self.admission.within_slices(asked, down).unfit


def shares_of(models: Sequence[int]) -> ModelShares:
    return tuple((index, 1 / len(models), 1_000) for index in models)


def test_what_is_shed_of_leaves_the_last_places_to_others_that_the_model_serves() -> None:
    scene = Scene(low=[0, 1], high=[0])
    for index in range(MODELS):
        scene.take(index, OF_EACH - kept_back(OF_EACH))
    assert (scene.shut(LOW), scene.shut(HIGH)) == (0b001, 0)


def test_where_its_row_is_full_what_is_shed_of_is_refused_and_others_go_elsewhere() -> None:
    scene = Scene(low=[0], high=[0])
    scene.take(0, OF_EACH)
    assert scene.shut(HIGH) == 0b001
    with pytest.raises(Shed, match="capacity of m0 is used up, so it is refused for the moment"):
        scene.shut(LOW)
    assert scene.counters.get(Leg(LOW, NO_MODEL, NO_MODEL)).shed == 1


def test_a_cell_that_the_plan_lacks_goes_by_the_row_of_its_class() -> None:
    scene = Scene(low=[0], high=[2])
    shed = {("chat", str(LOW.kind)): (0.5, "capacity of m1")}
    scene.admission.publish(WeightTable("p2", {}, {"chat": shares_of([1])}, kinds_shed=shed))
    scene.take(1, OF_EACH)
    with pytest.raises(Shed, match="capacity of m1"):
        scene.shut(LOW)


def test_where_nothing_of_its_row_is_up_any_other_is_open() -> None:
    scene = Scene(low=[0], high=[0])
    scene.take(0, OF_EACH)
    assert scene.shut(LOW, down=0b001) == 0b001


@given(
    st.lists(st.integers(0, OF_EACH + 1), min_size=MODELS, max_size=MODELS),
    st.lists(st.integers(0, MODELS - 1), min_size=1, unique=True),
    st.sampled_from([LOW, HIGH]),
    masks,
    masks,
)
def test_whoever_is_not_refused_has_somebody_to_ask_who_is_not_full(
    taken: list[int], low: list[int], cell: Cell, unfit: int, down: int
) -> None:
    """Of what is shed of, somebody of its shares, where one of that is up."""
    scene = Scene(low, high=[0])
    for index, count in enumerate(taken):
        scene.take(index, count)
    fit = [index for index in range(MODELS) if not unfit >> index & 1]
    may = [index for index in fit if not down >> index & 1] or fit
    if cell is LOW:
        may = [index for index in may if index in low] or may
    try:
        shut = scene.shut(cell, unfit=unfit, down=down)
    except Shed:
        spare = [OF_EACH - taken[index] for index in may]
        assert max(spare) <= (kept_back(OF_EACH) if cell is LOW else 0)
    else:
        assert not may or any(taken[i] < OF_EACH and not shut >> i & 1 for i in may)
