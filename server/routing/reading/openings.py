# ruff: noqa: RUF001, SIM905 - letters of other scripts are meant; lists of words are long
"""Whether a text asks or tells to do: by its marks, and by the words that its sentences open with.

The words are English, and the commonest of the other languages that server.config.match names and
that part words by spaces; in all others a question is known by its mark.
"""

import re
from collections.abc import Iterable

# Sentences are looked at from both ends: what is wanted is said first or last.
_SENTENCE_CHARS = 160
_WORDS_READ = 6
_BEFORE = " \n\t\"'#*->"
_AFTER = " \n\t.?!\"')*"
# A question mark that ends something: others are of addresses and code.
_MARK = re.compile(r"[?？؟⁇](?=[\s\"')*\]]|$)|;\s*$")

_QUESTION_WORDS = frozenset(
    "what what's whats who who's whom whose which when where where's why how how's is are am was "
    "were do does did can could will would should shall may might has have had isn't aren't don't "
    "doesn't can't won't "
    "was wer wen wem wann wo warum wieso weshalb wie welche welcher welches kann können ist sind "
    "quoi qui que quel quelle quels quelles quand où pourquoi comment combien est-ce "
    "qué quién quiénes cuál cuáles cuándo dónde cómo cuánto cuántos "
    "che chi quale quali quando dove perché come quanto quanti "
    "quem qual quais onde porquê "
    "wat wie waar wanneer waarom hoe welke "
    "что кто какой какая какие когда где почему зачем как сколько".split()
)
_INSTRUCTION_WORDS = frozenset(
    "write explain summarize summarise translate list give create generate find compute calculate "
    "describe compare make tell show draft rewrite rephrase implement build design solve prove "
    "determine convert extract classify identify answer provide suggest analyze analyse evaluate "
    "return add remove change set turn play call send book cancel transfer pay order remind fix "
    "refactor debug complete fill choose select use read check help let consider define discuss "
    "outline plan propose simplify sort print edit correct improve act imagine name state "
    "please kindly put reset stop start update schedule order get go open close schedule "
    "schreibe schreib erkläre übersetze fasse nenne gib erstelle finde berechne bitte zeige mach "
    "écris écrivez explique expliquez traduis traduisez résume donne donnez crée trouve calcule "
    "escribe explica traduce resume da dame crea encuentra calcula haz "
    "scrivi spiega traduci riassumi dammi crea trova calcola "
    "escreva explique traduza resuma dê crie encontre calcule faça "
    "schrijf vertaal leg geef maak vind bereken "
    "напиши объясни переведи перечисли дай создай найди вычисли".split()
)
# Said before what is wanted.
_POLITE_WORDS = frozenset(
    "please kindly hey hi hello ok okay q: question: can could would you i want need i'd like to "
    "just now then bitte veuillez por favor per".split()
)


NAMES = frozenset({"question", "instruction"})


def names(lower: str) -> list[str]:
    """Those that hold of the text, which is in lower case."""
    openings = _openings(lower)
    held = []
    if _is_question(lower, openings):
        held.append("question")
    if any(map(_tells, openings)):
        held.append("instruction")
    return held


def _openings(lower: str) -> tuple[list[str], ...]:
    """The first words of the text, and those of its last sentence."""
    first = lower[:_SENTENCE_CHARS].lstrip(_BEFORE).split(None, _WORDS_READ)[:_WORDS_READ]
    ending = lower[-_SENTENCE_CHARS:].rstrip(_AFTER)
    at = max(ending.rfind(". "), ending.rfind("\n"), ending.rfind("? "), ending.rfind("! "))
    if at < 0:
        return (first,)
    return first, ending[at + 1 :].split(None, _WORDS_READ)[:_WORDS_READ]


def _is_question(lower: str, openings: Iterable[list[str]]) -> bool:
    if ("?" in lower or not lower.isascii()) and _MARK.search(lower):
        return True
    return any(words[0] in _QUESTION_WORDS for words in openings if words)


def _tells(words: Iterable[str]) -> bool:
    for word in words:
        bare = word.strip(",:;.!")
        if bare in _INSTRUCTION_WORDS:
            return True
        if bare not in _POLITE_WORDS:
            return False
    return False
