"""What was asked and answered, as the GenAI conventions write it: for those who opt in alone."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ON = frozenset({"true", "span_only", "span_and_event"})
# Of what is asked, and of what is answered. Some thousand spans wait to be exported at a time.
CONTENT_BYTES_MAX = 64 * 2**10


def wants_content(environ: Mapping[str, str]) -> bool:
    """Whether spans are to hold messages, by the conventions' own variable."""
    return environ.get(VARIABLE, "").strip().lower() in _ON


def parsed(data: bytes | memoryview) -> Mapping[str, Json]:
    """The object in it; empty where there is none, or more than is looked at."""
    if len(data) > CONTENT_BYTES_MAX:
        return {}
    try:
        found: Json = json.loads(bytes(data))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def input_messages(request: Mapping[str, Json]) -> str:
    """The messages of a chat; empty where there are none."""
    messages = [
        {"role": one.get("role"), "parts": list(_parts(one))}
        for one in objects(request.get("messages"))
    ]
    return json.dumps(messages, ensure_ascii=False) if messages else ""


def output_messages(choices: Iterable[tuple[Mapping[str, Json], str]]) -> str:
    """The messages of an answer, each with why it ended; empty where there are none."""
    messages = [
        {
            "role": message.get("role") or "assistant",
            "parts": list(_parts(message)),
            "finish_reason": reason,
        }
        for message, reason in choices
    ]
    return json.dumps(messages, ensure_ascii=False) if messages else ""


def objects(value: Json) -> Sequence[dict[str, Json]]:
    """The objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _parts(message: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """Words and calls of tools; of pictures and sound that they were there."""
    if message.get("role") == "tool":
        id_, response = message.get("tool_call_id"), message.get("content")
        yield {"type": "tool_call_response", "id": id_, "response": response}
        return
    content = message.get("content")
    if isinstance(content, str):
        yield {"type": "text", "content": content}
    for part in objects(content):
        text = part.get("text")
        is_text = part.get("type") == "text" and isinstance(text, str)
        yield {"type": "text", "content": text} if is_text else {"type": part.get("type")}
    for call in objects(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            name, arguments = function.get("name"), function.get("arguments")
            yield {
                "type": "tool_call",
                "id": call.get("id"),
                "name": name,
                "arguments": arguments,
            }
