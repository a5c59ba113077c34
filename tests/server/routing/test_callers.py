import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.callers import CallersConfig
from server.config.listeners import ListenersConfig, TlsConfig
from server.config.schema import Config
from server.routing.callers import Callers, Shown
from server.routing.errors import (
    KeyAmbiguous,
    KeyClass,
    KeyExpired,
    KeyMissing,
    KeyRate,
    KeyTenant,
    KeyUnknown,
    RoutingError,
)
from server.routing.keys import KEYS_MAX, SECRETS_MAX, KeptSecret, Key, digest_of, whole
from tests.server.routing.configs import config

NOW_S = 1_000.0
TLS = TlsConfig(cert_file="/c", key_file="/k", client_ca_file="/a")
CERTIFIED = ListenersConfig(data="0.0.0.0:7080", tls=TLS)


def secret(number: int = 1, id_: str = "aaaaaaaaaa") -> str:
    return whole(id_, f"{number:043}")


def key(*secrets: str, id_: str = "aaaaaaaaaa", tenant: str = "team-a", **more: object) -> Key:
    kept = tuple(KeptSecret(digest_of(one)) for one in secrets or (secret(),))
    return Key(id_, tenant, kept, **more)  # type: ignore[arg-type] # each test says what it needs


def bearer(*shown: str) -> Shown:
    return Shown([f"Bearer {one}" for one in shown])


def configured(
    *,
    anonymous: bool | None = None,
    listeners: ListenersConfig | None = None,
    certificates: dict[str, str] | None = None,
) -> Config:
    callers = CallersConfig(anonymous=anonymous, tenants_by_certificate=certificates or {})
    return config().model_copy(
        update={"callers": callers, "listeners": listeners or ListenersConfig()}
    )


def callers(*keys: Key, anonymous: bool | None = None) -> Callers:
    made = Callers()
    made.configure(configured(anonymous=anonymous))
    made.put_in_force(keys)
    return made


def test_nothing_is_looked_at_where_nobody_needs_a_name_and_nobody_has_one() -> None:
    made = Callers()
    made.configure(configured())
    made.put_in_force(None)
    assert not made.is_on


def test_keys_are_looked_at_once_one_was_made_even_where_none_is_left() -> None:
    made = Callers()
    made.configure(configured())
    made.put_in_force([])
    assert made.is_on
    with pytest.raises(KeyUnknown):
        made.find(bearer(secret()), now_s=NOW_S)


def test_a_key_is_its_tenants() -> None:
    found = callers(key()).find(bearer(secret()), now_s=NOW_S)
    assert found.tenant == "team-a"


def test_the_scheme_is_written_as_one_likes() -> None:
    made = callers(key())
    for scheme in ("bearer", "BEARER", "Bearer  "):
        assert made.find(Shown([f"{scheme} {secret()}"]), now_s=NOW_S).tenant == "team-a"


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Bearer",
        secret(),
        f"Basic {secret()}",
        f"Bearer {secret(2)}",
        f"Bearer {secret(1, 'bbbbbbbbbb')}",
        f"Bearer {secret()}x",
        f"Bearer {secret()[:-1]}",
        f"Bearer {secret()} {secret()}",
        "Bearer sk-unused",
        f"Bearer {secret().upper()}",
        "Bearer tk_aaaaaaaaaa_" + 43 * "\u0661",
        "Bearer " + 10_000 * "x",
    ],
)
@pytest.mark.parametrize("anonymous", [True, False])
def test_what_is_no_key_in_force_is_refused_also_where_none_is_needed(
    shown: str, *, anonymous: bool
) -> None:
    with pytest.raises(KeyUnknown):
        callers(key(), anonymous=anonymous).find(Shown([shown]), now_s=NOW_S)


def test_a_revoked_key_is_unknown() -> None:
    made = callers(key())
    made.put_in_force([])
    with pytest.raises(KeyUnknown):
        made.find(bearer(secret()), now_s=NOW_S)


