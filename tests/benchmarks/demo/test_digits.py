"""The split of the digits."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from benchmarks.demo.digits import Digits, Part, split_digits


def test_the_parts_are_thirds_of_all_1797_images(digits: Digits) -> None:
    assert (len(digits.train), len(digits.validation), len(digits.held_out)) == (599, 599, 599)


def test_no_image_is_in_two_parts(digits: Digits) -> None:
    parts = (digits.train, digits.validation, digits.held_out)
    rows = [tuple(row) for part in parts for row in part.images.tolist()]
    assert sorted(rows) == sorted(tuple(row) for row in load_digits().data.tolist())


@pytest.mark.parametrize("name", ["train", "validation", "held_out"])
def test_every_part_has_every_digit_in_proportion(digits: Digits, name: str) -> None:
    part: Part = getattr(digits, name)
    whole = np.bincount(load_digits().target)
    assert np.abs(np.bincount(part.labels) - whole / 3).max() <= 1


def test_the_split_is_the_same_every_time(digits: Digits) -> None:
    again = split_digits()
    assert np.array_equal(again.held_out.images, digits.held_out.images)
    assert np.array_equal(again.train.labels, digits.train.labels)
