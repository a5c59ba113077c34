"""Tokens of an answer, as the endpoint that gave it counts them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one attempt, in classes that share none: together they are all that was read and
    written.
    """

    input: int = 0  # read, and neither from nor into the provider's cache
    cached_input: int = 0  # read from its cache
    cache_write_input: int = 0  # read and put into its cache
    output: int = 0  # written for the caller
    reasoning: int = 0  # written for itself

    @property
    def all_input(self) -> int:
        """All that was read."""
        return self.input + self.cached_input + self.cache_write_input

    @property
    def all_output(self) -> int:
        """All that was written."""
        return self.output + self.reasoning


NO_TOKENS = TokenUsage()
