from collections.abc import Sequence
from pathlib import Path

import pytest

from server.training.examples import Columns, Example, read_domains, read_examples
from server.training.records import DataInvalid


def table(folder: Path, *lines: str) -> Path:
    file = folder / "data.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_the_usual_columns_are_found(tmp_path: Path) -> None:
    file = table(tmp_path, "id,prompt,subject", "1,what is law,law")
    assert read_examples(file, Columns()) == [Example("what is law", "", "law")]


def test_columns_can_be_named(tmp_path: Path) -> None:
    file = table(tmp_path, "q,topic,text", "what is law,law,x")
    columns = Columns(text="q", domain="topic")
    assert read_examples(file, columns) == [Example("what is law", "", "law")]


def test_the_column_of_the_domain_is_not_that_of_the_intent_too(tmp_path: Path) -> None:
    file = table(tmp_path, "text,label", "what is law,law")
    assert read_examples(file, Columns(domain="label")) == [Example("what is law", "", "law")]


def test_domains_come_from_a_file_of_their_own(tmp_path: Path) -> None:
    file = table(tmp_path, "text,label", "where is my money,balance")
    domains = tmp_path / "domains.csv"
    domains.write_text("label,domain\nbalance,Retail Banking\n")
    found = read_examples(file, Columns(), read_domains(domains))
    assert found == [Example("where is my money", "balance", "retail-banking")]


def test_oos_and_other_are_outside(tmp_path: Path) -> None:
    file = table(tmp_path, "text,label,domain", "a joke,oos,", "b,other,x", "c,x,other")
    found = read_examples(file, Columns())
    assert [example.outside for example in found] == [True] * 3


@pytest.mark.parametrize(
    ("lines", "columns", "says"),
    [
        (["text,label"], Columns(), "no examples"),
        (["a,b", "1,2"], Columns(), "it has the columns a, b: name the one of the text"),
        (["text,b", "1,2"], Columns(), "name the one of the text, and the one of the label"),
        (["text,label", "1,2"], Columns(domain="topic"), "no column 'topic', but text, label"),
        (["text,label", "hi,x", " ,y"], Columns(), "row 3: the text is empty"),
        (["text,label", "hi,"], Columns(), "row 2: give a label of 1 to 128 printable characters"),
        (["text,label", "hi,a\x00b"], Columns(), "row 2: give a label of 1 to 128 printable"),
        (["text,label", "hi," + "x" * 129], Columns(), "row 2: give a label of 1 to 128"),
        (["text,domain", "hi,!"], Columns(), "row 2: '!' is no name of a domain"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(
    tmp_path: Path, lines: Sequence[str], columns: Columns, says: str
) -> None:
    with pytest.raises(DataInvalid, match=says):
        read_examples(table(tmp_path, *lines), columns)


def test_a_label_without_a_domain_is_named(tmp_path: Path) -> None:
    file = table(tmp_path, "text,label", "hi,greet")
    with pytest.raises(DataInvalid, match="row 2: label 'greet' is not in the file of domains"):
        read_examples(file, Columns(), {"leave": "talk"})


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["label", "x"], "row 2: give a label and its domain"),
        (["label,domain", "x,a", "x,b"], "row 3: label 'x' has another domain above"),
    ],
)
def test_a_file_of_domains_has_one_for_each_label(
    tmp_path: Path, lines: Sequence[str], says: str
) -> None:
    with pytest.raises(DataInvalid, match=says):
        read_domains(table(tmp_path, *lines))
