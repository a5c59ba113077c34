import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.learned_classifier.classifier import LearnedClassifier
from server.routing.learned_classifier.file_format import (
    FILE_BYTES_MAX,
    ROWS_MAX,
    ClassifierInvalid,
    Contents,
    dump,
    load,
    quantised,
)
from tests.server.routing.learned_classifier.made import contents

MADE = contents(
    intents=("balance", "transfer", "weather"),
    domains=("bank", "bank", "world"),
    words={"money": (1, 2, 3), "größe": (0.5, 0, -9)},
    pairs={"send money": (0, 1, 0), " send": (0, 0, 1)},
    parts={"<mon": (1, 1, 1)},
    threshold=0.25,
    shares={"bank": 0.75, "other": 0.25},
)
DATA = dump(MADE)


def sealed(data: bytes) -> bytes:
    """With the checksum that such bytes should have."""
    return data + hashlib.sha256(data).digest()


def header(**changed: object) -> Contents:
    return replace(MADE, header=MADE.header.model_copy(update=changed))


def said(**changed: object) -> bytes:
    """The file with another header, which `dump` would not have written."""
    end = 24 + int.from_bytes(DATA[20:24], "little")
    about = json.dumps(json.loads(DATA[24:end]) | changed).encode()
    return sealed(DATA[:20] + len(about).to_bytes(4, "little") + about + DATA[end:-32])


def test_what_was_written_is_read() -> None:
    assert LearnedClassifier.from_bytes(DATA).to_bytes() == DATA
    assert load(DATA).header.shares == {"bank": 0.75, "other": 0.25}


def test_a_model_that_was_written_classifies_as_before() -> None:
    before, after = LearnedClassifier(MADE), LearnedClassifier.from_bytes(DATA)
    assert after.classify("send money") == before.classify("send money")


def test_weights_keep_two_digits_of_the_largest_in_their_row() -> None:
    rows = np.array([[1.0, -0.5, 0.004], [1e-3, 0, 0], [0, 0, 0]])
    scales, steps = quantised(rows)
    assert steps * scales[:, np.newaxis] == pytest.approx(rows, abs=0.004)
    assert (scales[1] * steps[1, 0], scales[2]) == (pytest.approx(1e-3), 0)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no classifier of version 1"),
        (b"turnout classifier 2" + DATA[20:], "no classifier of version 1"),
        (DATA[:-1], "checksum"),
        (DATA + b"x", "checksum"),
        (sealed(DATA[:24]), "header"),
        (sealed(DATA[:-33]), "weights: not those of 5 rows and 3 labels"),
        (sealed(DATA[:20] + b"\xff\xff\xff\xff" + DATA[24:-32]), "header"),
        (sealed(DATA[:-32].replace("größe".encode(), b"gr\xff\xffe__")), "not UTF-8"),
        (sealed(DATA[:-32].replace(b"money", b"mo\ney", 1)), "6 rows, where 5 are announced"),
        (sealed(DATA[:-32].replace(b"send money", b"sendXmoney")), "not two words"),
        (said(threshold=2.0), "threshold: "),
        (said(words=ROWS_MAX + 1), "words: "),
        (said(intents=(), domains=()), "one of them names the labels"),
        (said(intents=("a", "a", "b")), "named twice"),
        (said(domains=("bank", "world")), "not one for each intent"),
        (said(domains=("bank", "world", "bank")), "do not stand side by side"),
        (said(domains=("bank", "other", "world")), "'other' is what belongs to none"),
        (said(domains=("bank", "bank", "wo\0rld")), r"domains.2: "),
        (said(domains=("bank", "bank", "World")), r"domains.2: "),
        (said(domains=("bank", "bank", "world\n")), r"domains.2: "),
        (said(intents=("balance", "trans\x1bfer", "weather")), r"intents.1: "),
        (said(intents=("balance", "", "weather")), r"intents.1: "),
        (said(shares={"Bank": 1.0}), r"shares.Bank"),
        (said(outside=3), "weights: "),
        (dump(replace(MADE, bias=np.full(3, np.nan, np.float32))), "weights: a number is none"),
        (dump(replace(MADE, scales=np.full(5, np.inf, np.float32))), "weights: a number is none"),
        (dump(replace(MADE, lengths2=np.zeros(5, np.float32))), "a length too small"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, says: str) -> None:
    with pytest.raises(ClassifierInvalid, match=says):
        load(data)


def test_a_file_beyond_the_limit_is_not_read() -> None:
    with pytest.raises(ClassifierInvalid, match="at most 10,000,000 bytes"):
        load(bytes(FILE_BYTES_MAX + 1))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (header(intents=(), domains=()), "one of them names the labels"),
        (header(domains=("bank", "world", "bank")), "do not stand side by side"),
    ],
)
def test_names_that_would_be_refused_are_not_written(made: Contents, says: str) -> None:
    with pytest.raises(ClassifierInvalid, match=says):
        dump(made)


def test_a_file_beyond_the_limit_is_not_written() -> None:
    large = replace(MADE, vocabulary=["x" * FILE_BYTES_MAX])
    with pytest.raises(ClassifierInvalid, match="train it with fewer"):
        dump(large)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    for sent in (data, DATA[:20] + data, sealed(DATA[:20] + data)):
        with pytest.raises(ClassifierInvalid):
            LearnedClassifier.from_bytes(sent)


@given(st.integers(20, len(DATA) - 33), st.integers(0, 255), st.integers(0, 8))
def test_a_file_that_was_changed_and_sealed_again_is_read_or_refused(
    at: int, byte: int, cut: int
) -> None:
    data = sealed(DATA[:at] + bytes([byte]) + DATA[at + 1 + cut : -32])
    try:
        model = LearnedClassifier.from_bytes(data)
    except ClassifierInvalid:
        return
    assert 0 <= model.classify("send money").domain_probability <= 1.000001
