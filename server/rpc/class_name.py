"""The class of a request whose body names a model: the model's name is a class, or "auto"."""

from collections.abc import Container
from typing import NamedTuple

from server.routing.errors import ClassAmbiguous, UnknownClass

# The name of a model that leaves the class to the rules.
AUTO = "auto"
_SHOWN_CHARS_MAX = 80  # of a name that is not ours


class Named(NamedTuple):
    """A name, and where a request has it; empty: it has none."""

    name: str
    field: str


def class_named(model: Named, other: Named, classes: Container[str], *, listed_at: str = "") -> str:
    """The class that both name, or one of them; empty: neither does, and the rules decide.

    `listed_at` tells callers where the classes are listed. Raises UnknownClass or ClassAmbiguous.
    """
    of_model = "" if model.name == AUTO else model.name
    for name, field in (model._replace(name=of_model), other):
        if name and name not in classes:
            raise UnknownClass(
                f"there is no class {name[:_SHOWN_CHARS_MAX]!r}: name one of the configuration"
                f"{listed_at}, or {AUTO!r} as the model",
                field=field,
            )
    if of_model and other.name and of_model != other.name:
        message = f"it says {other.name!r}, and the model {of_model!r}: give one"
        raise ClassAmbiguous(message, field=other.field)
    return of_model or other.name
