import pytest

from server.config.hints import number_hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("5,000", "write 5000"),
        ("1,234,567.5", "write 1234567.5"),
        ("5 000", "write 5000"),
        ("5_000", "write 5000"),
        ("$5,000", "write 5000"),
        ("5000$", "write 5000"),
        ("-5,000", "write -5000"),
        ("0,002", "write 0.002"),
        ("0,95", "write 0.95"),
        ("95%", "write 0.95"),
        ("99.9 %", "write 0.999"),
        ("5000", "write 5000"),
        ("5,0,0", ""),
        ("much", ""),
        ("", ""),
        ("1e3", ""),
        ("5000 USD", ""),
    ],
)
def test_a_number_as_people_write_it_is_told_as_a_file_has_it(text: str, hint: str) -> None:
    assert number_hint(text) == hint
