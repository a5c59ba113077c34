"""Certificates to test with, made by an authority of the test's own."""

from pathlib import Path

import grpc
import trustme

from server.transport.sockets.tls import TlsFiles


class Authority:
    """Issues certificates into a folder; its own is what peers trust."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._ca = trustme.CA()
        self._folder = folder
        self.file = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    @property
    def pem(self) -> bytes:
        return self._ca.cert_pem.bytes()

    def issue(self, name: str, *hosts: str) -> TlsFiles:
        """A certificate and its key, in the place of those there were."""
        issued = self._ca.issue_cert(*hosts)
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        _replace(cert, b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        _replace(key, issued.private_key_pem.bytes())
        return TlsFiles(str(cert), str(key), None)


def caller_credentials(
    authority: Authority, shown: TlsFiles | None = None
) -> grpc.ChannelCredentials:
    """Of a caller that trusts the authority, and shows a certificate of its own."""
    if shown is None:
        return grpc.ssl_channel_credentials(authority.pem)
    key, cert = Path(shown.key_file).read_bytes(), Path(shown.cert_file).read_bytes()
    return grpc.ssl_channel_credentials(authority.pem, key, cert)


def _replace(file: Path, data: bytes) -> None:
    """As the tools of an authority do: what is written in place within a tick looks the same."""
    new = file.with_suffix(".new")
    new.write_bytes(data)
    new.replace(file)
