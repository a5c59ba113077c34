"""Decision ids: what was sealed comes back, and nothing else is taken for it."""

import base64
import hashlib
import string
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.money import NANO_USD_MAX
from server.routing.catalog import Cell, PayloadKind
from server.routing.decision_id import (
    DECISION_ID_CHARS_MAX,
    KEY_BYTES,
    SAID_MAX,
    SEALED_AT_ONCE_MAX,
    VALID_S,
    Kind,
    OpenDecision,
    Sealer,
    open_decision,
    owner_tag,
)
from server.routing.errors import DecisionExpired, DecisionInvalid

KEY = bytes(range(KEY_BYTES))
CELL = Cell("chat", "acme+everyone", "law", "s1", "text")
URLSAFE = string.ascii_letters + string.digits + "-_"
NOW_S = 1_700_000_000.9

names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True)
# Long enough not to be met by chance.
long_names = st.from_regex(r"[a-z0-9][a-z0-9._-]{7,62}", fullmatch=True)
versions = st.text(st.characters(codec="utf-8"), max_size=256)


def seal(sealer: Sealer | None = None, cell: Cell = CELL, model: str = "small") -> str:
    return (sealer or Sealer(KEY, boot=7)).seal(
        Kind.ROUTE,
        cell,
        (model, "2"),
        audit_probability=0.25,
        expected_cost_nano_usd=1_234,
        now_s=NOW_S,
    )


def refuse(decision_id: str, key: bytes = KEY) -> None:
    with pytest.raises(DecisionInvalid) as refused:
        open_decision(key, decision_id, now_s=NOW_S)
    assert refused.value.field == "decision_id"


def test_ids_that_are_made_in_a_row_say_what_one_says_and_differ() -> None:
    sealer = Sealer(KEY, boot=7)
    make = sealer.sealing(
        Kind.ROUTE,
        CELL,
        ("small", "2"),
        audit_probability=0.25,
        expected_cost_nano_usd=1_234,
        now_s=NOW_S,
    )
    assert make() == seal()  # of another sealer, for the same count
    made = [seal(sealer), make(), seal(sealer), make()]
    assert len(set(made)) == len(made)
    for decision_id in made:
        opened = open_decision(KEY, decision_id, now_s=NOW_S)
        assert (opened.cell, opened.model, opened.issued_s) == (CELL, "small", 1_700_000_000)


def test_an_id_says_what_was_decided() -> None:
    decision_id = seal()
    assert open_decision(KEY, decision_id, now_s=NOW_S) == OpenDecision(
        decision_id=decision_id,
        kind=Kind.ROUTE,
        cell=CELL,
        model="small",
        version="2",
        audit_probability=0.25,
        issued_s=1_700_000_000,
        expected_cost_nano_usd=1_234,
    )


@given(
    kind=st.sampled_from(Kind),
    cell=st.builds(
        Cell,
        names,
        st.lists(names, min_size=1, max_size=9).map("+".join),
        names,
        names,
        st.sampled_from(PayloadKind),
    ),
    model=st.tuples(names, versions),
    audit_probability=st.floats(0, 1, width=32),
    cost=st.integers(0, NANO_USD_MAX),
    now_s=st.floats(0, 2**32 - 1),  # the year 2106
)
def test_what_is_sealed_is_what_is_opened(
    kind: Kind,
    cell: Cell,
    model: tuple[str, str],
    audit_probability: float,
    cost: int,
    now_s: float,
) -> None:
    decision_id = Sealer(KEY, boot=2**64 - 1).seal(
        kind,
        cell,
        model,
        audit_probability=audit_probability,
        expected_cost_nano_usd=cost,
        now_s=now_s,
    )
    opened = open_decision(KEY, decision_id, now_s=now_s)
    assert (opened.kind, opened.cell, opened.model, opened.version) == (kind, cell, *model)
    assert (opened.audit_probability, opened.expected_cost_nano_usd) == (audit_probability, cost)
    assert opened.issued_s == int(now_s)


def test_an_id_needs_no_escaping_in_a_url_or_a_header() -> None:
    assert set(seal()) <= set(URLSAFE)


