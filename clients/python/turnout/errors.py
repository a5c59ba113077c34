"""Why a call was not answered: one class for each thing that its caller can do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """A field of the request, by its path, and what would be right there."""

    field: str
    description: str


class TurnoutError(Exception):
    """A call was not answered; the subclass and `what_to_do` say what its caller can do.

    `reason` is stable and may be switched on; it is an open set, and empty where no Turnout spoke.
    `domain` is "turnout", or "upstream" where a model's endpoint failed.
    """

    what_to_do: ClassVar[str] = "See the reason and the message."

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        domain: str = "",
        violations: Sequence[Violation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.domain = domain
        self.violations = tuple(violations)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        said = [f"{v.field}: {v.description}" for v in self.violations]
        # One wrong field is the message again, by name: to read it twice helps nobody.
        if [v.description for v in self.violations] != [self.message]:
            said.insert(0, self.message)
        reason = f"{self.reason}: " if self.reason else ""
        return f"{reason}{'; '.join(said)}. {self.what_to_do}"


class InvalidRequest(TurnoutError):
    """The request itself is wrong."""

    what_to_do = "Correct the request: as it is, it will be refused again."


class NotPermitted(TurnoutError):
    """The request is sound, but the configuration, a budget or a permission does not allow it."""

    what_to_do = "Ask whoever runs Turnout: its configuration, a budget or a permission says no."


class Unavailable(TurnoutError):
    """Turnout cannot answer now. Where `retry_after_s` is given, no model was asked."""

    what_to_do = "Try again later; without retry_after_s, a model may have been asked already."


class Unreachable(Unavailable):
    """No connection could be made, so nothing was sent."""

    what_to_do = "Check that Turnout runs and listens at this address (host:port or unix:PATH)."


class DeadlineExceeded(TurnoutError):
    """The time given was too short; a model may have been asked already."""

    what_to_do = "Give more time with timeout_s, or a longer deadline_s to the class."


class UpstreamError(TurnoutError):
    """Turnout did its part; the model's endpoint failed or refused the request."""

    what_to_do = "See the model's endpoint; asking again may be paid for twice."


class UpstreamUnreachable(UpstreamError):
    """None of the endpoints that Turnout tried could be reached, so nothing is paid for."""

    what_to_do = "Check that the model's endpoints run; nothing was sent, so you may ask again."


class InternalError(TurnoutError):
    """A fault of Turnout, or an answer from something that is no Turnout."""

    what_to_do = "See Turnout's log, and whether the address is that of its data listener."
