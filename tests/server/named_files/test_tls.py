from pathlib import Path

import pytest
import yaml

from server.config.diagnostics import ConfigError
from server.config.file import load
from server.config.parse import parse
from server.named_files.check import named_files_findings
from server.named_files.tls import tls_files
from server.transport.sockets.tls import TlsFiles
from tests.server.certificates import Authority
from tests.server.configs import plain


def written(folder: Path, files: TlsFiles) -> Path:
    """A configuration that names the files, each key on a line of its own."""
    tls = {key: file for key, file in files._asdict().items() if file is not None}
    path = folder / "turnout.yaml"
    path.write_text(yaml.safe_dump({"listeners": {"tls": tls}, **plain()}, sort_keys=False))
    return path


def test_files_that_can_be_used_are_no_problem(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("server", "localhost")._replace(client_ca_file=str(authority.file))
    load(written(tmp_path, files), further_check=named_files_findings)


def test_every_file_that_cannot_be_used_is_listed_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    files = TlsFiles("/nowhere/cert.pem", str(tmp_path), str(tmp_path / "text"))
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, files), further_check=named_files_findings)
    assert [(p.line, p.path, p.message) for p in caught.value.diagnostics] == [
        (3, "listeners.tls.cert_file", "cannot be read: No such file or directory"),
        (4, "listeners.tls.key_file", "cannot be read: Is a directory"),
        (
            5,
            "listeners.tls.client_ca_file",
            "holds no certificate that can be used: PEM is needed",
        ),
    ]


def test_a_key_that_does_not_fit_is_a_problem(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    other = authority.issue("other", "localhost")
    files = authority.issue("server", "localhost")._replace(key_file=other.key_file)
    with pytest.raises(ConfigError, match="is not the key of the certificate in cert_file"):
        load(written(tmp_path, files), further_check=named_files_findings)


def test_who_does_not_serve_need_not_be_able_to_read_them(tmp_path: Path) -> None:
    load(written(tmp_path, TlsFiles("/nowhere/cert.pem", "/nowhere/key.pem", None)))


def test_a_path_may_begin_with_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/turnout")
    tls = {"cert_file": "~/cert.pem", "key_file": "/etc/key.pem"}
    config = parse(plain((("listeners",), {"tls": tls})))
    assert config.listeners.tls is not None
    assert tls_files(config.listeners.tls) == TlsFiles(
        "/home/turnout/cert.pem", "/etc/key.pem", None
    )


def test_a_home_of_nobody_and_a_path_that_is_none_are_listed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("server", "localhost")
    of_nobody = written(tmp_path, files._replace(cert_file="~nobody-has-this-name/cert.pem"))
    with pytest.raises(
        ConfigError, match=r"tls.cert_file \(line 3\): cannot be read: No such file"
    ):
        load(of_nobody, further_check=named_files_findings)
    no_path = written(tmp_path, files._replace(key_file="~key\0.pem"))
    with pytest.raises(ConfigError, match=r"tls.key_file \(line 4\): cannot be read: no path has"):
        load(no_path, further_check=named_files_findings)
