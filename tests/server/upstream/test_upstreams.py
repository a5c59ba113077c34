"""The protocols in which endpoints are asked: each has the models that speak it."""

from typing import get_args

from server.config.models import ModelConfig
from server.routing.catalog import compile_catalog
from server.upstream.upstreams import Upstreams
from tests.server.routing.configs import config, model


def upstreams() -> Upstreams:
    return Upstreams({}, now_s=lambda: 0.0)


def test_every_protocol_of_the_configuration_is_spoken() -> None:
    protocols = get_args(ModelConfig.model_fields["protocol"].annotation)
    assert upstreams().exchanges.whole.keys() == set(protocols)


async def test_a_protocol_is_told_of_no_model_that_speaks_another() -> None:
    url = "https://models.example/v1"  # no address of OIP, which would refuse it
    catalog = compile_catalog(config(model("text", protocol="openai", endpoints=(url,))))
    made = upstreams()
    made.track(catalog.models)
    await made.close()
