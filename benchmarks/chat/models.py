"""The models of `make chat`: one language model, told in its chat template how to answer, or not.

Each worked example is read with every question: it makes a model dearer, and better.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BARE, TAUGHT = "bare", "taught"
INPUT_USD_PER_MTOK, OUTPUT_USD_PER_MTOK = 0.1, 0.2
_NANO_USD_A_TOKEN = (100, 200)  # the same, read and written

_EXAMPLES = (
    ("What is the capital of Romania?", "The capital of Romania is Bucharest."),
    ("What is 2 + 19?", "2 + 19 = 21"),
    ("What is the capital of Ukraine?", "The capital of Ukraine is Kyiv."),
    ("What is 11 + 13?", "11 + 13 = 24"),
    ("What is the capital of Mexico?", "The capital of Mexico is Mexico City."),
    ("What is 7 + 14?", "7 + 14 = 21"),
    ("What is the capital of Scotland?", "The capital of Scotland is Edinburgh."),
    ("What is 15 + 4?", "15 + 4 = 19"),
)
# How many examples each has; without any, the model keeps its own template.
EXAMPLES: Mapping[str, int] = {BARE: 0, TAUGHT: len(_EXAMPLES)}

_TURN = "<|im_start|>{role}\n{content}<|im_end|>\n"
_CONVERSATION = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found out about a model before it serves."""

    accuracy: float  # of the questions to measure by
    questions: int
    cost_nano_usd: float  # of a question, in the mean
    latency_s: float  # likewise


@dataclass(frozen=True, slots=True)
class Study:
    """What is known of the models before the first request."""

    measured: Mapping[str, Measured]
    best: str
    best_is_right: NDArray[np.bool_]  # (asked,) where always taking it would have been right
    best_costs: NDArray[np.int64]  # (asked,) nano-dollars that it takes for them

    def best_cost_nano_usd(self, item: int) -> int:
        return int(self.best_costs[item])


def template_of(model: str) -> str:
    """Its chat template, for Jinja; empty where it keeps its own."""
    if not EXAMPLES[model]:
        return ""
    turns = (
        _TURN.format(role=role, content=content)
        for example in _EXAMPLES[: EXAMPLES[model]]
        for role, content in zip(("user", "assistant"), example, strict=True)
    )
    return "".join(turns) + _CONVERSATION


def cost_nano_usd(read: int, written: int) -> int:
    """What all models charge for so many tokens."""
    return read * _NANO_USD_A_TOKEN[0] + written * _NANO_USD_A_TOKEN[1]
