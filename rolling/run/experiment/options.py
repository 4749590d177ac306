"""From a dataclass with defaults to command-line options, and from arguments to a value.

Every field is an option (`--window.size 12`). A field that holds an exchangeable part also takes the name
of another part (`--solver ancestral`), which keeps the fields that both have, and a field that holds several
parts takes several names (`--augment translate,shift_reflect`); tyro does the rest.
"""

import contextlib
import dataclasses
import inspect
import io
import re
import sys
import typing
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any, TypeVar

import tyro
from typing_extensions import is_protocol

from rolling.common.errors import InputError
from rolling.common.terminal import bare
from rolling.run.experiment.codec import fits, hints_of, made
from rolling.run.experiment.former import FIELDS
from rolling.run.experiment.registry import alternatives, lacking, named_so

T = TypeVar("T")
ALIKE = 0.8
"""Share of letters in common, from which on an option may be a misspelt other one."""


def parse(default: T, arguments: list[str], program: str, fixed: Collection[str] = ()) -> T:
    """`default` with the fields named in the arguments replaced; `fixed` are those that a run has, too, but
    keeps as they are.

    Raises `InputError` with one sentence for an unknown option (naming the nearest one) and for a value of
    the wrong type. `--help` prints and exits.
    """
    default, arguments = _choose_parts(default, _spread(arguments))
    arguments = _unlisted(arguments, _lists_of_numbers(default))
    if not arguments:
        return _widen(default, default)
    helped = bool({"-h", "--help"} & set(arguments))
    if not helped:
        _check_names(default, arguments, fixed)
    narrow = _narrow(default, set() if helped else _asked(arguments))
    stderr = io.StringIO()
    try:
        # Help comes in colours.
        with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(bare(sys.stdout)):
            value = tyro.cli(
                type(narrow),
                default=narrow,
                args=arguments,
                prog=program,
                description=_exchangeable(default),
                config=(tyro.conf.CascadeSubcommandArgs,),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(
            f"{_one_sentence(stderr.getvalue()).rstrip('.')}; `{program} --help` lists the options"
        ) from None
    return _widen(value, default)


def _spread(arguments: list[str]) -> list[str]:
    """`--solver=ddim` as the two words that it stands for."""
    words = [word.split("=", 1) if word.startswith("--") else [word] for word in arguments]
    return [part for word in words for part in word]


def _lists_of_numbers(value: Any, prefix: str = "--") -> set[str]:
    """The options that take several numbers."""
    hints, found = hints_of(type(value)), set()
    for field in dataclasses.fields(value):
        option, item = prefix + field.name.replace("_", "-"), getattr(value, field.name)
        items = typing.get_args(hints[field.name]) if isinstance(item, tuple) else ()
        if items and set(typing.get_args(items[0]) or items[:1]) <= {int, float}:
            found.add(option)
        parts = {option: item} | {f"{option}.{i}": part for i, part in enumerate(items and item)}
        for name, part in parts.items():
            found |= _lists_of_numbers(part, name + ".") if dataclasses.is_dataclass(part) else set()
    return found


def _unlisted(arguments: list[str], options: set[str]) -> list[str]:
    """`--ages 2,3` as `--ages 2 3`."""
    words, option = [], ""
    for word in arguments:
        option = word if word.startswith("--") else option
        words += word.strip(",").split(",") if option in options and word != option else [word]
    return words


def option_names(value: Any, prefix: str = "") -> list[str]:
    """The dotted names of all fields, `window.size`."""
    names = []
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        name = prefix + field.name.replace("_", "-")
        names.append(name)
        if dataclasses.is_dataclass(item):
            names += option_names(item, name + ".")
        elif isinstance(item, tuple):
            for i, part in enumerate(item):
                if dataclasses.is_dataclass(part):
                    names += option_names(part, f"{name}.{i}.")
    return names


def _protocol_of_items(hint: Any) -> Any:
    """`P` of a field annotated `tuple[P, ...]`, where P is a protocol or a dataclass."""
    items = typing.get_args(hint) if typing.get_origin(hint) is tuple else ()
    if len(items) != 2 or items[1] is not ...:
        return None
    part = getattr(items[0], "_is_protocol", False) or dataclasses.is_dataclass(items[0])
    return items[0] if part else None


def _choose_parts(default: Any, arguments: list[str], prefix: str = "--") -> tuple[Any, list[str]]:
    """Takes `--solver ancestral` out of the arguments and puts that part into the default.

    The same holds for `--augment translate,shift_reflect` and for parts of parts: `--window.inner pyramid`.
    """
    hints = hints_of(type(default))
    rest = list(arguments)
    for field in dataclasses.fields(default):
        option, value = prefix + field.name.replace("_", "-"), getattr(default, field.name)
        hint = hints[field.name]
        items = _protocol_of_items(hint)
        part: Any = value
        while option in rest and (items or dataclasses.is_dataclass(value)):
            place = rest.index(option)
            chosen = _word_after(rest, place)
            part = _several(option, chosen, items) if items else _one(option, chosen, hint, part)
            del rest[place : place + 2]
        if dataclasses.is_dataclass(part):
            part, rest = _choose_parts(part, rest, option + ".")
        elif items:
            chosen = []
            for i, item in enumerate(part):
                item, rest = _choose_parts(item, rest, f"{option}.{i}.")
                chosen.append(item)
            part = tuple(chosen)
        if part is not value and part != value:
            default = _unchecked(type(default), {**_fields(default), field.name: part})
    return default, rest


def _word_after(words: list[str], place: int) -> str:
    following = words[place + 1 : place + 2]
    if not following or following[0].startswith("--"):
        raise InputError(f"{words[place]} lacks its value: give one after it")
    return following[0]


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}


