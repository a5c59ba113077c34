"""The configuration changes while it runs: one entry at a time, checked as the file is."""

import json
from collections.abc import Mapping
from typing import Literal

from server.config.as_json import to_json
from server.config.classes import ClassifierConfig
from server.config.diagnostics import ConfigError, Diagnostic, did_you_mean
from server.config.parse import parse
from server.config.schema import Config

Section = Literal["models", "classes", "budgets"]

_KEY_MOVES = (
    "would send what {} names to another place: name it again in the same change, "
    "or change the file and reload it"
)
_SECRET_KEYS = ("api_key_env", "api_key_file", "headers")


def updated(
    config: Config,
    section: Section,
    name: str,
    changes: Mapping[str, object],
    *,
    allow_missing: bool = False,
) -> Config:
    """The configuration with one entry changed, or added at the end where that is allowed.

    `changes` is nested as the file is: {"price": {"request_usd": 0.002}}. Raises ConfigError with
    what is wrong with the entry. What its change means for others is no mistake: draining the
    model that a class's floor needs has to be possible, and the plan names the breach.
    """
    data = json.loads(to_json(config))
    entries: list[dict[str, object]] = data[section]
    names = [str(entry["name"]) for entry in entries]
    if name not in names:
        if not allow_missing:
            message = f"no entry is named {name[:64]!r}: {did_you_mean(name[:64], names)}"
            raise ConfigError((Diagnostic(section, None, message),))
        names.append(name)
        entries.append({"name": name})
    index = names.index(name)
    moved = _moved_keys(entries[index], changes) if section == "models" else []
    if moved:
        message = _KEY_MOVES.format(" and ".join(moved))
        raise ConfigError((Diagnostic(f"{section}[{index}].endpoints", None, message),))
    entries[index] = _merged(entries[index], changes)
    if entries[index]["name"] != name:
        path = f"{section}[{index}].name"
        raise ConfigError((Diagnostic(path, None, f"{name!r} keeps its name while it runs"),))
    return parse(data, within=(section, index))


def with_classifier(config: Config, file: str) -> Config:
    """The configuration with another file of the learned classifier."""
    before = config.classifier
    named = ClassifierConfig(file=file, keep_requests=0 if before is None else before.keep_requests)
    return config.model_copy(update={"classifier": named})


def _moved_keys(model: Mapping[str, object], changes: Mapping[str, object]) -> list[str]:
    """What would go where nobody said that it may."""
    before, after = model.get("endpoints"), changes.get("endpoints")
    if not isinstance(before, list) or not isinstance(after, list | tuple):
        return []
    if set(after) <= set(before):
        return []
    return [key for key in _SECRET_KEYS if model.get(key) and key not in changes]


def _merged(old: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    merged = dict(old)
    for key, change in changes.items():
        before = old.get(key)
        if isinstance(change, Mapping):
            change = _merged(before if isinstance(before, Mapping) else {}, change)
        merged[key] = change
    return merged
