"""How a client waits between the attempts of a call."""

import random
import time

import grpc

from turnout.retry import Call
from turnout.status import error_of


def pause_s(call: Call, raised: grpc.RpcError) -> float:
    """How long until the next attempt; raises the error where there must be none."""
    error = error_of(raised)
    wait_s = call.wait_s(error, now_s=time.monotonic(), random=random.random())
    if wait_s is None:
        raise error from raised
    return wait_s
