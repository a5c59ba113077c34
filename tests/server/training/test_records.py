import gzip
from pathlib import Path

import pytest

from server.training.records import DataInvalid, read_records


def test_a_csv_and_a_jsonl_read_alike(tmp_path: Path) -> None:
    table, lines = tmp_path / "a.csv", tmp_path / "a.jsonl"
    table.write_text('text,label\n"hi, you",greet\nbye,leave\n')
    lines.write_text(
        '{"text": "hi, you", "label": "greet"}\n\n{"label": "leave", "text": "bye", "n": 1}\n'
    )
    rows = [{"text": "hi, you", "label": "greet"}, {"text": "bye", "label": "leave"}]
    assert [dict(row) for _, row in read_records(table)] == rows
    assert [dict(row) for _, row in read_records(lines)] == rows


def test_rows_are_numbered_as_an_editor_numbers_lines(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text('text\n"one\ntwo"\nthree\n')
    assert [number for number, _ in read_records(table)] == [3, 4]


def test_a_gzipped_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    table = tmp_path / "a.csv.gz"
    table.write_bytes(gzip.compress("\ufefftext\nhü\n".encode()))
    assert [dict(row) for _, row in read_records(table)] == [{"text": "hü"}]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.txt", b"", "give a .csv or .jsonl file"),
        ("a.csv", b"a,b\n1\n", "row 2: it has not as many fields as the head"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "row 3: it has not as many fields as the head"),
        ("a.csv", b'a\n"1', "row 1: unexpected end of data"),
        ("a.csv", b"a\n\xff\n", "it is not UTF-8"),
        ("a.csv.gz", b"a\n1\n", "Not a gzipped file"),
        ("a.csv.gz", gzip.compress(b"a\n1\n")[:-3], "ended before"),
        ("a.csv.gz", gzip.compress(b"a\n1\n")[:10] + b"\xff" * 20, "decompressing"),
        ("a.jsonl", b'{"a": "1"}\n{"a"\n', "row 2: it is not JSON"),
        ("a.jsonl", b"[" * 100_000 + b"\n", "row 1: it is not JSON"),
        ("a.jsonl", b"[1]\n", "row 1: give an object"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(
    tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    with pytest.raises(DataInvalid, match=says):
        list(read_records(file))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"b\.csv: No such file"):
        list(read_records(tmp_path / "b.csv"))
