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
    "would send the model's key to another place: name api_key_env, api_key_file or headers again "
    "in the same change, or change the file and reload it"
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
    if section == "models" and _moves_key(entries[index], changes):
        raise ConfigError((Diagnostic(f"{section}[{index}].endpoints", None, _KEY_MOVES),))
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


def _moves_key(model: Mapping[str, object], changes: Mapping[str, object]) -> bool:
    """Whether a key would go where nobody said that it may."""
    before, after = model.get("endpoints"), changes.get("endpoints")
    if not isinstance(before, list) or not isinstance(after, list | tuple):
        return False
    has_key = any(model.get(key) for key in _SECRET_KEYS)
    names_it = any(key in changes for key in _SECRET_KEYS)
    return has_key and not names_it and not set(after) <= set(before)


def _merged(old: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    merged = dict(old)
    for key, change in changes.items():
        before = old.get(key)
        if isinstance(change, Mapping):
            change = _merged(before if isinstance(before, Mapping) else {}, change)
        merged[key] = change
    return merged
