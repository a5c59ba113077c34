# ruff: noqa: RUF001  texts of East Asia have commas and colons of their own
import csv
import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.reading.token_estimate import (
    READ_WHOLE_CHARS,
    STRETCH_CHARS,
    STRETCHES,
    cases_of,
    cases_of_few,
    estimate_tokens,
)

# Lone surrogates too: a string of Python may hold them.
TEXTS = st.text(st.characters(exclude_categories=()), max_size=200)

ENGLISH = (
    "The council met on Tuesday to decide whether the old bridge should be repaired or replaced. "
    "Engineers had warned for years that its bearings were worn, yet nobody wanted to close the "
    "only road into town during the harvest. In the end they agreed on a compromise: one lane "
    "stays open, lorries wait for the ferry, and the mayor's office pays for the signs."
)
CODE = '''\
def merged(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Joins what overlaps."""
    result: list[tuple[int, int]] = []
    for begin, end in sorted(intervals):
        if result and begin <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((begin, end))
    return result


if __name__ == "__main__":
    print(merged([(1, 3), (2, 6), (8, 10)]))
'''
CHINESE = (
    "市议会星期二开会，讨论旧桥应该修理还是重建。工程师多年来一直警告说支座已经磨损，"
    "但是没有人愿意在收获季节关闭进城的唯一道路。最后大家同意了一个折中方案：保留一条车道，"
    "卡车改乘渡船，路牌的费用由市长办公室承担。居民们对这个决定并不完全满意，不过他们承认，"
    "这比什么都不做要好得多。"
)
JAPANESE = (
    "市議会は火曜日に集まり、古い橋を修理するか架け替えるかを話し合った。技術者たちは何年も前から"
    "支承が傷んでいると警告していたが、収穫の時期に町へ入る唯一の道を閉じたい人はいなかった。"
    "結局、一車線だけを残し、トラックはフェリーを待つという妥協案でまとまった。"
)
KOREAN = (
    "시의회는 화요일에 모여 낡은 다리를 고칠지 새로 지을지 논의했다. "
    "기술자들은 몇 년 전부터 받침이 닳았다고 경고했지만, "
    "추수철에 마을로 들어오는 유일한 길을 막고 싶어 하는 사람은 없었다. "
    "결국 한 차선만 열어 두고 화물차는 배를 기다리기로 했다."
)
MIXED = (
    "请解释下面这段代码为什么会抛出 `KeyError`，并给出修改后的版本：\n\n```python\n"
    "totals = {}\nfor name, amount in rows:\n    totals[name] += amount\nprint(sorted(totals))\n"
    "```\n\nI tried `dict.get` but the result is still wrong. 谢谢！"
)


@pytest.mark.parametrize(
    ("text", "cl100k_tokens"),
    [
        pytest.param(ENGLISH, 73, id="english"),
        pytest.param(CODE, 129, id="code"),
        pytest.param(CHINESE, 165, id="chinese"),
        pytest.param(JAPANESE, 148, id="japanese"),
        pytest.param(KOREAN, 140, id="korean"),
        pytest.param(MIXED, 76, id="mixed"),
    ],
)
def test_a_text_that_was_not_fitted_is_near_its_count(text: str, cl100k_tokens: int) -> None:
    assert estimate_tokens(text) == pytest.approx(cl100k_tokens, rel=0.15)


def test_an_empty_text_has_no_token() -> None:
    assert estimate_tokens("") == 0


@given(TEXTS.filter(bool))
def test_a_text_has_at_least_one_token_and_at_most_its_octets(text: str) -> None:
    assert 1 <= estimate_tokens(text) <= len(text.encode("utf-8", "surrogatepass"))


@given(TEXTS, TEXTS)
def test_a_text_never_has_fewer_tokens_than_what_it_begins_with(begin: str, rest: str) -> None:
    assert estimate_tokens(begin + rest) >= estimate_tokens(begin)


@given(TEXTS, TEXTS)
def test_two_texts_joined_have_about_as_many_tokens_as_both(one: str, other: str) -> None:
    apart = estimate_tokens(one) + estimate_tokens(other)
    # Each is rounded, and one of rare letters alone is held down to its octets.
    assert estimate_tokens(one + other) == pytest.approx(apart, abs=4, rel=0.35)


@given(st.text(min_size=20, max_size=60), st.integers(2, 5))
def test_a_long_text_has_as_many_tokens_as_its_length_says(text: str, times: int) -> None:
    long = text * (READ_WHOLE_CHARS // len(text))
    per_char = estimate_tokens(long) / len(long)
    # The cuts may fall inside a repetition alike in all stretches: of what has all its tokens in
    # one half, a stretch of 256 then has 5 of 4.3 repetitions of 60.
    assert estimate_tokens(long * times) == pytest.approx(per_char * len(long) * times, rel=0.17)


def test_of_a_long_text_stretches_are_read_from_its_beginning_to_its_end() -> None:
    chars, gap = (STRETCHES - 1) * 10_000 + STRETCH_CHARS, 10_000 - STRETCH_CHARS
    read, unread = "word " * 1_000, "한" * gap
    text = unread.join([read[:STRETCH_CHARS]] * STRETCHES)
    assert len(text) == chars
    assert estimate_tokens(text) == estimate_tokens(text.replace("한", "7"))
    for start in range(0, chars, 10_000):
        other = text[:start] + "7" * STRETCH_CHARS + text[start + STRETCH_CHARS :]
        assert estimate_tokens(other) > estimate_tokens(text)


@pytest.mark.parametrize(
    "text",
    ["a" * 10_000_000, "e\u0301" * 100_000, "\u202e" + "א" * 100_000, "\n" * 100_000, "\U0001f600"],
    ids=["one letter", "combining", "right to left", "empty lines", "emoji"],
)
def test_texts_that_nobody_writes_have_an_estimate(text: str) -> None:
    assert 1 <= estimate_tokens(text) <= 4 * len(text)


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_few_characters_are_added_up_as_many_are(text: str) -> None:
    assert cases_of_few(text) == cases_of(text)


def test_every_two_characters_of_ascii_are_added_up_as_they_are_among_many() -> None:
    ascii_ = list(map(chr, range(0x80)))
    assert [cases_of_few(a + b) for a in ascii_ for b in ascii_] == [
        cases_of(a + b) for a in ascii_ for b in ascii_
    ]


def recorded() -> Iterator[tuple[str, int]]:
    """Prompts that were not cut, and their counts by cl100k_base."""
    data = os.environ.get("TURNOUT_DATA")
    if data is None:
        pytest.skip("TURNOUT_DATA names no folder with recorded data")
    files = sorted(Path(data).glob("outcomes/*/queries.csv.gz"))
    assert files, "TURNOUT_DATA/outcomes holds no queries"
    for file in files:
        with gzip.open(file, "rt", newline="") as table:
            for row in csv.DictReader(table):
                if len(row["prompt"].encode()) < 8_190:
                    yield row["prompt"], int(row["input_tokens"])


def test_recorded_prompts_are_within_10_percent_and_unbiased_within_2() -> None:
    pairs = [(estimate_tokens(text), tokens) for text, tokens in recorded() if len(text) >= 200]
    errors = [abs(estimate - tokens) / tokens for estimate, tokens in pairs]
    assert sum(errors) / len(errors) < 0.1
    estimated, counted = (sum(column) for column in zip(*pairs, strict=True))
    assert estimated == pytest.approx(counted, rel=0.02)
