"""What the span of an attempt says, by OpenTelemetry's conventions for generative AI.

Nothing of what was asked or answered, and none of an endpoint's own words: those may quote it.
"""

from collections.abc import Mapping

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv.attributes import error_attributes, server_attributes
from opentelemetry.trace import Span, StatusCode

from server.dispatch.exchange import TENSORS, Asked
from server.routing.endpoints import Target
from server.routing.journey import FAILED, GIVEN_UP, LEFT, Attempt
from server.telemetry.providers import place_of

# The conventions have no name for a call that has no words; they leave others their own.
_TENSORS = "infer"
_CANCELLED = "cancelled"


def operation_of(asked: Asked) -> str:
    """As `gen_ai.operation.name` has it."""
    return _TENSORS if asked.operation is TENSORS else asked.operation.value


def known_before(target: Target, asked: Asked) -> Mapping[str, str | int | bool]:
    """What is known when an attempt begins."""
    _, model, endpoint = target
    place = place_of(endpoint, model.protocol)
    known: dict[str, str | int | bool] = {
        gen_ai.GEN_AI_OPERATION_NAME: operation_of(asked),
        gen_ai.GEN_AI_PROVIDER_NAME: place.provider,
        gen_ai.GEN_AI_REQUEST_MODEL: model.upstream_name,
        server_attributes.SERVER_ADDRESS: place.host,
        "turnout.model": model.name,
    }
    if place.port is not None:
        known[server_attributes.SERVER_PORT] = place.port
    if asked.streams:
        known[gen_ai.GEN_AI_REQUEST_STREAM] = True
    return known


def describe_attempt(span: Span, attempt: Attempt) -> None:
    """What an attempt took and how it ended."""
    span.set_attribute("turnout.attempt.purpose", attempt.purpose.value)
    span.set_attribute("turnout.cost_nano_usd", attempt.cost_nano_usd)
    if attempt.is_answering:
        first_s = attempt.first_s - attempt.begun_s
        span.set_attribute(gen_ai.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, first_s)
    span.set_attributes(_tokens(attempt))
    if attempt.fate is LEFT:
        span.set_attribute(error_attributes.ERROR_TYPE, _CANCELLED)
    elif attempt.fate in (FAILED, GIVEN_UP):
        mark_failed(span, attempt.code.name)


def mark_failed(span: Span, error_type: str) -> None:
    """Says that it failed, and with what; never in somebody's words."""
    span.set_attribute(error_attributes.ERROR_TYPE, error_type)
    span.set_status(StatusCode.ERROR)


def _tokens(attempt: Attempt) -> Mapping[str, int | bool]:
    """Those that it is charged for: the conventions count what caches read among the input."""
    usage = attempt.usage
    if not (usage.all_input or usage.all_output):
        return {}
    of_parts = {
        gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: usage.cached_input,
        gen_ai.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: usage.cache_write_input,
        gen_ai.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: usage.reasoning,
    }
    return {
        gen_ai.GEN_AI_USAGE_INPUT_TOKENS: usage.all_input,
        gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: usage.all_output,
        "turnout.usage.estimated": attempt.is_estimated,
        **{name: tokens for name, tokens in of_parts.items() if tokens},
    }
