"""What somebody meant who wrote a number or an address as a person would."""

import re

_THOUSANDS = re.compile(r"[1-9]\d{0,2}([,_' ]\d{3})+(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"\d+,\d+")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_SIGN = re.compile(r"^[-+]")


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


def _percent(number: str) -> str:
    return f"{float(number) / 100:.10g}"