def test_a_key_ends_with_its_time() -> None:
    made = callers(key(expires_s=NOW_S))
    made.find(bearer(secret()), now_s=NOW_S - 0.001)
    with pytest.raises(KeyExpired):
        made.find(bearer(secret()), now_s=NOW_S)


def test_two_secrets_of_a_key_hold_until_the_older_ones_time_is_over() -> None:
    secrets = (KeptSecret(digest_of(secret(2))), KeptSecret(digest_of(secret(1)), until_s=NOW_S))
    made = callers(Key("aaaaaaaaaa", "team-a", secrets))
    for number in (1, 2):
        made.find(bearer(secret(number)), now_s=NOW_S - 0.001)
    made.find(bearer(secret(2)), now_s=NOW_S)
    with pytest.raises(KeyExpired, match="use the newer one"):
        made.find(bearer(secret(1)), now_s=NOW_S)


def test_two_keys_at_once_are_refused_though_both_are_good() -> None:
    second = key(secret(1, "bbbbbbbbbb"), id_="bbbbbbbbbb", tenant="team-b")
    with pytest.raises(KeyAmbiguous):
        callers(key(), second).find(bearer(secret(), secret(1, "bbbbbbbbbb")), now_s=NOW_S)


def test_where_keys_are_needed_who_shows_none_is_told_how() -> None:
    with pytest.raises(KeyMissing, match="authorization: Bearer KEY"):
        callers(anonymous=False).find(Shown(), now_s=NOW_S)


def test_beyond_this_machine_keys_are_needed_unless_the_file_says_otherwise() -> None:
    made = Callers()
    beyond = ListenersConfig(data="0.0.0.0:7080")
    made.configure(configured(listeners=beyond))
    with pytest.raises(KeyMissing):
        made.find(Shown(), now_s=NOW_S)
    made.configure(configured(listeners=beyond, anonymous=True))
    made.find(Shown(), now_s=NOW_S)


def test_who_has_shown_a_certificate_needs_no_key() -> None:
    made = Callers()
    made.configure(configured(listeners=CERTIFIED, anonymous=False))
    assert made.find(Shown(certificate=["a.example"]), now_s=NOW_S).tenant is None


def test_a_certificate_is_its_tenants() -> None:
    made = Callers()
    made.configure(configured(listeners=CERTIFIED, certificates={"a.example": "team-a"}))
    shown = Shown(certificate=["other.example", "a.example"])
    assert made.find(shown, now_s=NOW_S).tenant == "team-a"


def test_a_certificate_of_two_tenants_is_nobodys() -> None:
    made = Callers()
    bound = {"a.example": "team-a", "b.example": "team-b"}
    made.configure(configured(listeners=CERTIFIED, certificates=bound))
    with pytest.raises(KeyAmbiguous):
        made.find(Shown(certificate=list(bound)), now_s=NOW_S)


@pytest.mark.parametrize("tenant", ["team-a", "team-b"])
def test_a_key_is_of_the_tenant_of_the_certificate_that_is_shown_with_it(tenant: str) -> None:
    made = Callers()
    made.configure(configured(listeners=CERTIFIED, certificates={"a.example": "team-a"}))
    made.put_in_force([key(tenant=tenant)])
    shown = bearer(secret())._replace(certificate=["a.example"])
    if tenant == "team-a":
        assert made.find(shown, now_s=NOW_S).tenant == "team-a"
    else:
        with pytest.raises(KeyAmbiguous):
            made.find(shown, now_s=NOW_S)


def test_the_holder_of_a_key_is_no_other_tenant() -> None:
    found = callers(key()).find(bearer(secret()), now_s=NOW_S)
    assert [found.claim(said, field="f") for said in ("", "team-a")] == ["team-a", "team-a"]
    with pytest.raises(KeyTenant) as caught:
        found.claim("team-b", field="context.tenant")
    assert caught.value.field == "context.tenant"


