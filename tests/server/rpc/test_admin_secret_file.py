import hashlib
from pathlib import Path

import pytest

from server.rpc.admin_secret_file import (
    SECRET_BYTES_MAX,
    SECRET_CHARS_MIN,
    AdminSecretError,
    read_secret_hash,
)


def test_of_a_token_only_its_hash_is_kept(tmp_path: Path) -> None:
    secret = "t" * SECRET_CHARS_MIN
    (tmp_path / "token").write_text(f"  {secret}\n")
    assert read_secret_hash(str(tmp_path / "token")) == hashlib.sha256(secret.encode()).digest()


def test_a_short_token_is_refused_and_not_echoed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    with pytest.raises(AdminSecretError, match="shorter than 32") as refused:
        read_secret_hash(str(tmp_path / "token"))
    assert "secret" not in str(refused.value)


def test_the_longest_token_is_taken_and_a_longer_file_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t" * SECRET_BYTES_MAX)
    read_secret_hash(str(tmp_path / "token"))
    (tmp_path / "token").write_text("t" * SECRET_BYTES_MAX + "\n")
    with pytest.raises(AdminSecretError, match="more than 4,096 bytes"):
        read_secret_hash(str(tmp_path / "token"))


def test_of_a_file_without_end_no_more_is_read_than_a_token_has() -> None:
    with pytest.raises(AdminSecretError, match="more than 4,096 bytes"):
        read_secret_hash("/dev/zero")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xfa"])
def test_a_file_that_cannot_be_read_is_refused_and_its_path_not_echoed(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "perhaps-the-token-itself"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AdminSecretError, match="cannot be read") as refused:
        read_secret_hash(str(path))
    assert "perhaps" not in str(refused.value)


@pytest.mark.parametrize("path", ["~nobody-has-this-name/token", "token\0"])
def test_a_path_that_leads_nowhere_is_refused(path: str) -> None:
    with pytest.raises(AdminSecretError, match="cannot be read"):
        read_secret_hash(path)
