"""Keys as they travel to workers."""

from collections.abc import Iterator

from server.control.key_ring import KeyRing
from server.routing.keys import KeptSecret, Key
from turnout.v1 import control_pb2


def key_set(ring: KeyRing | None, number: int) -> control_pb2.KeySet:
    """What workers are to have in force; None: no key was ever made."""
    if ring is None:
        return control_pb2.KeySet(number=number)
    keys = map(_caller_key, ring.keys())
    return control_pb2.KeySet(number=number, made=True, lost=ring.lost, keys=keys)


def keys_of(keys: control_pb2.KeySet) -> list[Key] | None:
    """What `key_set` was made of; None: no key was ever made."""
    return list(_keys(keys)) if keys.made else None


def _caller_key(key: Key) -> control_pb2.CallerKey:
    return control_pb2.CallerKey(
        id=key.id,
        tenant=key.tenant,
        secrets=[control_pb2.KeySecret(digest=d, until_s=until_s) for d, until_s in key.secrets],
        classes=sorted(key.classes),
        requests_per_minute=key.requests_per_minute,
        concurrent=key.concurrent,
        expires_s=key.expires_s,
    )


def _keys(keys: control_pb2.KeySet) -> Iterator[Key]:
    for one in keys.keys:
        yield Key(
            one.id,
            one.tenant,
            tuple(
                KeptSecret(s.digest, s.until_s if s.HasField("until_s") else None)
                for s in one.secrets
            ),
            frozenset(one.classes),
            one.requests_per_minute if one.HasField("requests_per_minute") else None,
            one.concurrent if one.HasField("concurrent") else None,
            one.expires_s if one.HasField("expires_s") else None,
        )
