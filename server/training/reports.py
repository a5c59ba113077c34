"""Examples from requests that a service kept, with the labels that callers reported on them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from server.config.section import OTHER
from server.control.kept_requests import KeptRequest, read_kept
from server.routing.learned_classifier.names import INTENT, domain_meant
from server.training.examples import Example
from server.training.records import DataInvalid


class Reported(NamedTuple):
    """What can be learned from, and how many labelled texts cannot."""

    examples: list[Example]
    left_out: int


def reported_examples(folder: Path, beside: Sequence[Example]) -> Reported:
    """Those of a state folder that were labelled as fully as the examples they go beside.

    The domain of an intent is that of these examples, whatever was reported; an intent that was
    reported in two domains is left out, as are labels that name nothing. Raises DataInvalid.
    """
    try:
        labelled = [one for one in read_kept(folder) if one.true_domain or one.true_intent]
    except OSError as error:
        raise DataInvalid(f"{folder}: it cannot be read: {error.strerror}") from None
    if not labelled:
        raise DataInvalid(
            f"{folder}: there is no text with a reported label: keep texts by "
            "classifier.keep_requests, and report the domain or intent of some"
        )
    domain_of = {example.intent: example.domain for example in beside if example.intent}
    named = [example for one in labelled if (example := _example(one, domain_of)) is not None]
    contradicted = _in_two_domains(named)
    found = [example for example in named if example.intent not in contradicted]
    full = _fullness([example for example in beside if not example.outside] or found)
    examples = [one for one in found if one.outside or _fullness([one]) == full]
    return Reported(examples, len(labelled) - len(examples))


def _fullness(examples: Sequence[Example]) -> tuple[bool, bool]:
    """Whether there are intents, and domains, among them."""
    return any(example.intent for example in examples), any(example.domain for example in examples)


def _example(kept: KeptRequest, domain_of: dict[str, str]) -> Example | None:
    """None where the labels name nothing."""
    intent, domain = kept.true_intent, domain_meant(kept.true_domain)
    if OTHER in (domain, domain_meant(intent)):
        return Example(kept.text, "", "")
    if intent and not re.fullmatch(INTENT, intent):
        return None
    example = Example(kept.text, intent, domain_of.get(intent, domain))
    return None if example.outside else example


def _in_two_domains(examples: Iterable[Example]) -> set[str]:
    """Intents; text outside has none."""
    domains = defaultdict(set)
    for example in examples:
        if example.domain:
            domains[example.intent].add(example.domain)
    return {intent for intent, of_it in domains.items() if intent and len(of_it) > 1}
