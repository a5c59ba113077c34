# ruff: noqa: RUF001 - letters of other scripts are meant
"""The script and the language of a text."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.match import SCRIPT_OF, Language, Script
from server.routing.reading.language import writing_of

SENTENCES = {
    "en": "How can I reset my password?",
    "de": "Wie kann ich mein Passwort zurücksetzen?",
    "fr": "Comment puis-je réinitialiser mon mot de passe ?",
    "es": "¿Cómo puedo restablecer mi contraseña?",
    "it": "Come posso reimpostare la mia password?",
    "pt": "Como posso redefinir a minha senha?",
    "nl": "Hoe kan ik mijn wachtwoord opnieuw instellen?",
    "ru": "Как мне сбросить пароль?",
    "uk": "Як мені скинути пароль?",
    "el": "Πώς μπορώ να επαναφέρω τον κωδικό μου;",
    "he": "איך אני מאפס את הסיסמה שלי?",
    "ar": "كيف يمكنني إعادة تعيين كلمة المرور؟",
    "hi": "मैं अपना पासवर्ड कैसे रीसेट करूं?",
    "th": "ฉันจะรีเซ็ตรหัสผ่านได้อย่างไร",
    "ko": "비밀번호를 어떻게 재설정하나요?",
    "ja": "パスワードを再設定するにはどうすればいいですか。",
    "zh": "我怎样才能重置密码？",
}


@pytest.mark.parametrize(("language", "text"), SENTENCES.items())
def test_a_sentence_is_of_its_language_and_script(language: Language, text: str) -> None:
    assert writing_of(text) == (SCRIPT_OF[language], language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I'm hungry", "en"),
        ("Solve 2x+3=7 for x", "en"),
        ("the the the the the", "en"),
        ("L'État, c'est moi", "fr"),
        ("rm -rf /var/lib/el_la", ""),
        ("one two three four of seven", ""),
    ],
)
def test_of_a_few_words_one_common_one_is_enough(text: str, language: str) -> None:
    assert writing_of(text).language == language


def test_script_and_language_are_told_by_the_beginning_alone() -> None:
    english = "What is the best way to do this in the garden?"
    assert writing_of("1234567890 " * 40 + english) == ("", "")
    assert writing_of("1234567890 " * 40 + english + " –") == ("", "")


def test_every_language_has_a_sentence() -> None:
    assert set(SENTENCES) == set(get_args(Language))


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("", ""),
        ("12 + 30 = 42", ""),
        ("xyzzy plugh", "latin"),
        ("fjord smörgåsbord", "latin"),
        ("Բարեւ", "armenian"),
        ("নমস্কার", "bengali"),
        ("வணக்கம்", "tamil"),
        ("გამარჯობა", "georgian"),
        ("😀 🎉", ""),
        ("\U00010400\U00010401", ""),
        ("رمز عبور خود را چگونه تغییر دهم", "arabic"),
    ],
)
def test_where_the_language_is_not_clear_only_the_script_is_told(text: str, script: str) -> None:
    assert writing_of(text) == (script, "")


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("hello привет привет", "cyrillic"),
        ("hello hello привет", "latin"),
        ("我要一个 API token", "han"),
        ("token を 更新", "kana"),
        ("a שלום לכולם", "hebrew"),
    ],
)
def test_of_mixed_scripts_that_of_most_letters_is_told(text: str, script: str) -> None:
    assert writing_of(text).script == script


def test_a_quotation_does_not_change_the_language() -> None:
    assert writing_of("What does “wie geht es dir” mean in the end?").language == "en"


@given(st.text())
def test_any_text_is_of_a_known_language_or_none(text: str) -> None:
    written = writing_of(text)
    assert written.script in ("", *get_args(Script))
    assert written.language in ("", *get_args(Language))
