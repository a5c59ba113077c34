"""All that was learned: taken in a moment, and taken up again by the next start.

What is read back is checked here for its shape, so that no estimate is made of something else.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo

from server.control.counters import Workers
from server.control.drift import DomainDrift
from server.control.estimates import Estimates
from server.control.knowledge import Knowledge
from server.control.last_hour import LastHour
from server.control.outcomes import Outcomes
from server.control.state_file import Kept, Plain, StateInvalid
from server.latency_buckets import LATENCY_BUCKETS
from server.routing.catalog import Cell

# Raised where a value is not what it has to be, once its shape is right.
_REFUSED = (ValueError, TypeError, LookupError, AttributeError, OverflowError)


def _not_later(time_s: float, info: ValidationInfo) -> float:
    """Of a clock that was set back: what lies in the future would never grow old."""
    return min(time_s, info.context["now_s"] if info.context else time_s)


def _graded(sums: list[float]) -> list[float]:
    """Of weights, their squares and weighted qualities, of which none is above 1."""
    weight, square, quality = sums
    if quality > weight * (1 + _ROUNDING):
        raise ValueError("a mean quality above 1")
    return [weight, square, min(quality, weight)]


def _leg(plain: list[Any]) -> list[Any]:
    boot, *names, counts = plain
    are_names = all(isinstance(name, str) for name in names)
    if len(names) != len(Cell._fields) + 2 or not are_names:
        raise ValueError("a leg has the names of a cell and of two models")
    if not isinstance(boot, int) or not isinstance(counts, dict):
        raise ValueError("a leg is of a boot, and has counts")
    return plain


def _rounded(amount: float) -> float:
    return amount if amount > _LEAST else 0.0


# Far beyond what is ever counted, either way: quotients and products of them are still finite.
_LEAST, _MOST = 1e-40, 1e40
_ROUNDING = 1e-9
_Amount = Annotated[float, Field(ge=0, le=_MOST), AfterValidator(_rounded)]
_Signed = Annotated[float, Field(ge=-_MOST, le=_MOST)]
_Count = Annotated[int, Field(ge=0, le=10**30)]
_Whole = Annotated[int, Field(ge=-(10**30), le=10**30)]
_Fraction = Annotated[float, Field(ge=0, le=1)]
_Bucket = Annotated[int, Field(ge=0, lt=LATENCY_BUCKETS)]
_Time = Annotated[float, Field(ge=-1e12, le=1e12), AfterValidator(_not_later)]
_Since = _Time | None
_Group = tuple[str, str]
_Sums = list[_Amount]
_Grades = Annotated[_Sums, AfterValidator(_graded)]
_Counts = dict[str, _Count | _Amount | list[tuple[_Bucket, _Count]]]
# Of a spread none is 0, for it is divided by.
_Spread = Annotated[float, Field(gt=1e-12, le=1.0)]


class _Accuracy(BaseModel):
    since_s: dict[str, _Since]
    pairs: list[tuple[tuple[Cell, str], _Grades]]
    models: list[tuple[str, _Grades]]
    groups: list[tuple[_Group, _Grades]]
    spreads: tuple[_Spread, _Spread]
    model_spread: _Spread | None = None
    # Model, accuracy, the grades that it rests on, and since when it is believed.
    priors: list[tuple[str, _Fraction, _Amount | None, _Time]] = []
    widened: list[tuple[str, _Fraction]] = []


class _ByModel(BaseModel):
    since_s: _Since
    rows: list[tuple[str, _Sums]]


class _ByPromise(BaseModel):
    since_s: _Since
    rows: list[tuple[tuple[str, _Amount, str], _Sums]]


class _ByPair(BaseModel):
    since_s: _Since
    rows: list[tuple[tuple[Cell, str], _Sums]]


class _ByLeg(BaseModel):
    since_s: _Since
    rows: list[tuple[tuple[str, str, str], _Sums]]


class _Demand(BaseModel):
    watched_s: _Amount
    rows: list[tuple[Cell, _Amount]]
    recent: list[tuple[_Group, _Amount]] = []
    recent_s: tuple[_Amount, _Amount] = 0.0, 0.0


class _Account(BaseModel):
    floor: _Fraction
    frozen: bool
    since_s: _Since
    sums: tuple[_Amount, _Amount, _Signed]
    rhythm: tuple[_Count, _Signed, _Signed, _Time]


class _Accounts(BaseModel):
    rows: list[tuple[_Group, _Account]]


_Recent = list[tuple[Cell, _Amount, _Amount]]
_Sum = tuple[_Amount, _Amount, _Recent]


class _Models(BaseModel):
    versions: list[tuple[str, str]] = []
    watch: list[tuple[str, _Count, _Sum, _Sum]] = []
    newest: list[tuple[str, _Time, _Fraction, _Fraction, _Count]] = []


class _Needs(BaseModel):
    since_s: _Since = None
    rows: list[tuple[str, _Sums]] = []  # by budget
    # When it began, since when it was watched, what it needed, how long it was watched.
    periods: list[tuple[str, tuple[_Time, _Time, _Amount, _Amount]]] = []


class _Spending(BaseModel):
    budgets: dict[str, Any]


class _Workers(BaseModel):
    since_epoch: _Count
    boots: list[tuple[str, str, _Count, bool]]
    told: list[Annotated[list[_Count | str | _Counts], AfterValidator(_leg)]]


class _LastHour(BaseModel):
    rows: list[tuple[tuple[str, str | _Group], list[list[_Whole]]]]


class _Drift(BaseModel):
    trained: dict[str, _Fraction]
    slices: list[tuple[_Count, dict[str, _Count]]]


class _Outcomes(BaseModel):
    forgotten_s: Annotated[int, Field(ge=-1, le=10**12)]
    rows: list[
        tuple[
            _Count,  # when it was issued
            str,
            bool,
            str,
            _Fraction | None,
            _Time,
            tuple[_Fraction, str, _Time] | None,
        ]
    ]


class _Shape(BaseModel):
    """Of a file, part by part."""

    accuracy: _Accuracy
    latency: _ByModel
    miss: _ByPromise
    usage: _ByPair
    chains: _ByLeg
    demand: _Demand
    accounts: _Accounts
    models: _Models = _Models()
    needs: _Needs = _Needs()
    spending: _Spending
    workers: _Workers
    last_hour: _LastHour
    drift: _Drift
    outcomes: _Outcomes


def taken(knowledge: Knowledge, estimates: Estimates, outcomes: Outcomes) -> Plain:
    """All, at a moment when nothing that was counted is still to be learned."""
    return {**estimates.to_plain(), **counted_by_now(knowledge, outcomes)}


def counted_by_now(knowledge: Knowledge, outcomes: Outcomes) -> Plain:
    """All but the estimates; long lists are read through later."""
    return {
        "spending": {"budgets": knowledge.spending.to_plain()},
        "workers": knowledge.workers.to_plain(),
        "last_hour": {"rows": knowledge.last_hour.to_plain()},
        "drift": knowledge.drift.to_plain(),
        "outcomes": outcomes.to_plain(),
    }


def take_up(
    kept: Kept, knowledge: Knowledge, outcomes: Outcomes, *, epoch: int, now_s: float
) -> Estimates:
    """Puts what was kept in the place of what is known; returns what was believed.

    Raises StateInvalid, and then does nothing. `epoch` is this start of the control plane.
    """
    try:
        shape = _Shape.model_validate(kept.plain, context={"now_s": now_s})
        estimates = _estimates(shape, age_s=now_s - kept.written_s)
        workers = Workers.from_plain(dict(shape.workers), epoch=epoch, now_s=now_s)
        last_hour = LastHour.from_plain(shape.last_hour.rows, now_s=now_s)
        drift = DomainDrift.from_plain(dict(shape.drift), now_s=now_s)
        knowledge.spending.restore(shape.spending.budgets)
    except _REFUSED as error:
        raise StateInvalid(f"it holds what we do not write: {_why(error)}") from None
    knowledge.workers, knowledge.last_hour, knowledge.drift = workers, last_hour, drift
    knowledge.configure(knowledge.config)
    estimates.configure(knowledge.config, now_s)
    outcomes.restore(dict(shape.outcomes))
    return estimates


def _why(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'][:3]))}: {first['msg']}"


def _estimates(shape: _Shape, *, age_s: float) -> Estimates:
    plain: dict[str, Any] = {
        name: dict(getattr(shape, name))
        for name in ("accuracy", "latency", "miss", "usage", "chains", "demand")
    }
    plain["models"] = dict(shape.models)
    plain["needs"] = dict(shape.needs)
    plain["accounts"] = {"rows": [(name, dict(one)) for name, one in shape.accounts.rows]}
    return Estimates.from_plain(plain, age_s=age_s)
