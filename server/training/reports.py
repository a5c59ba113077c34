"""Examples from requests that a service kept, with the labels that callers reported on them."""

from collections.abc import Sequence
from pathlib import Path

from server.control.kept_requests import KeptRequest, read_kept
from server.training.examples import OUTSIDE, Example, domain_name
from server.training.records import DataInvalid


def reported_examples(folder: Path, beside: Sequence[Example]) -> list[Example]:
    """Those of a state folder that were labelled as fully as the examples they go beside.

    The domain of an intent is that of these examples, whatever was reported. Raises DataInvalid.
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
    found = [_example(one, domain_of) for one in labelled]
    full = _fullness([*beside, *found])
    return [one for one in found if one.outside or _fullness([one]) == full]


def _fullness(examples: Sequence[Example]) -> tuple[bool, bool]:
    """Whether there are intents, and domains, among them."""
    return any(example.intent for example in examples), any(example.domain for example in examples)


def _example(kept: KeptRequest, domain_of: dict[str, str]) -> Example:
    if kept.true_domain in OUTSIDE or kept.true_intent in OUTSIDE:
        return Example(kept.text, "", "")
    domain = domain_of.get(kept.true_intent, domain_name(kept.true_domain))
    return Example(kept.text, kept.true_intent, domain)
