"""Scenarios that hypothesis draws."""

from hypothesis import strategies as st

from server.status_code import Code
from tests.closed_loop.scenario import (
    TICKS_PER_S,
    ClassLaw,
    Drain,
    Kill,
    ModelLaw,
    Outage,
    Reload,
    Scenario,
    Surge,
)

LASTS_S = 24.0
STEADY_S = 100.0
OVERLOAD_S = 60.0
AUDIT_RATE = 0.5
_CODES = (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.INTERNAL, Code.UNKNOWN)


def ticks(least_s: float, most_s: float) -> st.SearchStrategy[float]:
    """Times that floats hold exactly."""
    whole = st.integers(round(least_s * TICKS_PER_S), round(most_s * TICKS_PER_S))
    return whole.map(lambda count: count / TICKS_PER_S)


@st.composite
def models(draw: st.DrawFn) -> tuple[ModelLaw, ...]:
    """Two to four; the first is without fault, so that there is always one to serve."""
    return (
        ModelLaw(
            "sure",
            request_nano_usd=draw(st.integers(1_000, 100_000)),
            accuracy=0.95,
            latency_s=(0.0625, 0.125),
            requests_per_s=draw(st.sampled_from([None, 15.0])),
            concurrent=draw(st.sampled_from([None, 3])),
        ),
        *[draw(_model(f"m{n}")) for n in range(draw(st.integers(1, 3)))],
    )


def _model(name: str) -> st.SearchStrategy[ModelLaw]:
    return st.builds(
        ModelLaw,
        name=st.just(name),
        request_nano_usd=st.integers(1, 100_000),
        token_nano_usd=st.sampled_from([0, 0, 7]),
        busy_second_nano_usd=st.sampled_from([0, 4_096, 99_999]),
        accuracy=st.sampled_from([0.7, 0.9, 0.99]),
        latency_s=st.lists(ticks(0.01, 0.5), min_size=1, max_size=3).map(tuple),
        fails=st.sampled_from([0.0, 0.0, 0.1, 0.5, 1.0]),
        code=st.sampled_from(_CODES),
        hangs=st.sampled_from([0.0, 0.0, 0.1]),
        endpoints=st.integers(1, 3),
        requests_per_s=st.sampled_from([None, None, 5.0, 20.0]),
        concurrent=st.sampled_from([None, None, 2, 8]),
    )


@st.composite
def classes(draw: st.DrawFn) -> tuple[ClassLaw, ...]:
    """One to three."""
    return tuple(draw(_class(f"c{n}")) for n in range(draw(st.integers(1, 3))))


def _class(name: str) -> st.SearchStrategy[ClassLaw]:
    return st.builds(
        ClassLaw,
        name=st.just(name),
        per_s=st.sampled_from([2.0, 10.0, 20.0]),
        tenants=st.sampled_from([("t0",), ("t0", "t1")]),
        tokens=st.sampled_from([(10,), (10, 5_000)]),
        floor=st.sampled_from([None, 0.8, 0.9]),
        slo=st.sampled_from([None, (0.25, 0.9), (1.0, 0.95)]),
        priority=st.integers(0, 2),
        audit_rate=st.sampled_from([0.0, 0.2]),
        deadline_s=st.sampled_from([2.0, 4.0]),
        patience_s=st.sampled_from([None, None, 0.375]),
        routes=st.booleans(),
    )


