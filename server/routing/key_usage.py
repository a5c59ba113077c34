"""What was asked by one key, and what that took."""

from dataclasses import dataclass

from server.routing.journey import Journey


@dataclass(slots=True)
class KeyUsage:
    """Of one key at one worker since its start."""

    requests: int = 0  # that it was let ask
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    changed_s: float | None = None

    def count_requests(self, requests: int, now_s: float) -> None:
        self.requests += requests
        self.changed_s = now_s

    def count_journey(self, journey: Journey) -> None:
        """Counts what all attempts of a request took that has ended."""
        for attempt in journey.attempts:
            self.input_tokens += attempt.usage.all_input
            self.output_tokens += attempt.usage.all_output
        self.cost_nano_usd += journey.cost_nano_usd
        self.changed_s = journey.ended_s
