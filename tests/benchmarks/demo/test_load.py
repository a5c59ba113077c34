"""The schedule of the traffic."""

from itertools import islice, pairwise

import numpy as np
import pytest

from benchmarks.demo.asking import request_of
from benchmarks.demo.digits import Digits
from benchmarks.demo.load import Arrival, Stream, arrivals, schedule
from benchmarks.demo.model_server import image_of
from server.wire import oip_pb2 as oip

BULK, STRICT = Stream("bulk", 60, seed=1), Stream("strict", 40, seed=2)


def take(stream: Stream, count: int) -> list[Arrival]:
    return list(islice(arrivals(stream, 599), count))


def test_the_same_seed_gives_the_same_schedule() -> None:
    assert take(BULK, 1000) == take(Stream("bulk", 60, seed=1), 1000)


def test_another_seed_gives_another_schedule() -> None:
    assert take(BULK, 1000) != take(Stream("bulk", 60, seed=3), 1000)


def test_gaps_are_those_of_a_poisson_stream() -> None:
    gaps = np.diff([one.due_s for one in take(BULK, 20_000)])
    assert gaps.mean() == pytest.approx(1 / 60, rel=0.03)
    assert gaps.std() == pytest.approx(1 / 60, rel=0.03)
    # Memoryless: a third of the gaps exceed the mean, whatever went before.
    longer = gaps > 1 / 60
    assert longer.mean() == pytest.approx(np.exp(-1), abs=0.02)
    assert longer[1:][longer[:-1]].mean() == pytest.approx(np.exp(-1), abs=0.02)


def test_each_image_comes_once_before_any_comes_again() -> None:
    images = [one.item for one in take(BULK, 2 * 599)]
    assert sorted(images[:599]) == sorted(images[599:]) == list(range(599))
    assert images[:599] != images[599:]


def test_a_stream_that_begins_later_is_the_same_later() -> None:
    late = take(Stream("bulk", 60, seed=1, from_s=30.0), 100)
    assert [one.due_s - 30 for one in late] == pytest.approx([one.due_s for one in take(BULK, 100)])


def test_streams_are_merged_in_the_order_of_time() -> None:
    merged = list(islice(schedule([BULK, STRICT], 599), 2000))
    assert all(one.due_s <= other.due_s for one, other in pairwise(merged))
    of_strict = [one for one in merged if one.traffic_class == "strict"]
    assert of_strict == take(STRICT, len(of_strict))
    assert len(of_strict) == pytest.approx(800, abs=100)


def test_a_model_server_reads_the_image_that_was_sent(digits: Digits) -> None:
    image = digits.held_out.images[0]
    request = oip.ModelInferRequest.FromString(request_of(image))
    assert image_of(request).tolist() == [image.tolist()]
