"""What domains and intents are called, by classifiers and by those who label text."""

import re

from server.config.section import OTHER

# Labels that say: this is about nothing the classifier is to know.
OUTSIDE = frozenset({"oos", OTHER})
# No control characters: names stand in terminals, and parts of decision ids are joined by NUL.
INTENT = r"[^\x00-\x1f\x7f-\x9f]{1,128}"


def domain_name(label: str) -> str:
    """As a configuration can name it: "computer science" is computer-science."""
    return re.sub(r"[^a-z0-9._]+", "-", label.lower()).strip("-._")[:63]


def domain_meant(label: str) -> str:
    """The name of what a caller says a text is about; empty where the label names nothing."""
    named = domain_name(label)
    return OTHER if named in OUTSIDE else named
