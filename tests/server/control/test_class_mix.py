import pytest

from server.control.class_mix import ModelPart, class_mix, class_parts


def test_cells_of_a_class_count_by_their_requests() -> None:
    large_cell, small_cell = class_parts([3, 1])
    small, large = class_mix(
        [
            ModelPart("small", large_cell, 10, 0.8),
            ModelPart("small", small_cell * 0.5, 30, 0.4),
            ModelPart("large", small_cell * 0.5, 100),
        ]
    )
    assert (small.model, large.model) == ("small", "large")
    assert small.share == pytest.approx(0.875)
    assert small.cost_nano_usd == pytest.approx((3 * 10 + 0.5 * 30) / 3.5)
    assert small.accuracy == pytest.approx((3 * 0.8 + 0.5 * 0.4) / 3.5)
    assert large.share == pytest.approx(0.125)


def test_cells_that_nobody_asks_for_count_alike() -> None:
    assert class_parts([0, 0]) == [0.5, 0.5]


def test_the_largest_share_comes_first() -> None:
    found = class_mix([ModelPart(0, 0.2, 1), ModelPart(1, 0.8, 1)])
    assert [part.model for part in found] == [1, 0]


def test_a_share_of_nothing_divides_nothing() -> None:
    assert class_mix([ModelPart("small", 0, 10)]) == [ModelPart("small", 0, 0)]
