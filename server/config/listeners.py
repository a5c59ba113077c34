"""Where to listen, and what encrypts it."""

from server.config.section import Section


class TlsConfig(Section):
    """TLS of the listeners on TCP. The files are PEM, and read again when they change."""

    cert_file: str
    """The certificate, then those between it and its authority's."""
    key_file: str
    """Its private key, without a passphrase."""
    client_ca_file: str | None = None
    """Whoever sends requests has to show a certificate of this authority; none, unless given."""


class ListenersConfig(Section):
    """Where to listen. host:port, or unix:/PATH; port 0 takes a free one."""

    data: str = "127.0.0.1:7080"
    """For requests. For an address beyond this machine, say in callers who may ask."""
    openai: str | None = None
    """For clients of OpenAI, by HTTP; none, unless given."""
    admin: str | None = None
    """For operators; a Unix socket in the state folder, unless given."""
    admin_token_file: str | None = None
    """The file that holds the token operators have to show; needed where admin is TCP."""
    prometheus: str | None = None
    """For scrapes of the metrics, host:port; none, unless given."""
    tls: TlsConfig | None = None
    """Encrypts the data, openai and admin listeners, where they are on TCP."""
