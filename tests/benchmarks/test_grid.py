import pytest

from benchmarks.grid import warn_if_generator_bound
from benchmarks.load import Toll

TOLL = Toll(
    cpu_us=1,
    p50_us=1,
    p99_us=1,
    p999_us=1,
    late_p99_us=200,
    generator_load=0.2,
)


@pytest.mark.parametrize("fault", [{"late_p99_us": 50_000}, {"generator_load": 0.95}])
def test_a_load_generator_that_is_the_bottleneck_is_named(
    fault: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    warn_if_generator_bound("route", TOLL.model_copy(update=fault))
    assert "the load generator is the bottleneck" in capsys.readouterr().err


def test_a_load_generator_that_keeps_up_is_not_mentioned(
    capsys: pytest.CaptureFixture[str],
) -> None:
    warn_if_generator_bound("route", TOLL)
    assert capsys.readouterr().err == ""
