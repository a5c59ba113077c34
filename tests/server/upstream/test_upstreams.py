"""The protocols in which endpoints are asked: each has the models that speak it."""

from server.routing.catalog import FORWARDED, compile_catalog
from server.upstream.upstreams import Upstreams
from tests.server.routing.configs import config, model


def test_infer_forwards_by_the_protocols_that_we_speak() -> None:
    assert Upstreams().exchanges.whole.keys() == FORWARDED


async def test_a_protocol_is_told_of_no_model_that_speaks_another() -> None:
    url = "https://models.example/v1"  # no address of OIP, which would refuse it
    catalog = compile_catalog(config(model("text", protocol="openai", endpoints=(url,))))
    upstreams = Upstreams()
    upstreams.track(catalog.models)
    await upstreams.close()
