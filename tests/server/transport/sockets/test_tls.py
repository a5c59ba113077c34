"""TLS of a listener, by handshakes in memory."""

import contextlib
import os
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from server.transport.sockets.tls import (
    Certificates,
    TlsError,
    TlsFiles,
    faults,
    peer_names,
    server_context,
    speaks_h2,
)
from tests.server.certificates import Authority

HOST = "turnout.test"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> TlsFiles:
    return authority.issue("server", HOST)


def client(authority: Authority, *alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols(alpn or ["h2"])
    return context


def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends once they have agreed; raises SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=HOST),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    agreed = [False, False]
    while not all(agreed):
        for index, end in enumerate(ends):
            try:
                end.do_handshake()
                agreed[index] = True
            except ssl.SSLWantReadError:
                pass
    # TLS 1.3: whether the client's certificate will do, it hears only now.
    with contextlib.suppress(ssl.SSLWantReadError):
        ends[0].read()
    return ends


def test_a_caller_that_trusts_the_authority_speaks_http2(
    authority: Authority, files: TlsFiles
) -> None:
    _, connection = handshake(server_context(files), client(authority))
    assert speaks_h2(connection)


def test_without_tls_no_agreement_is_needed() -> None:
    assert speaks_h2(None)


@pytest.mark.parametrize("alpn", [["http/1.1"], []])
def test_a_caller_that_does_not_ask_for_http2_is_told_apart(
    authority: Authority, files: TlsFiles, alpn: list[str]
) -> None:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols(alpn)
    _, connection = handshake(server_context(files), context)
    assert not speaks_h2(connection)


def test_tls_begins_with_1_2(files: TlsFiles) -> None:
    assert server_context(files).minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("ciphers", "agreed"),
    [
        ("ECDHE+AESGCM", True),
        ("ECDHE+CHACHA20", True),
        ("ECDHE+AES+SHA256:ECDHE+AES+SHA", False),  # on the list of RFC 9113, appendix A
        ("AESGCM:!ECDHE:!DHE", False),
    ],
)
def test_tls_1_2_has_only_the_ciphers_that_http2_allows(
    authority: Authority, files: TlsFiles, ciphers: str, agreed: bool
) -> None:
    context = client(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)
    if agreed:
        handshake(server_context(files), context)
    else:
        with pytest.raises(ssl.SSLError):
            handshake(server_context(files), context)


def test_a_caller_has_to_show_a_certificate_where_an_authority_is_given(
    tmp_path: Path, authority: Authority, files: TlsFiles
) -> None:
    callers = Authority(tmp_path, "callers")
    context = server_context(files._replace(client_ca_file=str(callers.file)))
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        handshake(context, client(authority))
    shown = callers.issue("caller", "team-a")
    knows = client(authority)
    knows.load_cert_chain(shown.cert_file, shown.key_file)
    handshake(context, knows)


def test_a_certificate_of_another_authority_is_refused(
    tmp_path: Path, authority: Authority, files: TlsFiles
) -> None:
    callers = Authority(tmp_path, "callers")
    context = server_context(files._replace(client_ca_file=str(callers.file)))
    shown = Authority(tmp_path, "others").issue("caller", "team-a")
    knows = client(authority)
    knows.load_cert_chain(shown.cert_file, shown.key_file)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        handshake(context, knows)


def test_files_that_are_good_have_no_fault(authority: Authority, files: TlsFiles) -> None:
    assert faults(files._replace(client_ca_file=str(authority.file))) == []


def test_each_file_that_is_missing_is_told() -> None:
    found = [str(fault) for fault in faults(TlsFiles("/no/cert", "/no/key", "/no/ca"))]
    assert found == [
        "cert_file cannot be read: No such file or directory",
        "key_file cannot be read: No such file or directory",
        "client_ca_file cannot be read: No such file or directory",
    ]


def test_a_key_of_another_certificate_is_told(authority: Authority, files: TlsFiles) -> None:
    other = authority.issue("other", HOST)
    found = [str(fault) for fault in faults(files._replace(key_file=other.key_file))]
    assert found == ["key_file is not the key of the certificate in cert_file"]


def test_files_with_something_else_in_them_are_told(tmp_path: Path, files: TlsFiles) -> None:
    (tmp_path / "text").write_text("hello")
    text = str(tmp_path / "text")
    assert [
        str(fault) for fault in faults(files._replace(cert_file=text, client_ca_file=text))
    ] == [
        "cert_file holds no certificate that can be used: PEM is needed",
        "client_ca_file holds no certificate that can be used: PEM is needed",
    ]
    assert [str(fault) for fault in faults(files._replace(key_file=text))] == [
        "key_file holds no private key that can be used: PEM without a passphrase is needed"
    ]


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(files: TlsFiles) -> None:
    key_file = Path(files.key_file)
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    key_file.write_bytes(locked)
    with pytest.raises(TlsError, match="PEM without a passphrase is needed"):
        server_context(files)


def test_new_connections_use_the_newest_certificate(authority: Authority, files: TlsFiles) -> None:
    certificates = Certificates(files)
    assert serial(certificates, authority) == serial(certificates, authority)
    before = serial(certificates, authority)
    authority.issue("server", HOST)
    assert certificates.refresh()
    assert serial(certificates, authority) != before


def test_files_that_did_not_change_are_not_read_again(files: TlsFiles) -> None:
    certificates = Certificates(files)
    context = certificates.context
    assert not certificates.refresh()
    assert certificates.context is context


def test_a_bad_pair_keeps_the_old_one_and_is_told_once(
    authority: Authority, files: TlsFiles
) -> None:
    certificates = Certificates(files)
    before = serial(certificates, authority)
    Path(files.key_file).write_text("half a ke")
    with pytest.raises(TlsError):
        certificates.refresh()
    assert not certificates.refresh()
    assert serial(certificates, authority) == before


def test_a_pair_that_is_replaced_file_by_file_is_used_once_it_is_whole(
    authority: Authority, files: TlsFiles
) -> None:
    certificates = Certificates(files)
    before = serial(certificates, authority)
    new = authority.issue("new", HOST)
    os.replace(new.cert_file, files.cert_file)
    with pytest.raises(TlsError, match="is not the key of the certificate"):
        certificates.refresh()
    os.replace(new.key_file, files.key_file)
    assert certificates.refresh()
    assert serial(certificates, authority) != before


def test_a_file_that_is_gone_keeps_the_old_pair(authority: Authority, files: TlsFiles) -> None:
    certificates = Certificates(files)
    Path(files.cert_file).unlink()
    with pytest.raises(TlsError, match="cert_file cannot be read"):
        certificates.refresh()
    assert serial(certificates, authority)


def serial(certificates: Certificates, authority: Authority) -> object:
    """Of the certificate that a caller is shown."""
    shown, _ = handshake(certificates.context, client(authority))
    certificate = shown.getpeercert()
    assert certificate is not None
    return certificate["serialNumber"]


def test_the_names_in_a_certificate_are_told_by_the_words_of_grpc() -> None:
    certificate = {
        "subject": ((("countryName", "DE"),), (("commonName", "team-a"),)),
        "subjectAltName": (("DNS", "a.example"), ("URI", "spiffe://example/a")),
    }
    assert peer_names(certificate) == {
        "x509_common_name": [b"team-a"],
        "x509_subject_alternative_name": [b"a.example", b"spiffe://example/a"],
    }


def test_a_certificate_that_was_not_looked_at_has_no_names() -> None:
    assert not any(peer_names({}).values())
    assert not any(peer_names(None).values())
