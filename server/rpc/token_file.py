"""The file that holds the token of the admin listener; read without gRPC, by the supervisor too."""

import hashlib
from pathlib import Path

# 128 random bits in hex; shorter ones can be guessed.
TOKEN_CHARS_MIN = 32


class TokenError(Exception):
    """The token file cannot be used; the message says why."""


def read_token(path: str) -> bytes:
    """The hash of the token in the file; raises TokenError."""
    try:
        token = Path(path).expanduser().read_text().strip()
    except (OSError, ValueError, RuntimeError) as error:
        # The path is not echoed: someone may have put the token there.
        raise TokenError(
            f"listeners.admin_token_file cannot be read ({type(error).__name__}): "
            "name a file that holds the token"
        ) from None
    if len(token) < TOKEN_CHARS_MIN:
        raise TokenError(
            f"the token of listeners.admin_token_file is shorter than {TOKEN_CHARS_MIN} "
            "characters: make one with 'openssl rand -hex 32'"
        )
    return token_hash(token)


def token_hash(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()
