"""How much may be asked again before that becomes a storm: a bucket of tokens, by gRFC A6.

Each failed attempt takes a token, each answer brings a part of one, and while no more than half of
the bucket is left nothing is asked again that would add work to what may still be under way.
"""

# So many answers bring a token. Where everything is slow, one request in ten is asked again, which
# a fleet that is planned to its capacity can bear; A6 has the same in its example.
ANSWERS_PER_TOKEN = 10
# Half of them are what may be asked again at once: the calls that an endpoint of a busy model holds
# when it stops answering, some fifty, of one worker. A6 allows up to 1,000.
TOKENS_MAX = 100

_FULL = TOKENS_MAX * ANSWERS_PER_TOKEN


class RetryBudget:
    """Of one model at one worker."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts = _FULL  # of tokens: as many as an answer brings are 1

    @property
    def is_spent(self) -> bool:
        return self._parts <= _FULL // 2

    def answered(self) -> None:
        if self._parts < _FULL:
            self._parts += 1

    def failed(self) -> None:
        self._parts = max(self._parts - ANSWERS_PER_TOKEN, 0)
