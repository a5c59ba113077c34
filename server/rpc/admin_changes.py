"""What an update asks to change, in the words of the configuration."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from google.protobuf.message import Message

from server.config.diagnostics import ConfigError
from server.config.models import TokenPrices
from server.routing.errors import InvalidRequest
from turnout.v1 import admin_pb2 as pb

Changes = Mapping[str, object]  # nested as the configuration is
# Where a model's key is: told to nobody, for a key may stand there by mistake.
KEY_SOURCES = ("api_key_env", "api_key_file")

_NONE = "none"  # what removes an aim, as it removes a floor


def model_changes(model: pb.Model) -> Changes:
    """Every field but the name."""
    price, capacity = model.price, model.capacity
    return {
        "version": model.version,
        "protocol": model.protocol,
        "endpoints": list(model.endpoints),
        "upstream_name": model.upstream_name,
        **{key: getattr(model, key) or None for key in KEY_SOURCES},
        "enabled": model.enabled,
        "price": {
            **_tokens(price),
            "list_price": price.list_price,
            "tiers": [
                {"above_input_tokens": tier.above_input_tokens, **_tokens(tier)}
                for tier in price.tiers
            ],
            "request_usd": price.request_usd,
            "busy_second_usd": price.busy_second_usd,
        },
        "capacity": {
            "requests_per_s": (
                capacity.requests_per_s if capacity.HasField("requests_per_s") else None
            ),
            "concurrent": capacity.concurrent if capacity.HasField("concurrent") else None,
        },
        "prior_accuracy": model.prior_accuracy,
        "prior_grades": model.prior_grades or None,
        "capabilities": list(model.capabilities),
    }


def _tokens(price: Message) -> Changes:
    """Prices of tokens; None where one is not given."""
    return {
        key: getattr(price, key) if price.HasField(key) else None
        for key in TokenPrices.model_fields
    }


def class_changes(traffic_class: pb.TrafficClass) -> Changes:
    """Every field but the name; without an slo the class has none."""
    slo = traffic_class.slo
    given = {"metric": slo.metric or "total", "ms": slo.ms, "fraction": slo.fraction}
    return {
        "floor": traffic_class.floor or None,
        "slo": given if traffic_class.HasField("slo") else None,
        "audit_rate": traffic_class.audit_rate,
        "priority": traffic_class.priority,
        "deadline_s": traffic_class.deadline_s,
        "output_tokens_max": traffic_class.output_tokens_max or None,
        "floor_when_short": (
            traffic_class.floor_when_short if traffic_class.HasField("floor_when_short") else None
        ),
        "domain_floor": traffic_class.domain_floor or None,
        "aim": None if traffic_class.aim in ("", _NONE) else traffic_class.aim,
    }


def budget_changes(budget: pb.Budget) -> Changes:
    """What can change of a budget; an aim only where one is given, for callers may know of none."""
    aim = {"aim": budget.aim} if budget.aim else {}
    return {"amount_usd": budget.amount_usd, **aim}


def without_unsaid_keys(changes: Changes) -> Changes:
    """The changes, but for where a key is if it is not said: an answer never has it."""
    return {k: v for k, v in changes.items() if k not in KEY_SOURCES or v is not None}


def masked(changes: Changes, paths: Iterable[str]) -> Changes:
    """The changes that the paths name, such as "price.request_usd"; without paths, all.

    Raises InvalidRequest for a path that names nothing which can change.
    """
    wanted = frozenset(paths)
    if not wanted:
        return changes
    there = paths_of(changes)
    unknown = wanted.difference(there)
    if unknown:
        raise InvalidRequest(
            f"{min(unknown)!r} cannot change, or is within what the request leaves out: "
            f"there is {', '.join(there)}",
            field="update_mask",
        )
    found: dict[str, object] = {}
    for key, value in changes.items():
        if key in wanted:
            found[key] = value
        elif isinstance(value, Mapping):
            found[key] = {k: v for k, v in value.items() if f"{key}.{k}" in wanted}
    return found


def of_new_model(changes: Changes, paths: Sequence[str]) -> Changes:
    """All changes, for a new model needs them; an accuracy of 0 that no path names was left out."""
    if not paths or "prior_accuracy" in paths or changes["prior_accuracy"]:
        return changes
    return {key: value for key, value in changes.items() if key != "prior_accuracy"}


def in_request(error: ConfigError, section: str, field: str) -> ConfigError:
    """The same problems by their paths in the request: "model.price.request_usd"."""
    entry = re.compile(rf"{section}(\[\d+\])?")
    return ConfigError(
        tuple(replace(p, path=entry.sub(field, p.path, count=1)) for p in error.diagnostics)
    )


def paths_of(changes: Changes) -> tuple[str, ...]:
    """Every field that a mask may name, a section before the fields in it."""
    return tuple(_paths(changes))


def _paths(changes: Changes) -> Iterator[str]:
    for key, value in changes.items():
        yield key
        if isinstance(value, Mapping):
            yield from (f"{key}.{inner}" for inner in value)
