"""How much of a request's content is read: work is bounded whatever is sent."""

# The first and last this many characters of a text are searched for keywords.
READ_CHARS = 8_192
# What a text is made of and the language it is in show early; what it asks for may come last.
GLANCE_HEAD_CHARS, GLANCE_TAIL_CHARS = 768, 256
# Of these, as many are searched for what gives away code or mathematics: it is never scarce.
EVIDENCE_CHARS = 512


def window(text: str, head: int = READ_CHARS, tail: int = READ_CHARS) -> str:
    """The first and last characters of a text; all of it where these meet."""
    if len(text) <= head + tail:
        return text
    return f"{text[:head]}\n{text[-tail:]}"


def glance(text: str) -> str:
    """As much as is needed to tell what kind of text it is."""
    return window(text, GLANCE_HEAD_CHARS, GLANCE_TAIL_CHARS)
