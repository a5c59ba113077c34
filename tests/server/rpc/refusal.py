"""What a refused call says."""

from collections.abc import Awaitable
from typing import NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2


class Refusal(NamedTuple):
    code: grpc.StatusCode
    reason: str
    fields: list[str]
    message: str


async def refusal(call: Awaitable[object]) -> Refusal:
    """The status of a call that has to fail, details and all."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    error = raised.value
    metadata = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    info, fields = error_details_pb2.ErrorInfo(), []
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            detail.Unpack(bad)
            fields = [violation.field for violation in bad.field_violations]
    return Refusal(error.code(), info.reason, fields, status.message)
