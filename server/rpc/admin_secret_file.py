"""The file of the admin secret; read without gRPC, by the supervisor too."""

import hashlib
from pathlib import Path

# 128 random bits in hex; shorter ones can be guessed.
SECRET_CHARS_MIN = 32
# Half of the metadata that a caller may send; some paths (/dev/zero) have no end.
SECRET_BYTES_MAX = 4_096


class AdminSecretError(Exception):
    """The file of the secret cannot be used; the message says why."""


def read_secret_hash(path: str) -> bytes:
    """The hash of the secret in the file; raises AdminSecretError."""
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(SECRET_BYTES_MAX + 1)
        secret = content.decode().strip()
    except (OSError, ValueError, RuntimeError) as error:
        # The path is not echoed: someone may have put the secret there.
        raise AdminSecretError(
            f"listeners.admin_token_file cannot be read ({type(error).__name__}): "
            "name a file that holds the token"
        ) from None
    if len(content) > SECRET_BYTES_MAX:
        raise AdminSecretError(
            f"listeners.admin_token_file has more than {SECRET_BYTES_MAX:,} bytes: "
            "name a file that holds the token alone"
        )
    if len(secret) < SECRET_CHARS_MIN:
        raise AdminSecretError(
            f"the token of listeners.admin_token_file is shorter than {SECRET_CHARS_MIN} "
            "characters: make one with 'openssl rand -hex 32'"
        )
    return secret_hash(secret)


def secret_hash(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()