def _unchecked(kind: Any, values: dict[str, Any]) -> Any:
    """An instance whose `__post_init__` is not run: arguments yet to be parsed may still make it valid."""
    made = object.__new__(kind)
    for field in dataclasses.fields(kind):
        given = field.default_factory() if callable(field.default_factory) else field.default
        object.__setattr__(made, field.name, values.get(field.name, given))
    return made


def named(option: str, chosen: str, known: dict[str, type]) -> type:
    """The part that a name on the command line means. Raises `InputError` where there is none."""
    found = named_so(chosen, known)
    if found is None:
        near = get_close_matches(chosen, known, n=1) or [k for k in known if k.startswith(chosen)]
        hint = f"the nearest is {near[0]!r}; " if near and chosen else ""
        raise InputError(f"{option} knows no {chosen!r}: {hint}there are {', '.join(known) or 'none here'}")
    return known[found]


def _one(option: str, chosen: str, protocol: type, value: Any) -> Any:
    """Another part in place of `value`. It keeps the fields that both have, or that a part within it has,
    where their values suit it; one that wraps a part of the same kind (a window around a window) wraps
    `value`."""
    if missing := lacking(chosen, protocol):
        raise InputError(f"{option} {chosen}: your class is not complete, as it has no {', '.join(missing)}")
    if not is_protocol(protocol):
        names = [f"{option}.{field.name.replace('_', '-')}" for field in dataclasses.fields(value)]
        raise InputError(f"{option} is no option by itself: give one of {', '.join(names)}")
    kind = named(option, chosen, alternatives(protocol))
    hints, here = hints_of(kind), _inherited(value, protocol)
    kept = {}
    for field in dataclasses.fields(kind):
        if field.init and field.name in here and fits(here[field.name], hints[field.name]):
            kept[field.name] = here[field.name]
        elif field.init and hints[field.name] is protocol:
            kept[field.name] = value
    return _unchecked(kind, kept)


def _inherited(value: Any, protocol: type) -> dict[str, Any]:
    """The fields of a part, and those of the parts of its own kind that it wraps where it has none itself."""
    hints, own = hints_of(type(value)), _fields(value)
    wrapped = [_inherited(part, protocol) for name, part in own.items() if hints[name] is protocol]
    return {name: item for fields in (*reversed(wrapped), own) for name, item in fields.items()}


def _several(option: str, chosen: str, protocol: type) -> tuple:
    """Parts by their names, joined by commas; none for the empty string or `none`."""
    known = alternatives(protocol)
    if chosen.strip() == "none" and "none" not in known:
        return ()
    kinds = [named(option, name.strip(), known) for name in chosen.split(",") if chosen.strip()]
    try:
        return tuple(kind() for kind in kinds)
    except TypeError as error:
        raise InputError(
            f"{option} {chosen}: {error}: a part without defaults cannot be chosen by name; give its fields"
            " defaults, or use it in an experiment of your own"
        ) from error


def _exchangeable(default: Any) -> str:
    """The text of `--help` on the parts that can be exchanged."""
    hints = hints_of(type(default))
    said, lines = inspect.cleandoc(type(default).__doc__ or ""), []
    for field in dataclasses.fields(default):
        value, option = getattr(default, field.name), f"--{field.name.replace('_', '-')}"
        if items := _protocol_of_items(hints[field.name]):
            if names := list(alternatives(items)):
                lines.append(f"  {option} {' | '.join(names)} (any number, joined by commas)")
        elif dataclasses.is_dataclass(value):
            names = list(alternatives(hints[field.name]))
            if len(names) > 1:
                lines.append(f"  {option} {' | '.join(names)}")
    head = ["", "Parts that can be exchanged by name (--code FILE adds your own):"] if lines else []
    return "\n".join([said, *head, *lines])


