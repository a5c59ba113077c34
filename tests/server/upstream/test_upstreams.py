"""The protocols in which endpoints are asked: each has the models that speak it."""

from typing import get_args

import pytest

from server.config.models import ModelConfig
from server.routing.catalog import compile_catalog
from server.upstream.upstreams import Upstreams
from tests.server.routing.configs import config, model


def upstreams() -> Upstreams:
    return Upstreams({}, now_s=lambda: 0.0)


URL = "https://models.example/v1"  # no address of OIP, which would refuse it
PROTOCOLS = get_args(ModelConfig.model_fields["protocol"].annotation)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_every_protocol_of_the_configuration_is_spoken(protocol: str) -> None:
    endpoint = URL if protocol == "openai" else "127.0.0.1:1"
    catalog = compile_catalog(config(model("m", protocol=protocol, endpoints=(endpoint,))))
    made = upstreams()
    await made.track(catalog.models)
    assert protocol in made.exchanges.whole
    await made.close()


async def test_what_speaks_openai_is_loaded_when_a_model_is_to_be_asked_with_it() -> None:
    callers_ask = compile_catalog(config(model("text", protocol="openai", endpoints=())))
    we_ask = compile_catalog(config(model("text", protocol="openai", endpoints=(URL,))))
    made = upstreams()
    await made.track(callers_ask.models)
    assert "openai" not in made.exchanges.whole
    await made.track(we_ask.models)
    assert "openai" in made.exchanges.whole
    await made.close()


async def test_a_protocol_is_told_of_no_model_that_speaks_another() -> None:
    catalog = compile_catalog(config(model("text", protocol="openai", endpoints=(URL,))))
    made = upstreams()
    await made.track(catalog.models)
    await made.close()
