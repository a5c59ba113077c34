"""What a text is about, by a linear model over words, pairs of words and parts of words.

`turnout train` writes the file, `LinearModel` reads it: data and not code, and numpy is enough.
"""

from server.routing.learned.file_format import ClassifierInvalid
from server.routing.learned.model import Guess, LinearModel, Weighed

__all__ = ["ClassifierInvalid", "Guess", "LinearModel", "Weighed"]