def test_ids_of_one_decision_have_nothing_in_common_at_any_place() -> None:
    """Nor do they count: of a thousand every place takes nearly every value."""
    sealer = Sealer(KEY, boot=7)
    made = [base64.urlsafe_b64decode(seal(sealer)) for _ in range(1_000)]
    assert len({decision_id[:8] for decision_id in made}) == len(made)
    assert min(len(set(place)) for place in zip(*made, strict=True)) > 200


@given(
    cell=st.builds(Cell, *[long_names] * 5),
    model=st.tuples(long_names, long_names),
)
def test_no_name_can_be_read_from_an_id(cell: Cell, model: tuple[str, str]) -> None:
    decision_id = Sealer(KEY, boot=7).seal(
        Kind.ROUTE, cell, model, audit_probability=1, expected_cost_nano_usd=1, now_s=NOW_S
    )
    sealed = base64.urlsafe_b64decode(decision_id)
    for name in (*cell, *model):
        assert name.encode() not in sealed
        assert name not in decision_id


def test_names_of_about_one_length_make_ids_of_one_length() -> None:
    lengths = {len(seal(model="m" * length)) for length in range(1, 64)}
    assert len(lengths) <= 4


def test_an_id_of_the_layout_before_is_refused() -> None:
    """It was signed, with the key itself, and not encrypted."""
    body = struct.pack("<BBfIQQQ", 1, 1, 0.25, int(NOW_S), 7, 1, 1_234)
    body += "\0".join((*CELL, "small", "2")).encode()
    mac = hashlib.blake2b(body, digest_size=16, key=KEY).digest()
    refuse(base64.urlsafe_b64encode(body + mac).decode())


@pytest.mark.parametrize("length", [0, 1, KEY_BYTES - 1, KEY_BYTES + 1, 2 * KEY_BYTES])
def test_a_key_of_another_length_seals_and_opens_nothing(length: int) -> None:
    with pytest.raises(ValueError, match="has 32 bytes"):
        Sealer(bytes(length), boot=7)
    with pytest.raises(ValueError, match="has 32 bytes"):
        open_decision(bytes(length), seal(), now_s=NOW_S)


def test_every_id_differs_even_of_equal_decisions() -> None:
    sealers = Sealer(KEY, boot=1), Sealer(KEY, boot=2)
    assert len({seal(sealer) for sealer in sealers for _ in range(10)}) == 20


@pytest.mark.parametrize("at", range(len(base64.urlsafe_b64decode(seal()))))
def test_an_altered_bit_is_refused(at: int) -> None:
    sealed = base64.urlsafe_b64decode(seal())
    for bit in range(8):
        altered = bytearray(sealed)
        altered[at] ^= 1 << bit
        refuse(base64.urlsafe_b64encode(altered).decode())


@pytest.mark.parametrize("kept", range(len(base64.urlsafe_b64decode(seal()))))
def test_an_id_that_was_cut_at_either_end_is_refused(kept: int) -> None:
    sealed = base64.urlsafe_b64decode(seal())
    refuse(base64.urlsafe_b64encode(sealed[:kept]).decode())
    refuse(base64.urlsafe_b64encode(sealed[len(sealed) - kept :]).decode())


@pytest.mark.parametrize("at", range(len(seal())))
def test_an_altered_character_is_refused(at: int) -> None:
    decision_id = seal()
    for other in set(URLSAFE + "=") - {decision_id[at]}:
        refuse(decision_id[:at] + other + decision_id[at + 1 :])


def respelled() -> list[str]:
    decision_id = seal()
    return [
        decision_id[:-1],
        decision_id + "=",
        decision_id + "\n",
        " " + decision_id,
        decision_id[:10] + "\n" + decision_id[10:],
        decision_id[:10] + "." + decision_id[10:],
        decision_id + decision_id,
    ]


@pytest.mark.parametrize("spelling", range(len(respelled())))
def test_there_is_one_spelling_of_an_id(spelling: int) -> None:
    refuse(respelled()[spelling])


def test_an_id_with_both_signs_beyond_letters_is_refused_in_the_other_alphabet() -> None:
    sealer = Sealer(KEY, boot=7)
    signed = next(i for i in (seal(sealer) for _ in range(1_000)) if "-" in i and "_" in i)
    open_decision(KEY, signed, now_s=NOW_S)
    refuse(signed.replace("-", "+"))
    refuse(signed.replace("_", "/"))


def test_an_id_of_another_key_is_refused() -> None:
    refuse(seal(), key=bytes(KEY_BYTES))


