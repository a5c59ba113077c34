"""Who asks: found by the key or the certificate that is shown, held to what they may ask."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from server.config.callers import may_be_unnamed, may_be_unnamed_at_the_door
from server.config.schema import Config
from server.routing.allowance import Allowance
from server.routing.decision_id import owner_tag
from server.routing.errors import (
    DecisionTenant,
    KeyAmbiguous,
    KeyClass,
    KeyExpired,
    KeyMissing,
    KeyTenant,
    KeyUnknown,
)
from server.routing.key_usage import KeyUsage
from server.routing.keys import Key, digest_of, id_of

_SCHEME = "bearer"
_HOW = "'authorization: Bearer KEY'"


class Shown(NamedTuple):
    """What a call shows of its caller."""

    authorization: Sequence[str] = ()  # each value of the header
    # Names in the certificate of its connection, which an authority of ours has signed.
    certificate: Sequence[str] = ()


@dataclass(slots=True)
class Caller:
    """One that a worker knows, with what it has asked of that worker lately."""

    tenant: str | None = None  # None: unnamed, or a certificate that is bound to none
    classes: frozenset[str] = frozenset()  # empty: all
    bound: Container[str] = ()  # tenants that somebody else is, who has a name for it
    allowance: Allowance = field(default_factory=Allowance)
    used_s: float | None = None
    key_id: str = ""  # of the key that it showed, if it was one
    usage: KeyUsage = field(default_factory=KeyUsage)

    def spend(self, requests: int, *, now_s: float) -> None:
        """Counts requests; raises KeyRate, and then none is counted."""
        self.allowance.spend(requests, now_s=now_s)
        self.usage.count_requests(requests, now_s)
        self.used_s = now_s

    def enter(self) -> None:
        """Counts a call that takes its time, until it leaves; raises KeyBusy."""
        self.allowance.enter()

    def leave(self) -> None:
        """The call has ended."""
        self.allowance.leave()

    @contextmanager
    def calling(self, *, now_s: float) -> Iterator[None]:
        """Counts one request as a call that takes its time; raises KeyBusy or KeyRate."""
        self.enter()
        try:
            self.spend(1, now_s=now_s)
            yield
        finally:
            self.leave()

    def hold_class(self, name: str) -> None:
        """Raises KeyClass."""
        if self.classes and name not in self.classes:
            raise KeyClass(
                f"the key is not for class {name}: it is for {', '.join(sorted(self.classes))}"
            )

    @property
    def owner(self) -> bytes:
        """As ids of decisions have it; empty of somebody without a name."""
        return b"" if self.tenant is None else owner_tag(self.tenant)

    def hold_owner(self, owner: bytes) -> None:
        """Raises DecisionTenant for a decision that was made for another tenant.

        On one that was made for nobody with a name everybody may report.
        """
        if owner and owner != self.owner:
            raise DecisionTenant(
                "the decision was made for another tenant: report on it with that tenant's key",
                field="decision_id",
            )

    def claim(self, tenant: str, *, field: str) -> str:
        """Whose a request is that names this tenant, or none; raises KeyTenant, with the field."""
        if self.tenant is None:
            if tenant in self.bound:
                raise KeyTenant("this tenant is known by its keys: show one of them", field=field)
            return tenant
        if tenant not in ("", self.tenant):
            raise KeyTenant(
                f"the caller is tenant {self.tenant!r}: say so, or leave it out", field=field
            )
        return self.tenant


class _EveryTenant:
    def __contains__(self, tenant: object) -> bool:
        return bool(tenant)


_EVERY_TENANT = _EveryTenant()


class Callers:
    """Everyone that one worker knows: at most as many as there are keys and certificates."""

    def __init__(self, *, workers: int = 1) -> None:
        # False: nobody needs a name and nobody has one, so that nothing need be looked at.
        self.is_on = False
        self._workers = workers
        self._keys: Mapping[str, Key] = {}
        self._by_id: dict[str, Caller] = {}
        self._by_certificate: dict[str, Caller] = {}
        self._unnamed = Caller()
        self._has_keys = False
        self._lost = False
        self._unnamed_may_ask = self._unnamed_may_ask_the_door = True

    def configure(self, config: Config) -> None:
        """Puts in force whom a configuration lets ask."""
        tenants = config.callers.tenants_by_certificate
        self._by_certificate = {name: Caller(tenant) for name, tenant in tenants.items()}
        self._unnamed_may_ask = may_be_unnamed(config.callers, config.listeners)
        self._unnamed_may_ask_the_door = may_be_unnamed_at_the_door(
            config.callers, config.listeners
        )
        self._settle()

    def put_in_force(self, keys: Iterable[Key] | None, *, lost: bool = False) -> None:
        """Puts these keys in force and no others; None: no key was ever made.

        What a key has asked by now still counts. If there are `lost` ones, who shows none is
        believed to be no tenant: it may be one of theirs.
        """
        self._lost = lost
        self._has_keys = keys is not None
        self._keys = {key.id: key for key in keys or ()}
        before, self._by_id = self._by_id, {}
        for key in self._keys.values():
            caller = before.get(key.id) or Caller(key_id=key.id)
            caller.tenant, caller.classes = key.tenant, key.classes
            caller.allowance.tune(key.requests_per_minute, key.concurrent, workers=self._workers)
            self._by_id[key.id] = caller
        self._settle()

    def find(self, shown: Shown, *, now_s: float, at_the_door: bool = False) -> Caller:
        """Raises KeyMissing, KeyUnknown, KeyExpired or KeyAmbiguous; what is shown is not told."""
        certified = self._certified(shown.certificate)
        if shown.authorization:
            named = self._named(shown.authorization, now_s)
            if certified is not None and certified.tenant != named.tenant:
                raise KeyAmbiguous("the key and the certificate are of two tenants: show one")
            return named
        if certified is not None:
            return certified
        if not (self._unnamed_may_ask_the_door if at_the_door else self._unnamed_may_ask):
            raise KeyMissing(f"a key is needed: send {_HOW}, 'turnout keys create' makes one")
        return self._unnamed

    def used(self, *, since_s: float) -> list[Caller]:
        """Whoever showed a key, of which something was counted since then."""
        return [
            caller
            for caller in self._by_id.values()
            if caller.usage.changed_s is not None and caller.usage.changed_s >= since_s
        ]

    def _settle(self) -> None:
        unnamed_may_ask = self._unnamed_may_ask and self._unnamed_may_ask_the_door
        self.is_on = self._has_keys or bool(self._by_certificate) or not unnamed_may_ask
        tenants = {key.tenant for key in self._keys.values()}
        tenants.update(c.tenant for c in self._by_certificate.values() if c.tenant is not None)
        self._unnamed = Caller(bound=_EVERY_TENANT if self._lost else frozenset(tenants))

    def _named(self, authorization: Sequence[str], now_s: float) -> Caller:
        if len(authorization) > 1:
            raise KeyAmbiguous(f"two keys are given: send {_HOW} once")
        scheme, _, key = authorization[0].strip().partition(" ")
        id_ = id_of(key.strip()) if scheme.lower() == _SCHEME else None
        found = None if id_ is None else self._keys.get(id_)
        if id_ is None or found is None:
            raise _unknown()
        secret = found.find(digest_of(key.strip()))
        if secret is None:
            raise _unknown()
        if found.expires_s is not None and now_s >= found.expires_s:
            raise KeyExpired("the key has expired: ask an operator for another")
        if secret.until_s is not None and now_s >= secret.until_s:
            raise KeyExpired("another secret has taken this one's place: use the newer one")
        return self._by_id[id_]

    def _certified(self, names: Sequence[str]) -> Caller | None:
        """Who has this certificate; None where no name of it is bound to a tenant."""
        found = {name: self._by_certificate[name] for name in names if name in self._by_certificate}
        if len({caller.tenant for caller in found.values()}) > 1:
            raise KeyAmbiguous("the certificate has names of two tenants: show another")
        return next(iter(found.values()), None)


def _unknown() -> KeyUnknown:
    return KeyUnknown(f"no such key is in force: it is mistyped or revoked; send {_HOW}")
