"""What is known of one request: found out when a rule first asks, and once."""

from collections.abc import Set
from typing import TYPE_CHECKING, NamedTuple

from server.routing.query import Query, Tensor
from server.routing.reading.content import READ_CHARS, window
from server.routing.reading.keywords import Keywords
from server.routing.reading.language import Writing, writing_of
from server.routing.reading.structure import Structure, Structures
from server.routing.reading.token_estimate import estimate_tokens

if TYPE_CHECKING:
    from server.routing.learned_classifier.classifier import Guess, LearnedClassifier


class Readers(NamedTuple):
    """What one configuration reads requests with."""

    keywords: Keywords
    structures: Structures
    learned: "LearnedClassifier | None"


class Facts:
    """A request as the rules see it. What none of them asks for costs nothing."""

    __slots__ = (
        "_found", "_guess", "_readers", "_structure", "_tensors", "_writing", "domain",
        "input_tokens", "intent_so_far", "query",
    )  # fmt: skip

    def __init__(self, query: Query, readers: Readers) -> None:
        self.query = query
        self._readers = readers
        self.domain = ""  # set before the rules of classes are asked
        self.intent_so_far = ""  # empty where nothing has asked the learned model
        tokens = query.input_tokens
        if tokens is None:
            tokens = estimate_tokens(query.text) + query.overhead_tokens
            if query.earlier:
                tokens += estimate_tokens(query.earlier)
        self.input_tokens = tokens
        self._found: Set[str] | None = None
        self._structure: Structure | None = None
        self._writing: Writing | None = None
        self._guess: Guess | None = None
        self._tensors: tuple[Tensor, ...] | None = None

    @property
    def found(self) -> Set[str]:
        """The keywords in the whole conversation."""
        if self._found is None:
            query = self.query
            text = window(query.text)
            if query.earlier:
                text = f"{text}\n{query.earlier[-READ_CHARS:]}"
            self._found = self._readers.keywords.find(text)
        return self._found

    @property
    def structure(self) -> Structure:
        """Of what is asked."""
        if self._structure is None:
            self._structure = self._readers.structures.of(self.query.text)
        return self._structure

    @property
    def writing(self) -> Writing:
        """Of what is asked."""
        if self._writing is None:
            self._writing = writing_of(self.query.text)
        return self._writing

    @property
    def guess(self) -> "Guess | None":
        """What the learned model says of what is asked; None without a model or a text."""
        learned = self._readers.learned
        if self._guess is None and learned is not None and self.query.text:
            self._guess = guess = learned.classify(self.query.text)
            self.intent_so_far = guess.intent
        return self._guess

    @property
    def intent(self) -> str:
        guess = self.guess
        return "" if guess is None else guess.intent

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        if self._tensors is None:
            self._tensors = self.query.tensors()
        return self._tensors
