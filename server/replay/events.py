"""What befalls the models of a replay, at a stated time."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from server.config.models import ModelConfig, PriceConfig
from server.config.schema import Config
from server.replay.run import Event, Replay

WHAT = "gone, back, joins, price=FACTOR or as=MODEL"


class EventInvalid(Exception):
    """Says what is wrong with an event, and what would be right."""


class Stated(NamedTuple):
    """An event as somebody writes it: "600 big price=2"."""

    at_s: float
    model: str
    what: str
    value: str


def stated(text: str, config: Config) -> Stated:
    """Reads an event; raises EventInvalid."""
    try:
        at, model, said = text.split()
        at_s = float(at)
    except ValueError:
        raise EventInvalid(
            f"{text!r}: write SECONDS MODEL WHAT, where WHAT is {WHAT}: '600 big price=2'"
        ) from None
    what, _, value = said.partition("=")
    names = [one.name for one in config.models]
    if model not in names or (what == "as" and value not in names):
        raise EventInvalid(f"{text!r}: the configuration has the models {', '.join(names)}")
    is_known = what in _ACTS and (what in ("price", "as")) == bool(value)
    if not is_known or (what == "price" and not _is_factor(value)):
        raise EventInvalid(f"{text!r}: what befalls a model is {WHAT}")
    return Stated(at_s, model, what, value)


def event(one: Stated) -> Event:
    """What is done at its time."""
    act = _ACTS[one.what]
    return Event(one.at_s, lambda replay, now_s: act(replay, one, now_s))


def joining(config: Config, events: list[Stated]) -> tuple[Config, Config]:
    """The whole configuration with models that join later at its end, and what it begins with."""
    late = {one.model for one in events if one.what == "joins"}
    early = [model for model in config.models if model.name not in late]
    if not early:
        raise EventInvalid("every model joins later: leave one to begin with")
    last = [model for model in config.models if model.name in late]
    whole = config.model_copy(update={"models": (*early, *last)})
    return whole, config.model_copy(update={"models": tuple(early)})


def _is_factor(value: str) -> bool:
    try:
        return 0.0 < float(value) < float("inf")
    except ValueError:
        return False


def _leave(replay: Replay, one: Stated, _now_s: float) -> None:
    replay.answers.leave(replay.place(one.model))


def _come_back(replay: Replay, one: Stated, _now_s: float) -> None:
    replay.answers.come_back(replay.place(one.model))


def _join(replay: Replay, one: Stated, now_s: float) -> None:
    """Models that join in another order than they are listed in bring those before them along."""
    place = replay.place(one.model)
    present = len(replay.config.models)
    if place >= present:
        models = (*replay.config.models, *replay.whole.models[present : place + 1])
        replay.configure(replay.config.model_copy(update={"models": models}), now_s)


def _reprice(replay: Replay, one: Stated, now_s: float) -> None:
    models = tuple(
        model.model_copy(update={"price": _times(model, float(one.value))})
        if model.name == one.model
        else model
        for model in replay.config.models
    )
    replay.configure(replay.config.model_copy(update={"models": models}), now_s)


def _times(model: ModelConfig, factor: float) -> PriceConfig:
    """Of a model whose list prices are filled in."""
    price = model.price.model_dump(exclude={"list_price", "tiers"})
    tiers = [tier.model_dump() for tier in model.price.tiers]
    return PriceConfig.model_validate(
        {**_scaled(price, factor), "tiers": [_scaled(tier, factor) for tier in tiers]}
    )


def _scaled(prices: Mapping[str, float | None], factor: float) -> Mapping[str, float | None]:
    """Dollars alone."""
    return {
        key: value * factor if value is not None and "usd" in key else value
        for key, value in prices.items()
    }


def _become(replay: Replay, one: Stated, _now_s: float) -> None:
    other = replay.answers.columns[replay.place(one.value)]
    replay.answers.swap(replay.place(one.model), other)


_ACTS: dict[str, Callable[[Replay, Stated, float], None]] = {
    "gone": _leave,
    "back": _come_back,
    "joins": _join,
    "price": _reprice,
    "as": _become,
}
