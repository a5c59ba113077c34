import pytest

from server.config.diagnostics import ConfigError
from server.config.yaml_tree import DEPTH_MAX, VALUE_CHARS, VALUES_MAX, read_yaml


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 1", {"a": 1}),
        ("a: -1.5", {"a": -1.5}),
        ("a: 1e-6", {"a": 1e-6}),
        ("a: '1'", {"a": "1"}),
        ("a: !!str 1", {"a": "1"}),
        ("a: [true, FALSE, ~, null]", {"a": [True, False, None, None]}),
        ("a:", {"a": None}),
        ("a: ''", {"a": ""}),
        ("a: |\n  b\n  c\n", {"a": "b\nc\n"}),
        ("no: no", {"no": "no"}),
        ("5: {6: 7}", {"5": {"6": 7}}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: 2024-11-05", {"a": "2024-11-05"}),
        ("a: 0x10", {"a": "0x10"}),
        ("a: .nan", {"a": ".nan"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("- 1\n- [2]", [1, [2]]),
        ("a: " + 41 * "9", {"a": 41 * "9"}),
        ("--- !!map\na: !!seq [1]", {"a": [1]}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, data: object) -> None:
    root, diagnostics = read_yaml(text)
    assert (root.data, diagnostics) == (data, [])


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "the file is empty"),
        ("# nothing\n", None, "the file is empty"),
        ("a: 1\nb: [1\nc: 2", 3, "this is not YAML: did not find expected ',' or ']'"),
        ("a: 1\nb: c: d", 2, "this is not YAML: mapping values are not allowed"),
        ("a: 1\n\tb: 1", 2, "this is not YAML: found a tab character"),
        ("a: 1\n---\nb: 2", 2, "a second document begins"),
        ("é: 1\nb: \x07", 2, "a control character stands here"),
        ("a: 1\n? [b]\n: 2", 2, "a key must be text"),
        ("a: 1\nb: *x", 2, "*x stands for nothing"),
        ("a: &x\n  b: *x", 2, "*x stands for nothing"),
        ("a:\n  " + 40 * "[" + 40 * "]", 2, "the nesting must be at most 32 deep"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(
    text: str, line: int | None, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(text)
    (problem,) = caught.value.diagnostics
    assert problem.path == ""
    assert problem.line == line
    assert words in problem.message


def test_a_key_given_twice_is_a_problem_and_the_first_counts() -> None:
    root, (problem,) = read_yaml("a:\n- b: 1\n  c: 2\n  b: 3")
    assert root.data == {"a": [{"b": 1, "c": 2}]}
    assert str(problem) == "a[0].b (line 4): is given in line 2 already: leave one out"


def test_tags_and_merge_keys_are_not_read() -> None:
    _, (problem,) = read_yaml("a: !!python/object:os.system x")
    assert str(problem).startswith(
        "a (line 1): the tag 'tag:yaml.org,2002:python/object:os.system'"
    )
    root, _ = read_yaml("a: &x {b: 1}\nc:\n  <<: *x")
    assert root.data == {"a": {"b": 1}, "c": {"<<": {"b": 1}}}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 1),
        (("a", 0), 2),
        (("a", 0, "c"), 3),
        (("a", 0, "missing"), 2),
        (("b",), 4),
        (("b", 0, "c"), 3),
        (("missing", 3), 1),
        ((), 1),
    ],
)
def test_a_path_is_found_in_the_line_of_its_key(path: tuple[str | int, ...], line: int) -> None:
    root, _ = read_yaml("a: &x\n  - b: 1\n    c: 2\nb: *x")
    assert root.line_of(path) == line


def test_the_deepest_nesting_is_read_and_a_far_deeper_one_is_survived() -> None:
    read_yaml(DEPTH_MAX * "[" + DEPTH_MAX * "]")
    with pytest.raises(ConfigError, match="at most 32 deep"):
        read_yaml(2_000_000 * "[")


@pytest.mark.slow
def test_a_file_holds_a_bounded_number_of_values() -> None:
    full = "[" + (VALUES_MAX - 1) * "1," + "]"
    read_yaml(full)
    with pytest.raises(ConfigError, match="more than 200,000 values"):
        read_yaml(full[:-1] + "1]")


def test_aliases_nest_no_deeper_than_what_is_written_out() -> None:
    levels = [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, DEPTH_MAX + 2)]
    read_yaml("\n".join(["a0: &a0 1", *levels[: DEPTH_MAX - 1]]))
    with pytest.raises(ConfigError, match="at most 32 deep"):
        read_yaml("\n".join(["a0: &a0 1", *levels]))


def test_aliases_count_for_what_they_stand_for() -> None:
    levels = [f"a{i}: &a{i} [*a{i - 1},*a{i - 1},*a{i - 1}]" for i in range(1, 40)]
    with pytest.raises(ConfigError, match="with what aliases stand for"):
        read_yaml("\n".join(["a0: &a0 [1]", *levels]))


def test_long_text_counts_for_several_values_wherever_an_alias_repeats_it() -> None:
    text = (VALUES_MAX // 10 * VALUE_CHARS) * "x"
    with pytest.raises(ConfigError, match="more than 200,000 values"):
        read_yaml(f"a: &a {text}\nb: [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]")
