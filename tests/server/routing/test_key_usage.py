from server.routing.key_usage import KeyUsage
from server.status_code import Code
from server.token_usage import TokenUsage
from tests.server.routing.test_journey import LARGE, failed


def test_what_all_attempts_of_a_request_took_counts_for_its_key() -> None:
    made = failed(Code.UNAVAILABLE)
    made.begin(LARGE, 1.0).end_with_answer(2.0, TokenUsage(input=7, cached_input=3, output=5))
    made.ended_s = 2.0
    usage = KeyUsage()
    usage.count_requests(2, 0.5)
    usage.count_journey(made)
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (2, 10, 5)
    assert usage.cost_nano_usd == made.cost_nano_usd > 0
    assert usage.changed_s == 2.0
