from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.config.listeners import ListenersConfig, TlsConfig
from server.supervisor.open_secrets import warn_of_open_secrets


def warned(token: Path, key: Path) -> list[tuple[str, str]]:
    tls = TlsConfig(cert_file=str(key), key_file=str(key))
    with capture_logs() as logs:
        warn_of_open_secrets(ListenersConfig(admin_token_file=str(token), tls=tls))
    assert all("/" not in str(log) for log in logs)  # no path
    return [(log["key"], log["mode"]) for log in logs]


def secret(path: Path, mode: int) -> Path:
    path.touch()
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o440])
def test_a_secret_of_its_owner_or_a_group_is_not_warned_of(tmp_path: Path, mode: int) -> None:
    assert warned(secret(tmp_path / "token", mode), secret(tmp_path / "key", mode)) == []


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
def test_a_secret_that_every_user_can_use_is_warned_of_by_its_key(
    tmp_path: Path, mode: int
) -> None:
    token, key = secret(tmp_path / "token", mode), secret(tmp_path / "key", mode)
    assert warned(token, key) == [
        ("listeners.admin_token_file", f"{mode:04o}"),
        ("listeners.tls.key_file", f"{mode:04o}"),
    ]


def test_files_that_are_not_there_are_others_to_tell_of(tmp_path: Path) -> None:
    assert warned(tmp_path / "token", tmp_path / "no\0path") == []
