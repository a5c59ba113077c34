"""What operators say of keys, and what they are told."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from google.protobuf.timestamp_pb2 import Timestamp

from server.config.diagnostics import did_you_mean
from server.control.key_ring import (
    CLASSES_MAX,
    LIMIT_MAX,
    NOTE_BYTES_MAX,
    OVERLAP_S_MAX,
    TENANT_BYTES_MAX,
    KeyRecord,
    Terms,
)
from server.control.messages import timestamp
from server.control.plane import ControlPlane
from server.routing.errors import InvalidRequest
from server.rpc.author import author_of
from server.rpc.errors import Context
from turnout.v1 import admin_pb2 as pb

# As long as a revocation may take to reach every worker.
FOLLOWED_S_MAX = 5.0
_LOOK_S = 0.02


async def create_key(
    plane: ControlPlane, request: pb.CreateKeyRequest, context: Context
) -> pb.CreateKeyResponse:
    """Raises InvalidRequest."""
    now_s = plane.now_s()
    terms = terms_of(request.key, [one.name for one in plane.config.classes], now_s=now_s)
    record, secret = await plane.keys.create(terms, by=author_of(context))
    key = key_message(record, now_s=now_s)
    return pb.CreateKeyResponse(key=key, secret=secret, behind=await _behind(plane))


def list_keys(plane: ControlPlane) -> pb.ListKeysResponse:
    """The newest first."""
    ring, now_s = plane.keys.ring, plane.now_s()
    keys = [key_message(record, now_s=now_s) for record in reversed(ring.records)]
    for key in keys:
        total = plane.keys.totals.of(key.id)
        key.requests, key.cost_nano_usd = total.requests, total.cost_nano_usd
        key.input_tokens, key.output_tokens = total.input_tokens, total.output_tokens
    return pb.ListKeysResponse(keys=keys, lost=ring.lost)


async def rotate_key(
    plane: ControlPlane, request: pb.RotateKeyRequest, context: Context
) -> pb.RotateKeyResponse:
    """Raises NotFound or InvalidRequest."""
    overlap_s = request.overlap.seconds + request.overlap.nanos * 1e-9
    if not 0 <= overlap_s <= OVERLAP_S_MAX:
        days = OVERLAP_S_MAX // 86_400
        raise InvalidRequest(f"must be from 0 to {days} days", field="overlap")
    record, secret = await plane.keys.rotate(request.id, overlap_s=overlap_s, by=author_of(context))
    key = key_message(record, now_s=plane.now_s())
    return pb.RotateKeyResponse(key=key, secret=secret, behind=await _behind(plane))


async def revoke_key(
    plane: ControlPlane, request: pb.RevokeKeyRequest, context: Context
) -> pb.RevokeKeyResponse:
    """Raises NotFound."""
    record = await plane.keys.revoke(request.id, by=author_of(context))
    key = key_message(record, now_s=plane.now_s())
    return pb.RevokeKeyResponse(key=key, behind=await _behind(plane))


def terms_of(key: pb.Key, classes: Collection[str], *, now_s: float) -> Terms:
    """What a key that is to be made allows; raises InvalidRequest for the first mistake."""
    for field, fault in _faults(key, classes, now_s):
        raise InvalidRequest(fault, field=f"key.{field}")
    return Terms(
        tenant=key.tenant,
        classes=tuple(dict.fromkeys(key.classes)),
        requests_per_minute=_given(key, "requests_per_minute"),
        concurrent=_given(key, "concurrent"),
        expires_s=key.expires.ToNanoseconds() * 1e-9 if key.HasField("expires") else None,
        note=key.note,
    )


def _faults(key: pb.Key, classes: Collection[str], now_s: float) -> Iterator[tuple[str, str]]:
    if not key.tenant:
        yield "tenant", "is missing: say whose requests they will be"
    yield from _text_faults("tenant", key.tenant, TENANT_BYTES_MAX)
    yield from _text_faults("note", key.note, NOTE_BYTES_MAX)
    if len(key.classes) > CLASSES_MAX:
        yield "classes", f"more than {CLASSES_MAX}: leave them out, and it is for all"
    for name in key.classes:
        if name not in classes:
            yield "classes", f"there is no class {name[:64]!r}: {did_you_mean(name[:64], classes)}"
    for field in ("requests_per_minute", "concurrent"):
        yield from _limit_faults(field, _given(key, field))
    if key.HasField("expires") and key.expires.ToNanoseconds() <= now_s * 1e9:
        yield "expires", "is over: name a moment to come"


def _text_faults(field: str, text: str, bytes_max: int) -> Iterator[tuple[str, str]]:
    if len(text.encode()) > bytes_max:
        yield field, f"longer than {bytes_max} bytes: shorten it"
    if not text.isprintable():
        yield field, "has characters that cannot be shown: leave them out"


def _limit_faults(field: str, limit: int | None) -> Iterator[tuple[str, str]]:
    if limit is not None and not 1 <= limit <= LIMIT_MAX:
        yield field, f"must be 1 to {LIMIT_MAX:,}: leave it out for no limit"


def _given(key: pb.Key, field: str) -> int | None:
    return getattr(key, field) if key.HasField(field) else None  # type: ignore[arg-type] # its stubs want a literal


def key_message(record: KeyRecord, *, now_s: float) -> pb.Key:
    """Everything but the hashes."""
    terms = record.terms
    overlaps = [one.until_s for one in record.secrets if one.until_s and one.until_s > now_s]
    return pb.Key(
        id=record.id,
        tenant=terms.tenant,
        classes=terms.classes,
        requests_per_minute=terms.requests_per_minute,
        concurrent=terms.concurrent,
        expires=_moment(terms.expires_s),
        note=terms.note,
        created=_moment(record.created_s),
        rotated=_moment(record.rotated_s),
        overlap_until=_moment(max(overlaps, default=None)),
        revoked=_moment(record.revoked_s),
        last_used=_moment(record.used_s),
    )


async def _behind(plane: ControlPlane) -> Sequence[str]:
    """Waits until every worker has the keys in force; those that have not in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FOLLOWED_S_MAX):
            while plane.behind_keys():  # noqa: ASYNC110 - workers push, whatever they push
                await asyncio.sleep(_LOOK_S)
    return plane.behind_keys()


def _moment(at_s: float | None) -> Timestamp | None:
    return None if at_s is None else timestamp(at_s)
