"""Keys as they travel to workers."""

from collections.abc import Iterator

from server.control.key_ring import KeyRing
from server.control.protocol import PROTOCOL
from server.routing.keys import KeptSecret, Key
from turnout.v1 import control_pb2 as pb


def key_set(ring: KeyRing | None, *, epoch: int, number: int) -> pb.WatchKeysResponse:
    """What workers are to have in force; None: no key was ever made."""
    told = pb.WatchKeysResponse(protocol=PROTOCOL, epoch=epoch, number=number)
    if ring is not None:
        told.made, told.lost = True, ring.lost
        told.keys.extend(map(_caller_key, ring.keys()))
    return told


def keys_of(told: pb.WatchKeysResponse) -> list[Key] | None:
    """What `key_set` was made of; None: no key was ever made."""
    return list(_keys(told)) if told.made else None


def _caller_key(key: Key) -> pb.CallerKey:
    return pb.CallerKey(
        id=key.id,
        tenant=key.tenant,
        secrets=[pb.KeySecret(digest=d, until_s=until_s) for d, until_s in key.secrets],
        classes=sorted(key.classes),
        requests_per_minute=key.requests_per_minute,
        concurrent=key.concurrent,
        expires_s=key.expires_s,
    )


def _keys(told: pb.WatchKeysResponse) -> Iterator[Key]:
    for one in told.keys:
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
