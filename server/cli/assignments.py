"""KEY=VALUE of the command line, as a message of the admin service and the mask that goes with it.

Keys are those of the configuration file: `floor=0.95 slo.ms=800`.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args

import typer
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from rich.markup import escape

from server.config.diagnostics import did_you_mean
from server.config.hints import number_hint
from server.config.section import Section

# Removes a limit, a list or a section.
NONE = "none"
_BOOLS = {"true": True, "false": False}

Assignments = Annotated[
    list[str],
    typer.Argument(
        metavar="KEY=VALUE...", help="What to change, by the keys below.", show_default=False
    ),
]


# Fields of these kinds are never without a value, unless they say that they may be.
_ALWAYS_SET = (FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_BOOL)


def assign(message: Message, assignments: Sequence[str], *, keys: Sequence[str]) -> FieldMask:
    """Fills in what is assigned, and returns which fields that are.

    A command that assigns what cannot be is told which key, and what would be right.
    """
    mask = FieldMask()
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise typer.BadParameter(f"{assignment!r} is no KEY=VALUE, such as {keys[0]}=...")
        if key not in keys:
            raise typer.BadParameter(f"{key!r} cannot be set: {did_you_mean(key, keys)}")
        if key in mask.paths:
            raise typer.BadParameter(f"{key} is given twice: give it once")
        _assign(message, key, text)
        mask.paths.append(key)
    return mask


def _assign(message: Message, key: str, text: str) -> None:
    *sections, last = key.split(".")
    for section in sections:
        message = getattr(message, section)
        message.SetInParent()
    field = message.DESCRIPTOR.fields_by_name[last]
    if field.is_repeated:
        getattr(message, last).extend([] if text == NONE else text.split(","))
    elif field.message_type is not None:
        if text != NONE:
            raise typer.BadParameter(f"{key}: only none can be given, which removes it")
    elif text != NONE or (field.cpp_type in _ALWAYS_SET and not field.has_presence):
        setattr(message, last, _value(field, key, text))


def _value(field: Any, key: str, text: str) -> object:
    if field.cpp_type == field.CPPTYPE_STRING:
        return text
    if field.cpp_type == field.CPPTYPE_BOOL:
        return _bool(key, text)
    if field.cpp_type == field.CPPTYPE_DOUBLE:
        return _number(key, text)
    return _whole(key, text, least=0 if field.cpp_type == field.CPPTYPE_UINT32 else -(2**31))


def _bool(key: str, text: str) -> bool:
    if text not in _BOOLS:
        raise typer.BadParameter(f"{key} is true or false, not {text!r}")
    return _BOOLS[text]


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{key} is a number, not {_shown(text)}") from None


def _whole(key: str, text: str, *, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise typer.BadParameter(f"{key} is a whole number, not {_shown(text)}") from None
    if not least <= number < 2**31:
        raise typer.BadParameter(f"{key} is from {least:,} to {2**31 - 1:,}, not {text}")
    return number


def _shown(text: str) -> str:
    hint = number_hint(text)
    return f"{text!r}: {hint}" if hint else repr(text)


def keys_help(section: type[Section], keys: Sequence[str], example: str) -> str:
    """What follows the options in --help: an example, then every key in the words of the file's."""
    return "\n".join((f"Example: [bold]turnout {example}[/]", "", *_lines(section, keys)))


def _lines(section: type[Section], keys: Sequence[str]) -> Iterator[str]:
    yield f"Keys, as in the configuration file ({NONE} removes a limit, a list or a section):"
    width = max(map(len, keys))
    for key in keys:
        yield f"  [bold]{key:{width}}[/]  {escape(_doc(section, key.split('.')))}"


def _doc(section: type[Section], path: Sequence[str]) -> str:
    """What the configuration says of a key."""
    field = section.model_fields[path[0]]
    if len(path) == 1:
        return field.description or ""
    kinds = (field.annotation, *get_args(field.annotation))
    inner = next(k for k in kinds if isinstance(k, type) and issubclass(k, Section))
    return _doc(inner, path[1:])
