"""Sentences that tell people what runs found."""

from statistics import median

import numpy as np

from benchmarks.learning.floors import MISS, FloorRun, Setting
from benchmarks.learning.scenarios import Outcome
from benchmarks.learning.tokens import Forecasts
from benchmarks.learning.versus import Versus, mean_with_interval
from server.money import NANO_PER_USD


def tokens_line(found: list[Forecasts]) -> str:
    """How far forecasts of output tokens were off."""
    errors = ", ".join(
        f"{median(getattr(one, name) for one in found):.1%} {said}"
        for name, said in (
            ("nominal", "by 500 for all"),
            ("of_model", "by each model's mean"),
            ("learned", "as learned by cell and model"),
            ("one_answer", "of single answers"),
        )
    )
    of = f"{found[0].answers:,} answers learned, {found[0].pairs:,} pairs"
    return f"{of}: error {errors}"


def scenario_line(name: str, found: list[Outcome]) -> str:
    """What became of a scenario."""
    floor = found[0].floor
    misses = sum(one.accuracy < floor - MISS for one in found)
    return (
        f"{name}: floor {floor:g} missed {misses} of {len(found)}; accuracy "
        f"{median(o.accuracy for o in found):.4f} (least {min(o.accuracy for o in found):.4f}); "
        f"answered {median(o.answered for o in found):.1%}; "
        f"cost {median(o.cost_ratio for o in found):.3f} of hindsight, "
        f"${median(o.cost_nano_usd for o in found) / NANO_PER_USD * 1_000:.4f} for 1,000; "
        f"said short in {median(o.named_short for o in found):.0%} of windows"
    )


def versus_line(floor: float, found: list[Versus]) -> str:
    """How rivals did on the same arrivals."""
    thompson = _gained([v.accuracy - v.thompson for v in found if v.thompson is not None])
    pareto = _gained([v.accuracy - v.paretobandit for v in found if v.paretobandit is not None])
    fixed, single = (
        [ratio for ratio in ratios if ratio is not None]
        for ratios in (
            [v.fixed_mix_cost_ratio for v in found],
            [v.single_cost_ratio for v in found],
        )
    )
    return (
        f"floor {floor:g}: accuracy {median(v.accuracy for v in found):.4f}; at equal cost "
        f"against Thompson {thompson}, against paretobandit {pareto}; best fixed mix costs "
        f"{_median(fixed)}, cheapest single {_median(single)} of ours; "
        f"always-best {median(v.best_accuracy for v in found):.4f} at "
        f"{median(v.best_cost_ratio for v in found):.2f} of our cost; oracle "
        f"{median(v.oracle_accuracy for v in found):.3f} at "
        f"{median(v.oracle_cost_nano_usd / v.cost_nano_usd for v in found):.2f} of our cost"
    )


def _gained(gains: list[float]) -> str:
    """Paired differences, of the orders in which a rival can cost as much as we do."""
    if not gains:
        return "in no order"
    mean, low, high = mean_with_interval(np.array(gains))
    return f"{100 * mean:+.2f} points [{100 * low:+.2f} to {100 * high:+.2f}], {len(gains)} orders"


def _median(values: list[float]) -> str:
    return f"{median(values):.2f}" if values else "-"


def floor_line(setting: Setting, found: list[FloorRun], requests: int) -> str:
    """Whether a floor held, and what that cost."""
    misses = sum(run.is_miss(setting.floor) for run in found)
    costs = [run.cost_ratio for run in found]
    took_s = sum(run.took_s for run in found)
    return (
        f"{setting.priors} priors, audit {setting.audit_rate:g}, floor {setting.floor:g}: "
        f"missed {misses} of {len(found)}; accuracy {median(r.accuracy for r in found):.4f} "
        f"(realised {median(r.realised for r in found):.4f}, least "
        f"{min(r.accuracy for r in found):.4f}, of {median(r.reachable for r in found):.4f}); "
        f"cost {median(costs):.3f} (90 %: {np.quantile(costs, 0.9):.3f}, most {max(costs):.2f}), "
        f"{_median([r.of_single for r in found if r.of_single])} of the cheapest single model; "
        f"probes {median(r.probes for r in found):.1%}; "
        f"said short in {median(r.named_short for r in found):.0%} of windows; "
        f"{requests * len(found) / took_s:,.0f} requests a second"
    )
