"""What the log says of a fault of ours: where it was, and never its words, which may quote what
was asked.
"""

import traceback

# The innermost: a fault in a library is some frames away from ours.
FRAMES_MAX = 20
# Of what an error came from, in turn.
CAUSES_MAX = 4


def trace_of(error: BaseException) -> str:
    """The kinds of an error and of what it came from, each with the lines it was raised by."""
    told: list[str] = []
    found: BaseException | None = error
    while found is not None and len(told) < CAUSES_MAX:
        frames = traceback.format_tb(found.__traceback__)[-FRAMES_MAX:]
        told.append(f"{type(found).__name__}\n{''.join(frames)}")
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return "from ".join(told)