def _check_names(default: Any, arguments: list[str], fixed: Collection[str]) -> None:
    known = option_names(default)
    for argument in arguments:
        if not argument.startswith("--"):
            continue
        name = argument[2:].split("=")[0].replace("_", "-")
        parent, _, last = name.rpartition(".")
        plain = f"{parent}.{last.removeprefix('no-')}" if parent else last.removeprefix("no-")
        if name not in known and plain not in known:
            now = _renamed(name)
            if now in known:
                raise InputError(f"there is no option --{name} any more: it is --{now}")
            if name.split(".")[0].replace("-", "_") in fixed:
                raise InputError(
                    f"--{name} is fixed by the run, as it was trained with it: `rolling train RUN --name NEW"
                    f" --{name} ...` trains another"
                )
            near = _nearest(name, known)
            raise InputError(f"there is no option --{name}{f'; the nearest is --{near}' if near else ''}")


def _nearest(name: str, known: list[str]) -> str:
    """The option that was probably meant: one spelt almost so, or the only one that ends so; else empty."""
    ends = [option for option in known if option.rpartition(".")[2] == name.rpartition(".")[2]]
    near = get_close_matches(name, known, n=1, cutoff=ALIKE) or ends
    return near[0] if len(near) == 1 else ""


def _renamed(name: str) -> str:
    """An option whose fields are called as they are now."""
    today = {old: new for fields in FIELDS.values() for old, new in fields.items()}
    words = [today.get(word.replace("-", "_"), word) for word in name.split(".")]
    return ".".join(words).replace("_", "-")


def _asked(arguments: list[str]) -> set[str]:
    """The dotted names of the fields that options name, and of the parts that hold them."""
    names = {argument[2:].replace("-", "_") for argument in arguments if argument.startswith("--")}
    names |= {re.sub(r"(^|\.)no_(?=[^.]*$)", r"\1", name) for name in names}
    words = [name.split(".") for name in names]
    return {".".join(parts[: i + 1]) for parts in words for i in range(len(parts))}


def _narrow(value: Any, asked: set[str] | frozenset = frozenset(), prefix: str = "") -> Any:
    """The same value as an instance of a subclass annotated with the concrete types that it holds, so that
    tyro can look into parts annotated by a protocol. Its `__post_init__` is not run: `_widen` runs it.

    Fields that are not `asked` for are no options, unless none is: tyro reads the source for the help of
    each option, which takes longer than all else.
    """
    if isinstance(value, tuple):
        return tuple(_narrow(item) for item in value)
    if not dataclasses.is_dataclass(value):
        return value
    kind, hints = type(value), hints_of(type(value))
    body = {"__annotations__": {}, "__doc__": kind.__doc__, "__module__": kind.__module__}
    body["__post_init__"] = lambda self: None
    parts = _fields(value)
    options = [name for name in parts if prefix + name in asked] or list(parts)
    for name, part in parts.items():
        if name in options:
            parts[name] = part = _narrow(part, asked, f"{prefix}{name}.")
        body["__annotations__"][name] = _type_of(part, hints[name])
        body[name] = dataclasses.field(default=part, init=name in options)
    narrow = dataclasses.dataclass(frozen=True, kw_only=True)(type(kind.__name__, (kind,), body))
    return narrow(**{name: parts[name] for name in options})


def _type_of(part: Any, hint: Any) -> Any:
    if dataclasses.is_dataclass(part):
        return type(part)
    if isinstance(part, tuple) and part and dataclasses.is_dataclass(part[0]):
        return tuple[tuple(type(item) for item in part)]
    return hint


def _widen(value: Any, default: Any) -> Any:
    """The fields of `value` in the classes of `default`, which run their checks."""
    if isinstance(value, tuple):
        held = any(dataclasses.is_dataclass(item) for item in value)
        return tuple(map(_widen, value, default)) if held else value
    if not dataclasses.is_dataclass(value):
        return value
    fields = {name: _widen(getattr(value, name), part) for name, part in _fields(default).items()}
    return made(type(default), fields, "the options")


PLAIN = (
    (r"^Unrecognized options (?=Unrecognized)", ""),
    (r"^Invalid choice (?=invalid)", ""),
    (r"^Value error Error parsing (?:--)?([\w.-]+): ", r"--\1: "),
    (r" Argument helptext: .*$", ""),
    (r"invalid literal for int\(\) with base 10:", "a whole number is needed, not"),
    (r"could not convert string to float:", "a number is needed, not"),
)
"""What tyro says, and what is said in its place."""


def _one_sentence(text: str) -> str:
    """The text of tyro's error box, without the box."""
    lines = [re.sub(r"[─│╭╮╰╯]", " ", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line and "--help" not in line and "full helptext" not in line]
    words = " ".join(" ".join(lines).split()) or "the arguments cannot be understood"
    for pattern, plain in PLAIN:
        words = re.sub(pattern, plain, words)
    return words
