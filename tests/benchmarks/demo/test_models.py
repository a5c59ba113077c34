"""The classifiers, and what they are priced at."""

import numpy as np
import pytest

from benchmarks.demo.digits import Digits, Part
from benchmarks.demo.models import (
    AT_START,
    CHEAPEST,
    NEW_VERSION,
    OLD_VERSION,
    Measured,
    Study,
)
from benchmarks.demo.training import RECIPES, measure, pooled, shifted, study, train


@pytest.fixture(scope="module")
def known(digits: Digits) -> Study:
    return study({name: train(recipe, digits) for name, recipe in RECIPES.items()}, digits)


def test_pooling_takes_the_mean_of_each_square() -> None:
    image = np.zeros((1, 64), np.float32)
    image[0, [0, 1, 8, 9]] = 16, 16, 16, 0
    assert pooled(image).tolist() == [[0.75, *[0.0] * 15]]


def test_shifting_moves_the_image_one_pixel_to_each_side() -> None:
    image = np.zeros((1, 8, 8), np.float32)
    image[0, 3, 3] = 9
    moved = shifted(Part(image.reshape(1, 64), np.array([7])))
    places = {divmod(int(row.argmax()), 8) for row in moved.images}
    assert places == {(3, 3), (2, 3), (4, 3), (3, 2), (3, 4)}
    assert moved.labels.tolist() == [7] * 5


def test_an_image_that_leaves_the_frame_does_not_come_in_on_the_other_side() -> None:
    image = np.zeros((1, 8, 8), np.float32)
    image[0, 0, 0] = 9
    moved = shifted(Part(image.reshape(1, 64), np.array([7])))
    assert sorted(row.max() for row in moved.images) == [0, 0, 9, 9, 9]


def test_training_twice_gives_the_same_classifier(digits: Digits) -> None:
    first, second = (train(RECIPES["forest"], digits) for _ in range(2))
    images = digits.held_out.images
    assert np.array_equal(first.predict(images), second.predict(images))


def test_the_price_follows_the_cpu_time_at_a_dollar_an_hour() -> None:
    assert Measured(accuracy=0.9, graded=600, cpu_s=0.0036).request_nano_usd == 1000


def test_a_model_is_never_free() -> None:
    assert Measured(accuracy=0.1, graded=600, cpu_s=0.0).request_nano_usd == 1


def test_a_prediction_is_measured_on_single_images(digits: Digits) -> None:
    quick = train(RECIPES[CHEAPEST], digits)
    measured = measure(quick, digits.validation)
    assert measured.cpu_s > 0
    right = quick.predict(digits.validation.images) == digits.validation.labels
    assert (measured.accuracy, measured.graded) == (right.mean(), len(digits.validation))


@pytest.mark.slow
def test_the_dearer_model_is_the_more_accurate_one(known: Study) -> None:
    by_price = sorted(AT_START, key=lambda name: known.measured[name].request_nano_usd)
    by_accuracy = sorted(AT_START, key=lambda name: known.measured[name].accuracy)
    assert by_price == by_accuracy == ["logreg-4x4", "forest", "svc", "committee"]


@pytest.mark.slow
def test_the_best_model_costs_several_times_as_much_as_any_other(known: Study) -> None:
    dearest_other = max(known.measured[n].cpu_s for n in AT_START if n != known.best)
    assert known.measured[known.best].cpu_s > 3 * dearest_other


@pytest.mark.slow
def test_the_new_version_is_better_and_cheaper_than_the_old(known: Study) -> None:
    new, old = known.measured[NEW_VERSION], known.measured[OLD_VERSION]
    assert new.accuracy > old.accuracy
    assert new.cpu_s < old.cpu_s / 2


@pytest.mark.slow
def test_what_the_best_model_gets_right_is_known_for_every_held_out_image(
    known: Study, digits: Digits
) -> None:
    assert known.best == max(AT_START, key=lambda name: known.measured[name].accuracy)
    assert known.best_is_right.shape == (len(digits.held_out),)
    assert known.best_is_right.mean() > 0.97


def test_the_cheapest_model_that_holds_a_floor_alone_is_found() -> None:
    measured = {name: Measured(0.9 + i / 100, 600, 0.001 * i) for i, name in enumerate(AT_START)}
    known = Study(measured, AT_START[-1], np.array([True]))
    assert known.cheapest_alone(0.915) == AT_START[2]
    assert known.cheapest_alone(0.99) == AT_START[-1]
