"""The process that reads large chats for a worker: parsing JSON holds its interpreter's lock.

Bodies come and answers go by one socket, each behind its length, bodies with a letter for their
kind before them; an empty answer says that the process is ready. It ends when its worker does,
which closes the socket.
"""

import gc
import marshal
import signal
import socket
from contextlib import suppress
from io import BufferedRWPair

from server.routing.errors import PayloadMalformed, PayloadTooLarge
from server.rpc.openai_body import FORWARDED_BYTES_MAX
from server.rpc.openai_chat import Chat, read_chat
from server.rpc.openai_embeddings import read_embeddings

LENGTH_BYTES = 4
# What a body is, by its first letter.
CHAT, EMBEDDINGS = b"c", b"e"
_READ = {CHAT: read_chat, EMBEDDINGS: read_embeddings}
_REFUSALS = {refusal.reason: refusal for refusal in (PayloadMalformed, PayloadTooLarge)}


def framed(data: bytes | memoryview) -> bytes:
    """Behind its length."""
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def answer_to(asked: bytes) -> bytes:
    """What was read, or why it was refused.

    As marshal writes it, whose texts are not parsed again; both ends are the same interpreter.
    """
    try:
        read, body = _READ[asked[:1]], asked[1:]
        chat = read(body, field="openai_chat", bytes_max=FORWARDED_BYTES_MAX)
    except (PayloadMalformed, PayloadTooLarge) as refusal:
        return marshal.dumps((refusal.reason, refusal.field, str(refusal)))
    return marshal.dumps(("", *chat))


def chat_of(answer: bytes) -> Chat:
    """Raises the refusal."""
    reason, *rest = marshal.loads(answer)
    if reason:
        field, message = rest
        raise _REFUSALS[reason](message, field=field)
    return Chat(*rest)


def _next_body(stream: BufferedRWPair) -> bytes | None:
    """None once the worker has gone."""
    length = int.from_bytes(stream.read(LENGTH_BYTES), "big")
    body = stream.read(length)
    return body if length and len(body) == length else None


def _serve(stream: BufferedRWPair) -> None:
    stream.write(framed(b""))
    stream.flush()
    while (body := _next_body(stream)) is not None:
        stream.write(framed(answer_to(body)))
        stream.flush()


def main() -> None:
    # What stops a group of processes is for the worker, which may still need this one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    gc.freeze()
    with socket.socket(fileno=0) as worker, suppress(ConnectionError):
        _serve(worker.makefile("rwb"))


if __name__ == "__main__":
    main()
