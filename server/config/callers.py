"""Who may ask, by the names that callers show: keys and certificates."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from server.config.listeners import ListenersConfig
from server.config.section import Section, Text

CERTIFICATES_MAX = 1_000

_CERTIFICATES = Field(max_length=CERTIFICATES_MAX)
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\]):\d+")


class CallersConfig(Section):
    """Who may ask for inference. Keys are made while it runs: turnout keys create."""

    anonymous: bool | None = None
    """True: without a key too; false: with one; unless given, without one on this machine."""
    tenants_by_certificate: Annotated[Mapping[str, Text], _CERTIFICATES] = {}
    """Whose a client certificate is: a name in it (DNS, URI or common name), and the tenant."""


def is_local(address: str) -> bool:
    """Whether only this machine reaches it."""
    return address.startswith("unix:") or _LOOPBACK.fullmatch(address) is not None


def shows_certificates(listeners: ListenersConfig) -> bool:
    """Whether everyone at the data listener has shown a certificate of our authority."""
    tls = listeners.tls
    is_tcp = not listeners.data.startswith("unix:")
    return is_tcp and tls is not None and tls.client_ca_file is not None


def may_be_unnamed(callers: CallersConfig, listeners: ListenersConfig) -> bool:
    """Whether the data listener answers who shows no key."""
    return shows_certificates(listeners) or _anonymous(callers, listeners.data)


def may_be_unnamed_at_the_door(callers: CallersConfig, listeners: ListenersConfig) -> bool:
    """Whether the door answers who shows no key; true where there is no door."""
    return listeners.openai is None or _anonymous(callers, listeners.openai)


def _anonymous(callers: CallersConfig, address: str) -> bool:
    return is_local(address) if callers.anonymous is None else callers.anonymous