@given(
    st.one_of(st.text(), st.binary(max_size=200).map(base64.urlsafe_b64encode).map(bytes.decode))
)
def test_what_we_did_not_make_is_refused(decision_id: str) -> None:
    refuse(decision_id)


@pytest.mark.parametrize(
    "length", [0, 1, DECISION_ID_CHARS_MAX, DECISION_ID_CHARS_MAX + 4, 10_000_000]
)
def test_an_id_of_any_length_is_refused(length: int) -> None:
    refuse("A" * length)


def test_an_id_of_the_longest_names_is_taken() -> None:
    name = "x" * 63
    decision_id = seal(cell=Cell(name, "+".join([name] * 16), name, name), model=name)
    assert len(decision_id) <= DECISION_ID_CHARS_MAX
    assert open_decision(KEY, decision_id, now_s=NOW_S).model == name


def test_a_version_may_hold_even_what_parts_the_names() -> None:
    decision_id = Sealer(KEY, boot=7).seal(
        Kind.ROUTE,
        CELL,
        ("small", "1\0\0b"),
        audit_probability=0,
        expected_cost_nano_usd=0,
        now_s=NOW_S,
    )
    assert open_decision(KEY, decision_id, now_s=NOW_S).version == "1\0\0b"


def test_an_id_is_good_for_30_days() -> None:
    decision_id = seal()
    last_s = int(NOW_S) + VALID_S
    assert open_decision(KEY, decision_id, now_s=last_s).model == "small"
    with pytest.raises(DecisionExpired) as refused:
        open_decision(KEY, decision_id, now_s=last_s + 1)
    assert refused.value.field == "decision_id"


def test_ids_are_made_for_so_many_decisions_and_begin_anew_beyond() -> None:
    sealer = Sealer(KEY, boot=7)
    cells = [CELL._replace(domain=f"d{number}") for number in range(SAID_MAX + 1)]
    decision_ids = [seal(sealer, cell) for cell in cells[:-1]]
    assert sealer.said == SAID_MAX
    decision_ids.append(seal(sealer, cells[-1]))
    assert sealer.said == 1
    for at in (0, 1, SAID_MAX):
        assert open_decision(KEY, decision_ids[at], now_s=NOW_S).cell == cells[at]
    assert open_decision(KEY, seal(sealer, cells[0]), now_s=NOW_S).cell == cells[0]


def test_of_a_decision_no_more_ids_are_made_ahead_than_were_taken() -> None:
    sealer = Sealer(KEY, boot=7)
    for taken in range(1, 10 * SEALED_AT_ONCE_MAX):
        seal(sealer)
        assert taken <= sealer.sealed < min(2 * taken, taken + SEALED_AT_ONCE_MAX)


def test_what_was_made_ahead_is_not_given_in_the_next_second() -> None:
    sealer = Sealer(KEY, boot=7)
    for later_s in (0, 0, 0, 1, 1, 0, 3_600):
        decision_id = sealer.seal(
            Kind.INFER,
            CELL,
            ("small", "2"),
            audit_probability=0,
            expected_cost_nano_usd=0,
            now_s=NOW_S + later_s,
        )
        opened = open_decision(KEY, decision_id, now_s=NOW_S + later_s)
        assert opened.issued_s == int(NOW_S + later_s)
        assert sealer.said == 1


@given(st.text(max_size=300), st.text(max_size=300), versions)
def test_an_id_says_whose_it_is_and_is_no_longer_for_a_longer_name(
    tenant: str, other: str, version: str
) -> None:
    ids = [
        Sealer(KEY, boot=7).seal(
            Kind.INFER,
            CELL,
            ("small", version),
            audit_probability=0.25,
            expected_cost_nano_usd=1,
            owner=owner,
            now_s=NOW_S,
        )
        for owner in (owner_tag(tenant), owner_tag(other), b"")
    ]
    mine, others, nobodys = (open_decision(KEY, one, now_s=NOW_S) for one in ids)
    assert (mine.owner == others.owner) is (tenant == other)
    assert (mine.owner, nobodys.owner) == (owner_tag(tenant), b"")
    assert (mine.kind, mine.cell, mine.version) == (Kind.INFER, CELL, version)
    assert len(ids[0]) == len(ids[1])
