# ruff: noqa: RUF001 - letters of other scripts are meant
"""What a text is made of or asks for."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.match import CodeLanguage
from server.config.match import Structure as Name
from server.routing.reading.content import GLANCE_HEAD_CHARS, GLANCE_TAIL_CHARS
from server.routing.reading.markers import CODE
from server.routing.reading.structure import ALL, CODE_LANGUAGE, Structures

HOLDS: list[tuple[str, str]] = [
    ("json", '{"name": "Ada", "age": 36}'),
    ("json", 'Make this shorter: [{"id": 1}, {"id": 2}]'),
    ("json", "```json\n[]\n```"),
    ("code", "def f(x):\n    return x + 1\n"),
    ("code", "for (int i = 0; i < n; i++) {\n  sum += a[i];\n}"),
    ("code", "Write a function to reverse a list."),
    ("code", "How do I sort a dict by value in Python?"),
    ("code", "SELECT name FROM users ORDER BY age GROUP BY city"),
    ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
    ("table", "name,age,city\nAda,36,London\nBob,41,Paris"),
    ("table", "a\tb\tc\n1\t2\t3\n4\t5\t6"),
    ("mathematics", "Solve for x: 2x^2 + 3x = 5"),
    ("mathematics", "Evaluate $\\int_0^1 \\frac{1}{x} dx$."),
    ("mathematics", "Anna has 3 apples and buys 4 more. How many apples does she have?"),
    ("list", "Buy:\n- milk\n- eggs"),
    ("list", "1. Open the door\n2. Go in"),
    ("question", "What is the capital of Peru?"),
    ("question", "who wrote hamlet"),
    ("question", "I lost my card. What should I do"),
    ("question", "Wo ist der Bahnhof?"),
    ("question", "你好吗？"),
    ("question", "كيف حالك؟"),
    ("instruction", "Summarize the text below."),
    ("instruction", "Please, could you write a letter to my landlord"),
    ("instruction", "The report is long and dull.\nMake it shorter."),
    ("instruction", "Übersetze diesen Satz ins Englische."),
]
HOLDS_NOT: list[tuple[str, str]] = [
    ("json", "Use braces {like these} and quotes."),
    ("code", "Select a restaurant from the list where we can order by phone."),
    ("code", "The class of 1999 returns for its reunion."),
    ("table", "Dear all,\nthank you, Anna, for coming,\nand you, Bob, for the cake."),
    ("table", "Statement 1 | A ring. Statement 2 | A field."),
    ("mathematics", "How many people live in the capital?"),
    ("mathematics", "I was born on 12.03.1984 in Hamburg."),
    ("list", "A well-known fact - or so they say."),
    ("list", "In 1. FC we trust."),
    ("question", "Open https://example.org/?q=1 for me."),
    ("question", "I have a cat."),
    ("instruction", "The weather is fine."),
    ("instruction", "what is my balance"),
]


@pytest.mark.parametrize(("name", "text"), HOLDS)
def test_a_kind_of_text_is_recognised(name: str, text: str) -> None:
    assert name in Structures().of(text).names


@pytest.mark.parametrize(("name", "text"), HOLDS_NOT)
def test_what_only_looks_alike_is_not_taken_for_it(name: str, text: str) -> None:
    assert name not in Structures().of(text).names


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "import os\n\ndef main():\n    print(os.getcwd())"),
        ("javascript", "const f = (a) => {\n  console.log(a);\n};"),
        ("typescript", "interface User {\n  name: string;\n}"),
        ("java", "public class Main {\n  public static void main(String[] args) {}\n}"),
        ("c", '#include <stdio.h>\nint main(void) { printf("hi"); return 0; }'),
        ("cpp", "#include <iostream>\nint main() { std::cout << 1; }"),
        ("csharp", "using System;\nConsole.WriteLine(1);"),
        ("go", 'package main\nfunc main() { fmt.Println("hi") }'),
        ("rust", 'fn main() {\n    let mut x = 1;\n    println!("{}", x);\n}'),
        ("php", "<?php echo $x; ?>"),
        ("ruby", "[1, 2].each do |x|\n  puts x\nend"),
        ("sql", "SELECT * FROM orders WHERE total > 10"),
        ("shell", "#!/bin/sh\nls | grep x"),
        ("html", "<html><body><div>hi</div></body></html>"),
        ("", "Write a function that adds two numbers."),
        ("", "A letter to my aunt."),
    ],
)
def test_the_language_of_code_is_told_where_it_is_clear(language: str, text: str) -> None:
    assert Structures().of(text).code_language == language


def test_only_what_is_wanted_is_found_out() -> None:
    text = '{"a": 1}\nWrite a python function?'
    assert Structures({"json"}).of(text).names == ("json",)
    assert Structures({CODE_LANGUAGE}).of(text).code_language == "python"
    assert Structures(frozenset()).of(text) == ((), "")


def test_the_names_are_those_of_the_configuration() -> None:
    assert ALL - {CODE_LANGUAGE} == set(get_args(Name))
    assert set(CODE) == set(get_args(CodeLanguage))


def test_a_long_text_is_judged_by_both_its_ends() -> None:
    middle = "x " * 5_000
    assert "question" in Structures().of(f"{middle}. What now?").names
    assert "json" in Structures().of(f'{{"a": 1}}{middle}').names
    assert "json" not in Structures().of(f'{middle}{{"a": 1}}{middle}').names
    assert len(middle) > GLANCE_HEAD_CHARS + GLANCE_TAIL_CHARS


@given(st.text())
def test_any_text_has_a_structure(text: str) -> None:
    found = Structures().of(text)
    assert set(found.names) <= ALL
    assert found.code_language in ("", *CODE)
    assert bool(found.code_language) <= ("code" in found.names)
