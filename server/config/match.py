"""The rules of classes and domains: what a request has to be for them to match."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from server.config.section import Int32, Section, Text

# Blocks of one class: beyond it, what sets them apart is better said by a label.
ALTERNATIVES_MAX = 32

# How the two forms of `match` are told apart where pydantic names the place of a mistake.
FORM_TAGS = ("[one block]", "[list of blocks]")

Structure = Literal["json", "code", "table", "mathematics", "list", "question", "instruction"]
CodeLanguage = Literal[
    "python", "javascript", "typescript", "java", "c", "cpp", "csharp", "go", "rust", "php",
    "ruby", "sql", "shell", "html",
]  # fmt: skip
Script = Literal[
    "latin", "greek", "cyrillic", "armenian", "hebrew", "arabic", "devanagari", "bengali",
    "tamil", "thai", "georgian", "hangul", "kana", "han",
]  # fmt: skip
Language = Literal[
    "en", "de", "fr", "es", "it", "pt", "nl", "ru", "uk", "el", "he", "ar", "hi", "th", "ko",
    "ja", "zh",
]  # fmt: skip


# In which each language is looked for.
SCRIPT_OF: Mapping[Language, Script] = {
    **dict.fromkeys(("en", "de", "fr", "es", "it", "pt", "nl"), "latin"),
    **dict.fromkeys(("ru", "uk"), "cyrillic"),
    "el": "greek",
    "he": "hebrew",
    "ar": "arabic",
    "hi": "devanagari",
    "th": "thai",
    "ko": "hangul",
    "ja": "kana",
    "zh": "han",
}


class KeywordsConfig(Section):
    """Words and phrases, found at word boundaries whatever their case."""

    any_of: tuple[str, ...] = ()
    """At least one of them is in the text."""
    all_of: tuple[str, ...] = ()
    """All of them are in the text."""
    none_of: tuple[str, ...] = ()
    """None of them is in the text."""


class RangeConfig(Section):
    """From min to max, both included; the end that is not given is open."""

    min: Int32 | None = None
    """The smallest that matches."""
    max: Int32 | None = None
    """The largest that matches."""


class TensorsConfig(Section):
    """The input tensors of an Open Inference Protocol request."""

    names: tuple[Text, ...] = ()
    """One of them is called so."""
    datatypes: tuple[Text, ...] = ()
    """One of them is of this type, such as BYTES or FP32."""
    elements: RangeConfig | None = None
    """Elements of all of them together, by their shapes."""


class MatchConfig(Section):
    """Every key that is given has to match; a list means any of its values."""

    labels: dict[Text, tuple[Text, ...]] = Field(default_factory=dict)
    """Labels of the request, and the values to match."""
    metadata: dict[Text, tuple[Text, ...]] = Field(default_factory=dict)
    """gRPC metadata of the call, and the values to match."""
    tenant: tuple[Text, ...] = ()
    """Who asks."""
    user: tuple[Text, ...] = ()
    """For whom."""
    response_format: tuple[Text, ...] = ()
    """What the answer should be, such as json."""
    priority: RangeConfig | None = None
    """The request's priority."""
    tools: bool | None = None
    """Whether the model is offered tools."""
    messages: RangeConfig | None = None
    """Messages of a chat; a text is one, tensors are none."""
    tensors: TensorsConfig | None = None
    """Input tensors."""
    input_tokens: RangeConfig | None = None
    """Tokens of the whole prompt, stated by the caller or estimated."""
    keywords: KeywordsConfig | None = None
    """Words and phrases in the text."""
    structures: tuple[Structure, ...] = ()
    """What the text is made of or asks for: several can hold of one text."""
    code_languages: tuple[CodeLanguage, ...] = ()
    """The programming language of its code."""
    languages: tuple[Language, ...] = ()
    """The language it is written in, where that is clear."""
    scripts: tuple[Script, ...] = ()
    """The script that most of its letters are of."""
    domains: tuple[Text, ...] = ()
    """Its content domain; for classes only."""
    intents: tuple[Text, ...] = ()
    """What is wanted, as the learned classifier says."""


def _form(value: object) -> str:
    return FORM_TAGS[isinstance(value, list | tuple)]


# One block, or several of which one has to match.
Match = Annotated[
    Annotated[MatchConfig, Tag(FORM_TAGS[0])]
    | Annotated[tuple[MatchConfig, ...], Field(max_length=ALTERNATIVES_MAX), Tag(FORM_TAGS[1])],
    Discriminator(_form),
]


def alternatives(match: MatchConfig | tuple[MatchConfig, ...] | None) -> tuple[MatchConfig, ...]:
    """The blocks of a rule, of which one has to match."""
    if match is None:
        return ()
    return match if isinstance(match, tuple) else (match,)
