"""What `turnout infer` and `turnout chat` show of an answer: its words, and what it took."""

import sys

from rich.text import Text

from server.money import usd
from turnout.v1 import routing_pb2 as pb

# What moves a terminal's cursor, or tells it to do other things, is not for a model to say.
_COMMANDS = dict.fromkeys(
    code for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
)


def write(words: str) -> None:
    """Some words of a model, as they come; a program that reads them has them as they are."""
    sys.stdout.write(words.translate(_COMMANDS) if sys.stdout.isatty() else words)
    sys.stdout.flush()


def took(told: pb.InferResponse) -> Text:
    """Which model answered, for how much and why, in a line."""
    usage = told.usage
    about = "about " if usage.estimated else ""
    attempts = f", {told.attempts} attempts" if told.attempts > 1 else ""
    latency_s = usage.latency.seconds + usage.latency.nanos / 1e9
    return Text.assemble(
        (told.target.model, "bold green"),
        f" for {usd(told.cost_nano_usd)}, {about}{usage.input_tokens:,} tokens read, "
        f"{usage.output_tokens:,} written in {latency_s:.2f} s{attempts}",
        (f": {told.reason.text}" if told.reason.text else "", "dim"),
    )
