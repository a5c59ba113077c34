"""Both clients show the key that they were given, with each call."""

import pytest

from tests.client.both_clients import QUICK, AnyClientClass, settled
from tests.client.contract_server import ContractServicer, overloaded, serving
from turnout import NotPermitted, Unavailable
from turnout.retry import Terms
from turnout.v1.routing_pb2 import InferRequest


async def test_a_key_is_shown_with_each_call_and_each_time_it_is_sent(
    client_class: AnyClientClass, servicer: ContractServicer
) -> None:
    with serving(servicer) as address:
        client = client_class(address, key="tk_a_b", timeout_s=20, retry=QUICK)
        servicer.refusals.append(overloaded())
        await settled(client.route(traffic_class="code"))
        await settled(client.infer(b""))
        await settled(client.report("d", quality=1.0))
        await settled(client.close())
    assert servicer.authorizations == 4 * ["Bearer tk_a_b"]


async def test_without_a_key_none_is_shown(
    client_class: AnyClientClass, servicer: ContractServicer
) -> None:
    with serving(servicer) as address:
        client = client_class(address, timeout_s=20)
        await settled(client.route(traffic_class="code"))
        await settled(client.close())
    assert servicer.authorizations == []


@pytest.mark.parametrize("key", ["", "tk_a_b\n", "tk a", "tk_\u00e9"])
async def test_what_is_no_key_is_refused_without_saying_it(
    client_class: AnyClientClass, key: str
) -> None:
    with pytest.raises(ValueError, match="what 'turnout keys create' printed") as raised:
        client_class("127.0.0.1:1", key=key)
    assert not key or key not in str(raised.value)


def test_what_a_key_asks_too_fast_is_sent_again_when_it_may_even_to_models() -> None:
    call = Terms(timeout_s=60.0, retry=QUICK).call(InferRequest(), None, now_s=0.0)
    error = Unavailable("slow", reason="KEY_RATE", domain="turnout", retry_after_s=2.0)
    wait_s = call.wait_s(error, now_s=0.0, random=0.0)
    assert wait_s is not None
    assert wait_s >= 2.0


def test_no_permission_is_asked_for_twice() -> None:
    call = Terms(timeout_s=60.0, retry=QUICK).call(InferRequest(), None, now_s=0.0)
    error = NotPermitted("no", reason="KEY_CLASS", domain="turnout")
    assert call.wait_s(error, now_s=0.0, random=0.0) is None
