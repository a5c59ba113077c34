import pytest

from server.config.diagnostics import ConfigError
from server.config.hints import address_hint, number_hint
from server.config.parse import parse
from tests.server.configs import plain

DATA, AMOUNT = ("listeners", "data"), ("budgets", 0, "amount_usd")


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


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("27080", "write 127.0.0.1:27080, or another host before the port"),
        (":27080", "write 127.0.0.1:27080, or another host before the port"),
        ("localhost", "write localhost:PORT, with its port"),
        ("10.0.0.1", "write 10.0.0.1:PORT, with its port"),
        ("70000", ""),
        ("http://host:80", ""),
        ("", ""),
    ],
)
def test_half_an_address_is_told_whole(text: str, hint: str) -> None:
    assert address_hint(text) == hint


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (DATA, 27080, "listeners.data: must be text (in quotes), not 27080: write 127.0.0.1:27080"),
        (DATA, "27080", "must be host:port or unix:/PATH, not '27080': write 127.0.0.1:27080"),
        (("models", 0, "endpoints", 0), 8001, "not 8001: write 127.0.0.1:8001"),
        (AMOUNT, "5,000", "budgets[0].amount_usd: must be a number, not '5,000': write 5000"),
        (("budgets", 0, "000"), None, "unknown key '000': a number is written without commas"),
    ],
)
def test_a_configuration_that_says_it_so_is_told_what_to_write(
    at: tuple[str | int, ...], value: object, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(plain((at, value)))
    assert words in str(caught.value)


@pytest.mark.parametrize("at", [("listeners", "admin_token_file"), ("models", 0, "version")])
def test_a_number_where_no_address_belongs_gets_no_address(at: tuple[str | int, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(plain((at, 5)))
    assert "must be text (in quotes), not " in str(caught.value)
    assert "did you mean" not in str(caught.value)