def test_who_shows_nothing_is_no_tenant_that_has_a_key_or_a_certificate() -> None:
    made = Callers()
    made.configure(configured(certificates={"c.example": "team-c"}))
    made.put_in_force([key()])
    unnamed = made.find(Shown(), now_s=NOW_S)
    assert [unnamed.claim(said, field="f") for said in ("", "team-b")] == ["", "team-b"]
    for said in ("team-a", "team-c"):
        with pytest.raises(KeyTenant):
            unnamed.claim(said, field="f")


def test_a_key_is_for_its_classes() -> None:
    made = callers(key(classes=frozenset({"support", "search"})))
    found = made.find(bearer(secret()), now_s=NOW_S)
    found.hold_class("search")
    with pytest.raises(KeyClass, match="not for class legal: it is for search, support"):
        found.hold_class("legal")
    callers(key()).find(bearer(secret()), now_s=NOW_S).hold_class("legal")


def test_what_a_key_has_asked_still_counts_when_others_are_put_in_force() -> None:
    limited = key(requests_per_minute=2)
    made = callers(limited)
    made.find(bearer(secret()), now_s=NOW_S).spend(2, now_s=NOW_S)
    made.put_in_force([limited, key(secret(1, "bbbbbbbbbb"), id_="bbbbbbbbbb")])
    with pytest.raises(KeyRate):
        made.find(bearer(secret()), now_s=NOW_S).spend(1, now_s=NOW_S)


def test_it_is_known_when_a_key_was_used_last() -> None:
    made = callers(key(), key(secret(1, "bbbbbbbbbb"), id_="bbbbbbbbbb"))
    made.find(bearer(secret()), now_s=NOW_S).spend(1, now_s=NOW_S)
    (used,) = made.used(since_s=0.0)
    assert (used.key_id, used.used_s, used.usage.requests) == ("aaaaaaaaaa", NOW_S, 1)
    assert made.used(since_s=NOW_S + 1) == []


def test_no_more_is_remembered_than_the_keys_that_are_in_force() -> None:
    made = Callers()
    for start in (0, KEYS_MAX):
        ids = [f"{number:010}" for number in range(start, start + KEYS_MAX)]
        made.put_in_force(key(secret(1, id_), id_=id_) for id_ in ids)
        for id_ in ids:
            made.find(bearer(secret(1, id_)), now_s=NOW_S).spend(1, now_s=NOW_S)
    assert len(made.used(since_s=0.0)) == KEYS_MAX


@pytest.mark.parametrize("place", range(SECRETS_MAX))
def test_every_secret_that_is_kept_is_found(place: int) -> None:
    secrets = [secret(number) for number in range(SECRETS_MAX)]
    found = callers(key(*secrets)).find(bearer(secrets[place]), now_s=NOW_S)
    assert found.tenant == "team-a"


def test_no_error_says_what_was_shown() -> None:
    made = callers(key(expires_s=NOW_S - 1), anonymous=False)
    for shown in (secret(), secret(7), "hunter2"):
        with pytest.raises(RoutingError) as caught:
            made.find(bearer(shown), now_s=NOW_S)
        assert shown not in str(caught.value)


shown_texts = st.one_of(
    st.text(max_size=80),
    st.builds("{} {}".format, st.sampled_from(["Bearer", "bearer", "Basic", ""]), st.text()),
    st.builds("Bearer tk_aaaaaaaaaa_{}".format, st.text(st.characters(codec="ascii"), max_size=50)),
)


@given(st.lists(shown_texts, min_size=1, max_size=3), st.lists(st.text(max_size=20), max_size=3))
def test_whatever_is_shown_is_nobody_unless_it_is_a_key(
    authorization: list[str], certificate: list[str]
) -> None:
    with pytest.raises((KeyUnknown, KeyAmbiguous)):
        callers(key()).find(Shown(authorization, certificate), now_s=NOW_S)


@given(st.integers(0, 42), st.sampled_from("abz09-_"))
def test_a_key_with_another_character_is_no_key(place: int, other: str) -> None:
    right = secret()
    at = len(right) - 43 + place
    wrong = right[:at] + other + right[at + 1 :]
    if wrong != right:
        with pytest.raises(KeyUnknown):
            callers(key()).find(bearer(wrong), now_s=NOW_S)
