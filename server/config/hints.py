"""What somebody meant who wrote a number or an address as a person would."""

import re

_THOUSANDS = re.compile(r"[1-9]\d{0,2}([,_' ]\d{3})+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"\d+,\d+")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}")
PORT_MAX = 65_535
_SIGN = re.compile(r"^[-+]")


def with_hint(message: str, hint: str) -> str:
    """The message, and what to write instead where that is known."""
    return f"{message}: {hint}" if hint else message


def number_hint(text: str) -> str:
    """Such as "write 5000" for "5,000"; empty where no number can be meant."""
    bare = text.strip().removeprefix("$").removesuffix("$").strip()
    sign = "-" if bare.startswith("-") else ""
    bare = _SIGN.sub("", bare)
    percent = bare.endswith("%")
    bare = bare.removesuffix("%").strip()
    if _THOUSANDS.fullmatch(bare):
        bare = re.sub(r"[,_' ]", "", bare)
    elif _DECIMAL_COMMA.fullmatch(bare):
        bare = bare.replace(",", ".")
    if not _NUMBER.fullmatch(bare):
        return ""
    return f"write {sign}{_percent(bare) if percent else bare}"


def address_hint(text: str) -> str:
    """Such as "write 127.0.0.1:27080" for "27080"; empty where no address can be meant."""
    bare = text.strip().removeprefix(":")
    if bare.isdecimal() and bare.isascii():
        port = int(bare[:6])  # no more digits than tell that it is none
        return (
            f"write 127.0.0.1:{port}, or another host before the port" if port <= PORT_MAX else ""
        )
    if _HOST.fullmatch(bare):
        return f"write {bare}:PORT, with its port"
    return ""


def _percent(number: str) -> str:
    return f"{float(number) / 100:.10g}"
