"""The file that holds the token of the admin listener; read without gRPC, by the supervisor too."""

import hashlib
from pathlib import Path

# 128 random bits in hex; shorter ones can be guessed.
TOKEN_CHARS_MIN = 32
# Half of the metadata that a caller may send; some paths (/dev/zero) have no end.
TOKEN_BYTES_MAX = 4_096


class TokenError(Exception):
    """The token file cannot be used; the message says why."""


def read_token(path: str) -> bytes:
    """The hash of the token in the file; raises TokenError."""
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(TOKEN_BYTES_MAX + 1)
        token = content.decode().strip()
    except (OSError, ValueError, RuntimeError) as error:
        # The path is not echoed: someone may have put the token there.
        raise TokenError(
            f"listeners.admin_token_file cannot be read ({type(error).__name__}): "
            "name a file that holds the token"
        ) from None
    if len(content) > TOKEN_BYTES_MAX:
        raise TokenError(
            f"listeners.admin_token_file has more than {TOKEN_BYTES_MAX:,} bytes: "
            "name a file that holds the token alone"
        )
    if len(token) < TOKEN_CHARS_MIN:
        raise TokenError(
            f"the token of listeners.admin_token_file is shorter than {TOKEN_CHARS_MIN} "
            "characters: make one with 'openssl rand -hex 32'"
        )
    return token_hash(token)


def token_hash(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()
