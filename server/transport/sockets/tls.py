"""TLS of a listener: HTTP/2 or 1.1 by ALPN, certificates that are read again when they change."""

import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

File = Literal["cert_file", "key_file", "client_ca_file", "ca_file"]

# What RFC 9113 section 9.2.2 leaves of TLS 1.2: an ephemeral key exchange and an AEAD. The suites
# of TLS 1.3 are such, all of them.
_TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
HTTP_2, HTTP_1 = "h2", "http/1.1"  # what is spoken, as ALPN names it


class TlsFiles(NamedTuple):
    """Where the certificates are, in PEM."""

    cert_file: str  # the listener's, followed by those between it and the authority's
    key_file: str  # its private key, without a passphrase
    client_ca_file: str | None  # callers have to show a certificate of this authority; None: none


class TlsError(Exception):
    """The files cannot be used; says which of them, and why."""

    def __init__(self, file: File, why: str) -> None:
        super().__init__(f"{file} {why}")
        self.file: File = file
        self.why = why


class Certificates:
    """What new connections are greeted with: the newest files that were good."""

    def __init__(self, files: TlsFiles, speaks: str = HTTP_2) -> None:
        """Raises TlsError."""
        self._files = files
        self._speaks = speaks
        self._seen = _stamps(files)
        self.context = server_context(files, speaks)

    def refresh(self) -> bool:
        """True if the files have changed and are good.

        Raises TlsError, once for a change, where they are not; what was read before stays.
        """
        stamps = _stamps(self._files)
        if stamps == self._seen:
            return False
        self._seen = stamps  # of before they are read: what changes meanwhile is seen next time
        self.context = server_context(self._files, self._speaks)
        return True


def server_context(files: TlsFiles, speaks: str = HTTP_2) -> ssl.SSLContext:
    """For connections of callers; raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS12_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols([speaks])
    for load in _LOADS:
        load(context, files)
    return context


def faults(files: TlsFiles) -> list[TlsError]:
    """What is wrong with the files; of two that have to fit, once both can be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found = {load: _fault(load, context, files) for load in _LOADS}
    if found[check_certificate] or found[check_key]:
        del found[load_pair]
    return [fault for fault in found.values() if fault is not None]


def speaks_h2(connection: ssl.SSLObject | None) -> bool:
    """Whether the handshake agreed on HTTP/2; one without TLS needs no agreement."""
    return connection is None or connection.selected_alpn_protocol() == HTTP_2


def peer_names(certificate: Mapping[str, Any] | None) -> Mapping[str, Sequence[bytes]]:
    """The names in a certificate, by gRPC's words for them; of none that was not looked at."""
    shown = certificate or {}
    subject = (pair for part in shown.get("subject", ()) for pair in part)
    return {
        "x509_subject_alternative_name": [
            name.encode() for _, name in shown.get("subjectAltName", ()) if isinstance(name, str)
        ],
        "x509_common_name": [name.encode() for kind, name in subject if kind == "commonName"],
    }


def why_failed(error: OSError) -> str:
    """Why a handshake has failed: in OpenSSL's words or the system's, none of the peer's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or "TLS failed"
    return error.strerror or "the peer has left"


def _fault(load: "_Load", context: ssl.SSLContext, files: TlsFiles) -> TlsError | None:
    try:
        load(context, files)
    except TlsError as error:
        return error
    return None


def check_certificate(_: ssl.SSLContext, files: TlsFiles) -> None:
    load_authority(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "cert_file", files.cert_file)


def check_key(_: ssl.SSLContext, files: TlsFiles) -> None:
    _readable("key_file", files.key_file)


def load_pair(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        # The callback stands for a question at the terminal, which nobody would answer.
        context.load_cert_chain(files.cert_file, files.key_file, password=_no_passphrase)
    except OSError as error:  # SSLError is one
        if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError("key_file", "is not the key of the certificate in cert_file") from None
        message = "holds no private key that can be used: PEM without a passphrase is needed"
        raise TlsError("key_file", message) from None


def _load_client_authority(context: ssl.SSLContext, files: TlsFiles) -> None:
    if files.client_ca_file is not None:
        load_authority(context, "client_ca_file", files.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED


def load_authority(context: ssl.SSLContext, file: File, path: str) -> None:
    _readable(file, path)
    try:
        context.load_verify_locations(cafile=path)
    except OSError:  # SSLError is one
        raise TlsError(file, "holds no certificate that can be used: PEM is needed") from None


def _readable(file: File, path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise TlsError(file, f"cannot be read: {error.strerror}") from None


def _no_passphrase() -> str:
    return ""


def _stamps(files: TlsFiles) -> tuple[tuple[int, int, int] | None, ...]:
    """What changes when a file is written or replaced, behind a link as well."""
    return tuple(stamp(path) for path in files if path is not None)


def stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


_Load: TypeAlias = Callable[[ssl.SSLContext, TlsFiles], None]
# In the order in which one needs the other.
_LOADS: tuple[_Load, ...] = (check_certificate, check_key, load_pair, _load_client_authority)
