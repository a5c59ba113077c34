# ruff: noqa: RUF001 - letters of other scripts are meant
"""Which language a text is written in, of a small set, by its script and its commonest words."""

from collections import defaultdict
from collections.abc import Mapping, Set
from typing import NamedTuple

from server.config.match import SCRIPT_OF
from server.routing.reading.scripts import script_of

# Words that a text of any subject has, and that few other languages of the set have too.
_COMMON_WORDS: Mapping[str, str] = {
    "en": "a the of and to in is you that it for was are with this be have from or what which who "
    "how when where why can could would will do does did not my your i me we they he she his her "
    "their has had been if at by on an as there about into than then its but so any some please "
    "i'm don't what's should need want tell each set give make find help new more "
    "i've it's let",
    "de": "der die das und ist nicht ich du wir sie ihr ein eine einen einem einer den dem des mit "
    "von zu auf für im in an auch als wie was wer wo warum wann sind war hat haben kann werden "
    "wird mein meine dein bitte mir dich mich aus bei nach über oder aber wenn dass es um zum zur",
    "fr": "le la les des du de un une et est en dans que qui pour pas sur avec ce cette ces il "
    "elle nous vous je tu mon ma mes votre vos son sa ses au aux par plus ne se sont être avoir "
    "quel quelle comment pourquoi où c'est qu'est j'ai ou mais si s'il dont leur",
    "es": "el la los las de del que y en un una es por con para no se su sus al lo como más pero "
    "le ya este esta qué cómo cuál dónde cuándo quién son fue ha muy mi tu yo me te nos hay ser "
    "está están desde sobre entre porque cuando si o",
    "it": "il lo la i gli le di del della dei delle che e è in un una per con non si sono come da "
    "dal al alla nel nella ma anche più questo questa mi ti ci suo sua loro perché cosa quale "
    "quando dove chi ho hai ha o se essere",
    "pt": "o os as de do da dos das que e é em um uma para com não no na nos nas por se mais "
    "como mas foi ao ele ela eu você seu sua meu minha isso este esta são está tem ser ou quando "
    "onde qual quem porque muito também à",
    "nl": "de het een en van ik te dat die in is niet zijn op aan met als voor er maar om hem dan "
    "zou of wat mijn dit zo door over ze ook tot je mij uit der daar naar heb hoe heeft hebben "
    "deze u wordt kan waar waarom wie",
    "ru": "и в не на что он как я это с по но они мы к из у за то же все так его вы бы для от о "
    "она был быть если или что как где когда почему кто мне мой какой ещё есть при",
    "uk": "і в не на що він як я це з по але вони ми до із у за то ж все так його ви би для від "
    "про вона був бути якщо або де коли чому хто мені мій який є та й ще при",
}
# Letters that one language of the set has and those it is taken for have not.
_OWN_LETTERS: Mapping[str, str] = {
    "de": "ß",
    "es": "ñ¿¡",
    "pt": "ãõ",
    "uk": "іїєґ",
    "ru": "ыэёъ",
}
_BY_WORDS = frozenset({"latin", "cyrillic"})
_OF_SCRIPT: Mapping[str, str] = {
    script: language for language, script in SCRIPT_OF.items() if script not in _BY_WORDS
}
# Persian and Urdu share the script, and write letters that Arabic lacks.
_NOT_ARABIC = frozenset("پچژگکیٹڈڑںے")
_HITS_MIN = 2
_FEW_WORDS = 4  # of such a text one common word is enough
_OWN_LETTERS_WEIGH = 2
# A language shows in as many characters; each of their words is looked up.
_READ_CHARS = 256
_PUNCTUATION = '.,?!:;()"'
# ASCII in lower case, with a space for punctuation: most text is, and takes one step.
_SPELLED = bytes(
    ord(" " if chr(point) in _PUNCTUATION else chr(point).lower()) for point in range(0x80)
).ljust(256)
_SPACED = str.maketrans(_PUNCTUATION, " " * len(_PUNCTUATION))

# A language's hits are one byte of an integer, so that one sum counts them for all: no text has so
# many words that a byte would not hold them.
_LANGUAGES = tuple(_COMMON_WORDS)
_ONE_HIT = {language: 1 << 8 * place for place, language in enumerate(_LANGUAGES)}


def _hits_by_word() -> Mapping[str, int]:
    hits: defaultdict[str, int] = defaultdict(int)
    for language, words in _COMMON_WORDS.items():
        for word in frozenset(words.split()):
            hits[word] += _ONE_HIT[language]
    return dict(hits)


_HITS = _hits_by_word()
_COMMON = frozenset(_HITS)


class Writing(NamedTuple):
    """How a text is written; empty where that is not clear."""

    script: str
    language: str


def writing_of(text: str) -> Writing:
    """The script and the language of a text, by its beginning."""
    sample = text[:_READ_CHARS]
    if sample.isascii():
        return _of_ascii(sample)
    script = script_of(sample)
    if script in _BY_WORDS:
        lower = sample.lower()
        words = set(lower.translate(_SPACED).split())
        return Writing(script, _by_words(words, _of_letters(lower)))
    if script == "arabic":
        return Writing(script, "" if _NOT_ARABIC.intersection(sample) else "ar")
    return Writing(script, _OF_SCRIPT.get(script, ""))


def _of_ascii(sample: str) -> Writing:
    language = _by_words(set(sample.encode().translate(_SPELLED).decode().split()))
    if language:
        return _LATIN[language]
    return Writing(script_of(sample), "")


_LATIN = {language: Writing("latin", language) for language in _LANGUAGES}


def _by_words(words: Set[str], of_letters: int = 0) -> str:
    """The language that most of the common words are of."""
    total = sum(map(_HITS.__getitem__, words & _COMMON), of_letters)
    if not total:
        return ""
    hits = total.to_bytes(len(_LANGUAGES), "little")
    most = max(hits)
    if most < (1 if len(words) <= _FEW_WORDS else _HITS_MIN) or hits.count(most) > 1:
        return ""
    return _LANGUAGES[hits.index(most)]


def _of_letters(lower: str) -> int:
    return sum(
        _OWN_LETTERS_WEIGH * _ONE_HIT[language]
        for language, letters in _OWN_LETTERS.items()
        if any(letter in lower for letter in letters)
    )