def kills(mortals: list[str]) -> st.SearchStrategy[tuple[Kill, ...]]:
    """Of each process at most one; whoever dies is back before all is told."""
    some = st.sets(st.sampled_from(mortals), max_size=3)
    return some.flatmap(
        lambda names: st.tuples(
            *(
                st.builds(Kill, ticks(4, LASTS_S - 4), st.just(name), ticks(0.25, 3))
                for name in sorted(names)
            )
        )
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Anything that may happen to a service."""
    of_models, of_classes, workers = draw(models()), draw(classes()), draw(st.integers(1, 3))
    mortals = ["control", *(f"w{n}" for n in range(workers))]
    surge = st.builds(
        Surge,
        ticks(4, 16),
        st.sampled_from([law.name for law in of_classes]),
        st.sampled_from([0.1, 3.0, 5.0]),
        ticks(2, 8),
    )
    outage = st.builds(
        Outage, ticks(4, 16), st.sampled_from([law.name for law in of_models]), ticks(1, 8)
    )
    drain = st.builds(
        Drain, ticks(4, 16), st.sampled_from([law.name for law in of_models if law.name != "sure"])
    )
    reload = st.builds(Reload, ticks(4, 16), st.sampled_from(["nobody", of_models[-1].name]))
    return Scenario(
        models=of_models,
        classes=of_classes,
        kills=draw(kills(mortals)),
        surges=tuple(draw(st.lists(surge, max_size=1))),
        outages=tuple(draw(st.lists(outage, max_size=1))),
        drains=tuple(draw(st.lists(drain, max_size=1))),
        reloads=tuple(draw(st.lists(reload, max_size=2))),
        budgets_usd=draw(st.sampled_from([None, {"t0": 0.5}])),
        day_usd=draw(st.sampled_from([0.01, 1_000.0])),
        workers=workers,
        lasts_s=LASTS_S,
        seed=draw(st.integers(0, 2**32)),
    )


@st.composite
def overloads(draw: st.DrawFn) -> Scenario:
    """One and a half to five times what the models take, of which a high class asks for half."""
    takes_per_s = draw(st.sampled_from([10.0, 20.0]))
    low_per_s = takes_per_s * (draw(st.sampled_from([1.5, 3.0, 5.0])) - 0.5)
    per_s = [takes_per_s] if draw(st.booleans()) else [takes_per_s / 4, takes_per_s * 3 / 4]
    return Scenario(
        models=tuple(
            ModelLaw(f"m{n}", request_nano_usd=1 + n, requests_per_s=one)
            for n, one in enumerate(per_s)
        ),
        classes=(
            ClassLaw("high", takes_per_s / 2, priority=1),
            ClassLaw("low", low_per_s, tenants=("t0", "t1", "t2"), tokens=(10, 5_000)),
        ),
        workers=draw(st.integers(1, 3)),
        lasts_s=OVERLOAD_S,
        seed=draw(st.integers(0, 2**32)),
    )


@st.composite
def steady(draw: st.DrawFn) -> Scenario:
    """Nothing changes and nobody is taken out: models fail and are slow as they always were."""
    # Whoever is cheap fails often, so that what it costs is mostly what others charge.
    laws = (
        draw(_steady_model("m0", cost=st.integers(1, 30_000), fails=st.sampled_from([0.2, 0.5]))),
        *[
            draw(
                _steady_model(
                    f"m{n}", cost=st.integers(20_000, 100_000), fails=st.sampled_from([0.0, 0.2])
                )
            )
            for n in range(1, draw(st.integers(2, 3)))
        ],
    )
    slo = draw(st.sampled_from([0.125, 0.25, 0.5])), 0.5
    floor = draw(st.sampled_from([None, 0.8, 0.85]))
    return Scenario(
        models=laws,
        classes=(
            ClassLaw("c0", 80.0, slo=slo, audit_rate=AUDIT_RATE, floor=floor),
            ClassLaw("c1", 20.0, tokens=(10, 5_000), slo=(1.0, 0.5), audit_rate=AUDIT_RATE),
        ),
        lasts_s=STEADY_S,
        failures_to_eject=1_000_000,
        seed=draw(st.integers(0, 2**32)),
    )


def _steady_model(
    name: str, cost: st.SearchStrategy[int], fails: st.SearchStrategy[float]
) -> st.SearchStrategy[ModelLaw]:
    return st.builds(
        ModelLaw,
        name=st.just(name),
        request_nano_usd=cost,
        token_nano_usd=st.sampled_from([0, 7]),
        busy_second_nano_usd=st.sampled_from([0, 99_999]),
        accuracy=st.sampled_from([0.7, 0.9, 0.99]),
        believed=st.sampled_from([0.8, 0.9]),
        latency_s=st.lists(ticks(0.01, 0.5), min_size=1, max_size=4).map(tuple),
        fails=fails,
        requests_per_s=st.just(1_000.0),
        concurrent=st.just(1_000),
    )
