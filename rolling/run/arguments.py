"""Words of the command line: the leading name, options taken out early, and the options of an experiment."""

import dataclasses
import os
import re
from pathlib import Path

from rolling.common.errors import InputError


def take(words: list[str], option: str, default: str) -> tuple[str, list[str]]:
    """The value of `option VALUE` or `option=VALUE`, and the other words."""
    for place, word in enumerate(words):
        if word.startswith(option + "="):
            return word.removeprefix(option + "="), words[:place] + words[place + 1 :]
        if word == option:
            if place + 1 == len(words):
                raise InputError(f"{option} needs a value")
            return words[place + 1], words[:place] + words[place + 2 :]
    return default, words


def take_code(words: list[str]) -> list[str]:
    """Takes every `--code FILE` out of the words and registers the parts that the file defines."""
    path, rest = take(words, "--code", "")
    if not path:
        return rest
    from rolling.run.experiment import user_code

    user_code.load_code(Path(path))
    return take_code(rest)


def find_weights(words: list[str]) -> list[str]:
    """Takes `--metrics.NAME-weights FILE` out of the words and sets the variable that the metric reads."""
    for word in words:
        if re.match(r"--metrics\.\w+-weights(=|$)", word):
            from rolling.run.experiment.presets import weights

            for file in weights().values():
                path, words = take(words, file.option, "")
                if path:
                    os.environ[file.variable] = path
                    file.read()  # rejects a wrong file now, not after the training
            break
    return words


def first(words: list[str], command: str, what: str) -> tuple[str, list[str]]:
    """The first word, which names an experiment or a run, and the others. Raises `InputError` without one."""
    if not words or words[0].startswith("-"):
        article = "an" if what[0] in "aeiou" else "a"
        raise InputError(
            f"`rolling {command}` needs {article} {what}: `rolling {command} {what.upper()} ...`"
        )
    return words[0], words[1:]


def experiment_and_options(words: list[str], command: str, options: type):
    """Parses `EXPERIMENT --folder ... --window.size ...`: the options of the command beside all fields."""
    from rolling.run.experiment import presets as experiments

    name, rest = first(words, command, "experiment")
    return overridden(experiments.find(name), rest, f"rolling {command} {name}", options)


def overridden(preset, rest: list[str], program: str, options: type):
    """The preset with the fields named in `rest` replaced, and the options of the command."""
    from rolling.run.experiment.options import parse

    base = type(preset)
    both = dataclasses.make_dataclass(
        "Arguments",
        [],
        bases=(base, options),
        frozen=True,
        kw_only=True,
        namespace={"__doc__": base.__doc__},
    )
    values = {field.name: getattr(preset, field.name) for field in dataclasses.fields(base)}
    parsed = parse(both(**values), rest, program)
    return (
        base(**{name: getattr(parsed, name) for name in values}),
        options(**{f.name: getattr(parsed, f.name) for f in dataclasses.fields(options)}),
    )
