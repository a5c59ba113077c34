"""What routing is told, from headers, the model's name and the metadata of a body."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from server.door.context import NAMES, context_of
from server.routing.errors import ClassAmbiguous, InvalidRequest, RoutingError, UnknownClass
from server.rpc.openai_chat import Chat
from turnout.v1 import routing_pb2 as pb

CLASSES = frozenset({"chat", "strict"})


def told(
    *headers: tuple[str, str], model: str = "auto", user: str = "", **metadata: str
) -> pb.RequestContext:
    named = {key.replace("_", "-"): value for key, value in metadata.items()}
    chat = Chat("", "", 1, 0, (), "", model=model, user=user, metadata=named)
    return context_of(CIMultiDictProxy(CIMultiDict(headers)), chat, CLASSES)


def test_nothing_said_is_nothing_told() -> None:
    assert told() == told(model="") == pb.RequestContext()


def test_headers_say_all_that_a_context_has() -> None:
    context = told(
        ("X-Turnout-Class", "strict"),
        ("X-Turnout-Tenant", "acme"),
        ("X-Turnout-User", "ada"),
        ("X-Turnout-Labels", "app=a%2Cb, team = red"),
        ("X-Turnout-Priority", "-7"),
    )
    assert context == pb.RequestContext(
        traffic_class="strict",
        tenant="acme",
        user="ada",
        labels={"app": "a,b", "team": "red"},
        priority=-7,
    )


def test_metadata_say_the_same_and_what_else_they_say_are_labels() -> None:
    context = told(
        x_turnout_class="strict", x_turnout_tenant="acme", x_turnout_labels="a=1", app="x"
    )
    assert context == pb.RequestContext(
        traffic_class="strict", tenant="acme", labels={"a": "1", "app": "x"}
    )


def test_a_class_is_the_name_of_a_model() -> None:
    assert told(model="strict").traffic_class == "strict"
    assert told(("x-turnout-class", "strict"), model="strict").traffic_class == "strict"


def test_the_user_of_the_body_is_the_user_unless_a_header_says_another() -> None:
    assert told(user="ada").user == "ada"
    assert told(("x-turnout-user", "bob"), user="ada").user == "bob"


def test_what_is_said_twice_alike_is_said_once() -> None:
    assert told(("x-turnout-tenant", "acme"), x_turnout_tenant="acme").tenant == "acme"


@pytest.mark.parametrize(
    ("headers", "model", "metadata", "error", "field"),
    [
        ((), "gpt-4o", {}, UnknownClass, "model"),
        ((("x-turnout-class", "gpt-4o"),), "auto", {}, UnknownClass, "x-turnout-class"),
        ((("x-turnout-class", "strict"),), "chat", {}, ClassAmbiguous, "x-turnout-class"),
        (
            (("x-turnout-tenant", "a"), ("x-turnout-tenant", "b")),
            "auto",
            {},
            InvalidRequest,
            "x-turnout-tenant",
        ),
        (
            (("x-turnout-tenant", "a"),),
            "auto",
            {"x_turnout_tenant": "b"},
            InvalidRequest,
            "x-turnout-tenant",
        ),
        ((("x-turnout-labels", "app"),), "auto", {}, InvalidRequest, "x-turnout-labels"),
        ((("x-turnout-labels", "=a"),), "auto", {}, InvalidRequest, "x-turnout-labels"),
        ((("x-turnout-priority", "high"),), "auto", {}, InvalidRequest, "x-turnout-priority"),
        ((("x-turnout-priority", "2147483648"),), "auto", {}, InvalidRequest, "x-turnout-priority"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(
    headers: tuple[tuple[str, str], ...],
    model: str,
    metadata: dict[str, str],
    error: type[RoutingError],
    field: str,
) -> None:
    with pytest.raises(error) as refused:
        told(*headers, model=model, **metadata)
    assert refused.value.field == field


@given(
    st.lists(st.tuples(st.sampled_from(sorted(NAMES)), st.text(max_size=30)), max_size=6),
    st.text(max_size=10),
)
def test_any_headers_make_a_context_or_are_refused(
    headers: list[tuple[str, str]], model: str
) -> None:
    with suppress(RoutingError):
        told(*headers, model=model)
