"""The package `paretobandit` (Apache-2.0) as a rival on the same arrivals, grades and bills.

Not in our lock: `pip install paretobandit==0.1.1`; it wants joblib, numpy, scikit-learn and tqdm.
Its text encoder is left out: it sees the cell of a request, as we do, one dimension for each. Its
settings are those that its authors found best without priors of their own, and each prior is told
to it as so many grades in each cell as Thompson sampling takes it for.
"""

from importlib.util import find_spec
from itertools import product

import numpy as np

from benchmarks.learning.rivals import PRIOR_GRADES, Point, World, means_of, point
from server.money import NANO_PER_USD
from server.replay.recording import Ints

# Its pacer is told to spend so many times what we do, and a price keeps it from dear models besides
# (0.3 unless given): it spends less than it is told while that is high.
_TARGETS, _PRICES = (0.5, 1.0, 2.0), (0.0, 0.03, 0.3)
_PRICED_TOKENS = 1_000  # it prices models by tokens: a request is taken for so many


def is_here() -> bool:
    return find_spec("pareto_bandit") is not None


def pareto_curve(world: World, cost_nano_usd: float, seed: int) -> list[Point]:
    """Swept over what its pacer is told to spend on a request, and its price."""
    accuracy, cost = means_of(world, world.score), means_of(world, world.cost)
    return [
        point(
            world, accuracy, cost, pareto(world, cost_nano_usd * factor / NANO_PER_USD, price, seed)
        )
        for factor, price in product(_TARGETS, _PRICES)
    ]


def pareto(world: World, target_usd: float, price: float, seed: int) -> Ints:
    """(N,) models that it would ask; of each it learns the bill, and of audited ones the score."""
    # Imported here, for whoever has it not can run all else.
    from pareto_bandit.budget_pacer import BudgetPacer
    from pareto_bandit.config import BEST_K3_TABULA_RASA_HPARAMS
    from pareto_bandit.feature_service import FeatureService
    from pareto_bandit.router import BanditRouter

    random, pacer = np.random.default_rng(seed), BudgetPacer(target_usd)
    router = BanditRouter.create(
        _registry(world),
        priors="none",
        feature_service=FeatureService.for_precomputed(world.cells + 1),
        bandit_seed=seed,
        cost_penalty=price,
        alpha=BEST_K3_TABULA_RASA_HPARAMS["alpha"],
        forgetting_factor=BEST_K3_TABULA_RASA_HPARAMS["forgetting_factor"],
        budget_pacer=pacer,
    )
    seen = np.column_stack([np.eye(world.cells), np.ones(world.cells)])
    for context, (model, prior) in product(seen, enumerate(world.priors.tolist())):
        router.update(str(model), context, prior, PRIOR_GRADES, advance_time=False)
    audited = random.random(world.query.size) < world.audit_rate
    chosen = np.empty(world.query.size, dtype=np.int64)
    for n, (query, is_audited) in enumerate(zip(world.query.tolist(), audited, strict=True)):
        context = seen[world.cell_of[query]]
        name, _ = router.route(context)
        chosen[n] = model = int(name)
        pacer.observe(float(world.cost[query, model]) / NANO_PER_USD)
        if is_audited:
            router.update(name, context, float(world.score[query, model]), advance_time=False)
    return chosen


def _registry(world: World) -> dict[str, dict[str, float]]:
    """By the place of each model: its prices."""
    usd = world.cost.mean(axis=0) / NANO_PER_USD / _PRICED_TOKENS * 1e6
    return {
        str(model): {"input_cost_per_m": price, "output_cost_per_m": price}
        for model, price in enumerate(usd.tolist())
    }
