from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.diagnostics import ConfigError
from server.config.file import FILE_BYTES_MAX, load

EXAMPLE = Path(__file__).parents[3] / "deploy/example.yaml"
LINES = EXAMPLE.read_text().splitlines(keepends=True)


def test_the_example_is_read() -> None:
    config = load(EXAMPLE)
    assert [model.name for model in config.models] == [
        *("small", "large", "reader", "hosted", "own", "vectors"),
    ]
    assert [c.name for c in config.classes] == [
        *("forms", "scans", "code-help", "advice", "support", "everything-else"),
    ]


def test_every_problem_is_listed_with_its_line_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
models:
  - name: small
    protocol: oip
    endpoints: [127.0.0.1]
    price: {request_usd: -1}
    price: {request_usd: 1}
    prior_accuracy: 0.8
classes:
  - name: chat
    default: true
    flor: 0.9
budgets:
  - name: team
    amount_usd: 5
    period: day
    kind: hard
"""
    with pytest.raises(ConfigError) as caught:
        load(_file(tmp_path, text.encode()))
    assert [(problem.line, problem.path) for problem in caught.value.diagnostics] == [
        (5, "models[0].price.request_usd"),
        (6, "models[0].price"),
        (11, "classes[0].flor"),
        (16, "budgets[0].kind"),
    ]


def test_a_key_that_is_missing_is_looked_for_in_the_line_of_its_entry(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(_file(tmp_path, b"window_s: 5\nclasses:\n- name: a\n  default: true\nmodels:\n- {}\n"))
    found = {(problem.line, problem.path) for problem in caught.value.diagnostics}
    assert (6, "models[0].name") in found


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"window_s: 5\nmodels: \xff", "the file must be text in UTF-8"),
        (b"", "the file is empty"),
        (b"- a", "must be a mapping"),
        (b"#" * (FILE_BYTES_MAX + 1), "must be at most 4 MiB long"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(_file(tmp_path, data))


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert load(_file(tmp_path, b"\xef\xbb\xbf" + EXAMPLE.read_bytes())) == load(EXAMPLE)


def test_a_file_of_the_greatest_length_is_read(tmp_path: Path) -> None:
    data = EXAMPLE.read_bytes()
    assert load(_file(tmp_path, data + b"#" * (FILE_BYTES_MAX - len(data)))) == load(EXAMPLE)


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere.yaml", "No such file"), ("", "Is a directory")]
)
def test_a_file_that_cannot_be_opened_is_a_problem(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path / name)


@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, len(LINES) - 1),
            st.sampled_from(["", "- ", "  ", "&a ", "*a", "{", "[", "'", '"', "!!set ", "? ", "|"]),
            st.integers(0, 30),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_an_example_that_was_mistyped_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, str, int]]
) -> None:
    lines = list(LINES)
    for index, typed, column in changes:
        lines[index] = lines[index][:column] + typed + lines[index][column + 1 :]
    _read_or_refuse(tmp_path_factory.getbasetemp() / "mistyped.yaml", "".join(lines).encode())


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    _read_or_refuse(tmp_path_factory.getbasetemp() / "bytes.yaml", data)


def _read_or_refuse(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    messages = ["read"]
    try:
        load(path)
    except ConfigError as error:
        messages = [problem.message for problem in error.diagnostics]
    assert messages
    assert all(messages)


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "turnout.yaml"
    path.write_bytes(data)
    return path
