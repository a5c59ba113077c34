"""Rules in words, for a decision's reason and for who asks why."""

from collections.abc import Iterator, Mapping

from server.config.match import MatchConfig, RangeConfig
from server.config.section import Section

# A reason is one sentence: of a longer rule the rest is only counted.
_CONDITIONS_MAX = 3
_VALUES_MAX = 3
_VALUE_CHARS_MAX = 40


def in_short(block: MatchConfig) -> str:
    """Its conditions: "labels app, structures code"."""
    words = list(conditions(block).values())
    more = len(words) - _CONDITIONS_MAX
    return ", ".join(words[:_CONDITIONS_MAX]) + (f" and {more} more" if more > 0 else "")


def conditions(block: MatchConfig) -> Mapping[str, str]:
    """Each key that is given, with what it wants."""
    return {
        key: f"{key.replace('_', ' ')} {_wanted(value)}".rstrip()
        for key, value in block
        if value not in (None, (), {})
    }


def _wanted(value: object) -> str:
    if isinstance(value, bool):
        return "offered" if value else "not offered"
    if isinstance(value, tuple):
        return _listed(tuple(map(str, value)))
    if isinstance(value, dict):
        return _listed(tuple(map(str, value)))
    if isinstance(value, RangeConfig):
        return _range(value)
    return " and ".join(_parts(value)) if isinstance(value, Section) else ""


def _parts(section: Section) -> Iterator[str]:
    """Of keywords and tensors."""
    for key, value in section:
        if value not in (None, ()):
            wanted = _listed(value, " and ") if key == "all_of" else _wanted(value)
            yield f"{key.replace('_', ' ')} {wanted}"


def _listed(values: tuple[str, ...], last: str = " or ") -> str:
    shown = [v if len(v) <= _VALUE_CHARS_MAX else f"{v[:_VALUE_CHARS_MAX]}..." for v in values]
    if len(shown) > _VALUES_MAX:
        return f"{', '.join(shown[: _VALUES_MAX - 1])} and {len(shown) - _VALUES_MAX + 1} more"
    return last.join(shown)


def _range(bounds: RangeConfig) -> str:
    if bounds.max is None:
        return f"from {bounds.min}"
    return f"to {bounds.max}" if bounds.min is None else f"{bounds.min} to {bounds.max}"
