"""The classifier's file: numbers and names, nothing that runs.

    magic       20 bytes, "turnout classifier 1"
    header      4 bytes: its length; then JSON
    vocabulary  UTF-8, a line for each row of weights: words, pairs ("left right"), parts
    arrays      little-endian float32: the bias of each label, the squared length of each row, the
                scale of each row's weights; then int8: for each row its weight for each label
    checksum    32 bytes: SHA-256 of all before it

A file says how long each part is and is held to it before anything is made of it.
"""

import hashlib
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.config.section import OTHER, Name
from server.routing.learned_classifier.names import INTENT

FILE_BYTES_MAX = 10_000_000
LABELS_MAX = 1_024
# Each takes some 200 bytes of a worker's memory beside its weights.
ROWS_MAX = 200_000

_MAGIC = b"turnout classifier 1"
_LENGTH_BYTES = 4
_CHECKSUM_BYTES = 32
_INT8_MAX = 127
# No trained number comes near; with these bounds no sum of a text's rows overflows.
_NUMBER_MAX = 1e6
_LENGTH2_MIN = 1e-6

Intent = Annotated[str, Field(pattern=f"^{INTENT}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=ROWS_MAX)]


class ClassifierInvalid(Exception):
    """The bytes are no classifier that can be used; says what is wrong with them."""


class Header(BaseModel):
    """What a classifier says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    intents: Annotated[tuple[Intent, ...], Field(max_length=LABELS_MAX)]
    """Empty where the labels are the domains themselves."""
    domains: Annotated[tuple[Name, ...], Field(max_length=LABELS_MAX)]
    """Of each intent, or the domains; empty where intents have none."""
    outside: Annotated[int, Field(ge=0, le=LABELS_MAX)]
    """How many labels follow those named: they say that a text is none of these."""
    threshold: Share
    """Below this probability a text belongs nowhere."""
    shares: Annotated[dict[Name, Share], Field(max_length=LABELS_MAX + 1)]
    """What part of the text it learned from it puts in each domain, `other` among them."""
    words: Count
    pairs: Count
    parts: Count
    vocabulary_bytes: Annotated[int, Field(ge=0, le=FILE_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class Contents:
    """A file, read: R rows of weights for L labels."""

    header: Header
    vocabulary: list[str]  # (R,)
    bias: NDArray[np.float32]  # (L,)
    lengths2: NDArray[np.float32]  # (R,) a row's length squared
    scales: NDArray[np.float32]  # (R,)
    weights: NDArray[np.int8]  # (R, L) in steps of the row's scale


def quantised(rows: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Each row in 127 steps of its own to either side of 0: the scales and the steps."""
    scales = (np.abs(rows).max(axis=1, initial=0.0) / _INT8_MAX).astype(np.float32)
    steps = rows / np.where(scales > 0, scales, 1)[:, np.newaxis]
    return scales, np.rint(steps).clip(-_INT8_MAX, _INT8_MAX).astype(np.int8)


def dump(contents: Contents) -> bytes:
    """The file; raises ClassifierInvalid where its names or its size would not be read again."""
    _check_names(contents.header)
    vocabulary = "\n".join(contents.vocabulary).encode()
    header = contents.header.model_copy(update={"vocabulary_bytes": len(vocabulary)})
    about = header.model_dump_json().encode()
    arrays = (contents.bias, contents.lengths2, contents.scales, contents.weights)
    body = b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    data = b"".join((_MAGIC, len(about).to_bytes(_LENGTH_BYTES, "little"), about, vocabulary, body))
    data += hashlib.sha256(data).digest()
    _check_size(len(data))
    return data


def load(data: bytes) -> Contents:
    """What `dump` wrote; raises ClassifierInvalid for anything else."""
    _check_size(len(data))
    if not data.startswith(_MAGIC):
        raise ClassifierInvalid("this is no classifier of version 1: write one by `turnout train`")
    if hashlib.sha256(data[:-_CHECKSUM_BYTES]).digest() != data[-_CHECKSUM_BYTES:]:
        raise ClassifierInvalid("the checksum is wrong: the file is cut short or was changed")
    start = len(_MAGIC) + _LENGTH_BYTES
    about_bytes = int.from_bytes(data[len(_MAGIC) : start], "little")
    body = memoryview(data)[start + about_bytes : -_CHECKSUM_BYTES]
    header = _header(data[start : start + about_bytes])
    _check_names(header)
    vocabulary = _vocabulary(header, bytes(body[: header.vocabulary_bytes]))
    return _arrays(header, vocabulary, body[header.vocabulary_bytes :])


def _check_size(size_bytes: int) -> None:
    if size_bytes > FILE_BYTES_MAX:
        raise ClassifierInvalid(
            f"a classifier has at most {FILE_BYTES_MAX:,} bytes, this one {size_bytes:,}: "
            "train it with fewer rows or labels"
        )


def _header(about: bytes) -> Header:
    try:
        return Header.model_validate_json(about)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "header"
        raise ClassifierInvalid(f"{where}: {first['msg']}") from None


def _check_names(header: Header) -> None:
    named, domains = header.intents or header.domains, header.domains
    if OTHER in domains:
        raise ClassifierInvalid(f"domains: {OTHER!r} is what belongs to none, and cannot be one")
    if not named:
        raise ClassifierInvalid("intents and domains are empty: one of them names the labels")
    if len(set(named)) < len(named):
        raise ClassifierInvalid("a label is named twice: names are unique")
    if header.intents and domains and len(domains) != len(header.intents):
        raise ClassifierInvalid("domains: there is not one for each intent")
    runs = sum(1 for _ in groupby(domains))
    if runs > len(set(domains)):
        raise ClassifierInvalid("domains: the intents of one domain do not stand side by side")


def _vocabulary(header: Header, blob: bytes) -> list[str]:
    try:
        lines = blob.decode().split("\n") if blob else []
    except UnicodeDecodeError:
        raise ClassifierInvalid("vocabulary: it is not UTF-8") from None
    rows = header.words + header.pairs + header.parts
    if len(lines) != rows or rows > ROWS_MAX:
        raise ClassifierInvalid(f"vocabulary: {len(lines):,} rows, where {rows:,} are announced")
    pairs = lines[header.words : header.words + header.pairs]
    if any(pair.count(" ") != 1 for pair in pairs):
        raise ClassifierInvalid("vocabulary: a pair is not two words with a space between")
    return lines


def _arrays(header: Header, vocabulary: list[str], body: memoryview) -> Contents:
    rows = len(vocabulary)
    labels = len(header.intents or header.domains) + header.outside
    if labels > LABELS_MAX or len(body) != 4 * labels + 8 * rows + labels * rows:
        raise ClassifierInvalid(f"weights: not those of {rows:,} rows and {labels:,} labels")
    floats = np.frombuffer(body[: 4 * labels + 8 * rows], "<f4").astype(np.float32)
    bias, lengths2, scales = np.split(floats, (labels, labels + rows))
    if not (np.abs(floats) <= _NUMBER_MAX).all() or not (lengths2 >= _LENGTH2_MIN).all():
        raise ClassifierInvalid("weights: a number is none, or too large, or a length too small")
    weights = np.frombuffer(body[4 * labels + 8 * rows :], np.int8).reshape(rows, labels)
    return Contents(header, vocabulary, bias, lengths2, scales, weights)
