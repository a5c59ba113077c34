"""Bytes that hide one request in another."""

import pytest

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"POST /first HTTP/1.1\r\nHost: a\r\n"

# Each with a request behind it that a parser may take for a body, or the other way round.
TRICKS = [
    pytest.param(
        HEAD + b"Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        id="CL.TE",
    ),
    pytest.param(
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + HIDDEN,
        id="TE.CL",
    ),
    pytest.param(HEAD + b"Content-Length: 0\r\nContent-Length: 35\r\n\r\n" + HIDDEN, id="two CLs"),
    pytest.param(HEAD + b"Content-Length: 0, 35\r\n\r\n" + HIDDEN, id="CL list"),
    pytest.param(HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN, id="other TE"),
    pytest.param(
        HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN, id="VT before TE"
    ),
    pytest.param(
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN, id="space after TE"
    ),
    pytest.param(
        HEAD + b"X: a\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, id="bare LF"
    ),
    pytest.param(HEAD + b"X: a\nContent-Length: 35\r\n\r\n" + HIDDEN, id="bare LF before a length"),
    pytest.param(
        HEAD + b"X: a\r\n Content-Length: 35\r\n\r\n" + HIDDEN, id="length in a folded field"
    ),
    pytest.param(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0;a=b\r\n\r\n" + HIDDEN, id="extension"
    ),
    pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0;\n" + HIDDEN, id="extension and LF"),
    pytest.param(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n\r\n" + HIDDEN, id="trailer"
    ),
    pytest.param(HEAD + b"Content-Length: 0\r\nX\r\n: a\r\n\r\n" + HIDDEN, id="split field"),
    pytest.param(HEAD + b"Content-Length: \r\n\r\n" + HIDDEN, id="empty CL"),
]
