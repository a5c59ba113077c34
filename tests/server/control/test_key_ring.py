from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given

from server.control.key_ring import (
    CLASSES_MAX,
    LIMIT_MAX,
    NOTE_BYTES_MAX,
    OVERLAP_S_MAX,
    RING_BYTES_MAX,
    TENANT_BYTES_MAX,
    TIME_S_MAX,
    KeyRing,
    Terms,
)
from server.routing.errors import InvalidRequest, NotFound
from server.routing.keys import ID_CHARS, KEYS_MAX, SECRETS_MAX, digest_of
from tests.server.control.test_kept_files_fuzz import damaged

NOW_S = 1_000.0
ID = "aaaaaaaaaa"
TERMS = Terms("team-a", ("support",), 600, 20, NOW_S + 60, "the shop")


def digest(number: int) -> bytes:
    return digest_of(f"tk_{number}")


def ring(terms: Terms = TERMS) -> KeyRing:
    return KeyRing().created(ID, digest(1), terms, now_s=NOW_S)


def until_s(found: KeyRing) -> list[float | None]:
    return [secret.until_s for secret in found.find(ID).secrets]


def test_a_key_comes_back_from_its_file_as_it_was() -> None:
    kept = ring().rotated(ID, digest(2), overlap_s=5.0, now_s=NOW_S + 1)
    assert KeyRing.from_bytes(kept.to_bytes()) == kept


def test_a_file_has_no_secret_and_nothing_that_one_could_be_made_of() -> None:
    secret = "tk_aaaaaaaaaa_" + 43 * "s"
    content = KeyRing().created(ID, digest_of(secret), TERMS, now_s=NOW_S).to_bytes()
    assert 10 * b"s" not in content
    assert digest_of(secret).hex().encode() in content


@given(damaged(ring().to_bytes()))
def test_a_file_is_read_or_refused(content: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(KeyRing.from_bytes(content), KeyRing)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b'"turnout_keys":1', b'"turnout_keys":2', "of form 2"),
        (b'"lost":false', b'"lost":false,"more":1', None),
        (b'"tenant":"team-a"', b'"tenant":""', "tenant"),
        (b'"requests_per_minute":600', b'"requests_per_minute":0', "requests_per_minute"),
        (b'"created_s":1000.0', b'"created_s":"1000"', "created_s"),
    ],
)
def test_a_file_that_says_something_else_is_refused(
    before: bytes, after: bytes, words: str | None
) -> None:
    content = ring().to_bytes().replace(before, after)
    assert content != ring().to_bytes()
    if words is None:  # what a later version adds is passed over
        assert KeyRing.from_bytes(content) == ring()
    else:
        with pytest.raises(ValueError, match=words):
            KeyRing.from_bytes(content)


def test_a_file_with_two_keys_of_one_id_is_refused() -> None:
    twice = KeyRing((*ring().records, *ring().records))
    with pytest.raises(ValueError, match="two keys of one id"):
        KeyRing.from_bytes(twice.to_bytes())


def test_an_old_secret_holds_for_the_overlap() -> None:
    rotated = ring().rotated(ID, digest(2), overlap_s=30.0, now_s=NOW_S + 1)
    assert until_s(rotated) == [None, NOW_S + 31]
    assert rotated.find(ID).key.secrets[0].digest == digest(2)


def test_a_second_rotation_gives_an_old_secret_no_more_time() -> None:
    rotated = ring().rotated(ID, digest(2), overlap_s=30.0, now_s=NOW_S)
    again = rotated.rotated(ID, digest(3), overlap_s=3_600.0, now_s=NOW_S + 1)
    assert until_s(again) == [None, NOW_S + 3_601, NOW_S + 30]


def test_a_key_has_a_bounded_number_of_secrets_and_the_oldest_goes() -> None:
    found = ring()
    for number in range(2, 3 * SECRETS_MAX):
        found = found.rotated(ID, digest(number), overlap_s=OVERLAP_S_MAX, now_s=NOW_S)
    kept = [secret.digest for secret in found.find(ID).key.secrets]
    newest = 3 * SECRETS_MAX - 1
    assert kept == [digest(newest - age) for age in range(SECRETS_MAX)]


def test_a_revoked_key_is_told_to_no_worker_and_stays_listed() -> None:
    revoked = ring().revoked(ID, now_s=NOW_S + 1)
    assert revoked.keys() == []
    assert revoked.find(ID).revoked_s == NOW_S + 1


def test_to_revoke_a_key_twice_changes_nothing() -> None:
    revoked = ring().revoked(ID, now_s=NOW_S)
    assert revoked.revoked(ID, now_s=NOW_S + 9) is revoked


def test_a_key_that_is_over_gets_no_new_secret() -> None:
    revoked = ring().revoked(ID, now_s=NOW_S)
    for found, now_s in ((revoked, NOW_S), (ring(), NOW_S + 60)):
        with pytest.raises(InvalidRequest, match="create another"):
            found.rotated(ID, digest(2), overlap_s=1.0, now_s=now_s)


def test_a_key_that_there_is_not_is_not_found() -> None:
    with pytest.raises(NotFound):
        ring().revoked("bbbbbbbbbb", now_s=NOW_S)
    with pytest.raises(NotFound):
        ring().rotated("bbbbbbbbbb", digest(2), overlap_s=1.0, now_s=NOW_S)


def full() -> KeyRing:
    """As many as there may be, each as large as it may be."""
    terms = Terms(
        tenant="\u00e9" * (TENANT_BYTES_MAX // 2),
        classes=tuple(f"{number:063}" for number in range(CLASSES_MAX)),
        requests_per_minute=LIMIT_MAX,
        concurrent=LIMIT_MAX,
        expires_s=TIME_S_MAX - 0.123456,
        note=NOTE_BYTES_MAX * "n",
    )
    found = KeyRing().created(ID, digest(1), terms, now_s=NOW_S)
    for number in range(SECRETS_MAX):
        found = found.rotated(ID, digest(number), overlap_s=0.123456789, now_s=NOW_S)
    (record,) = found.used({ID: NOW_S + 0.123456}).records
    return KeyRing(tuple(replace(record, id=f"{number:0{ID_CHARS}}") for number in range(KEYS_MAX)))


def test_as_many_keys_as_there_may_be_are_read_again() -> None:
    content = full().to_bytes()
    assert len(content) <= RING_BYTES_MAX
    assert len(KeyRing.from_bytes(content).records) == KEYS_MAX


def test_where_there_is_no_room_the_oldest_key_goes_that_is_over() -> None:
    found = full()
    with pytest.raises(InvalidRequest, match="there are 1,000 keys: revoke one"):
        found.created(ID, digest(1), TERMS, now_s=NOW_S)
    one = found.revoked("0000000007", now_s=NOW_S).revoked("0000000003", now_s=NOW_S + 1)
    made = one.created(ID, digest(1), TERMS, now_s=NOW_S + 2)
    assert len(made.records) == KEYS_MAX
    assert made.records[-1].id == ID
    ids = {record.id for record in made.records}
    assert ids & {"0000000007", "0000000003"} == {"0000000007"}


def test_a_use_that_was_known_before_takes_nothing_back() -> None:
    found = ring().used({ID: NOW_S})
    assert found.used({ID: NOW_S - 1}) == found
    assert found.used({}) == found


def test_new_keys_take_the_place_of_lost_ones() -> None:
    assert not KeyRing(lost=True).created(ID, digest(1), TERMS, now_s=NOW_S).lost
