"""Numbers of things in words: `1 start`, `2 starts`."""


def plural(noun: str, number: float) -> str:
    """`start` for 1, else `starts`."""
    return noun if number == 1 else f"{noun}s"


def counted(number: float, noun: str) -> str:
    """`1 start`, `2 starts`."""
    return f"{number} {plural(noun, number)}"


def in_unit(number: str, unit: str) -> str:
    """`1 month`, `6 months`; abbreviations, as `h` and `ms`, have no plural."""
    word = len(unit) > 3 and number == "1"
    return f"{number} {unit.removesuffix('s') if word else unit}"
