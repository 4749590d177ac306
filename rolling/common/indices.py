"""Some of many, evenly spaced."""


def spaced(count: int, most: int) -> list[int]:
    """At most `most` of `count` indices, evenly spaced, including the first and the last."""
    if count <= most:
        return list(range(count))
    if most == 1:
        return [0]
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]
