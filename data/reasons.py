"""What could not be used, by reason."""

import re
from collections.abc import Iterable


def by_reason(named: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Names by reason, the most frequent first; reasons that differ only in numbers are merged under the
    first of them."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, reason in named:
        groups.setdefault(re.sub(r"\d+(\.\d+)?", "#", reason), []).append((name, reason))
    largest = sorted(groups.values(), key=len, reverse=True)
    return {group[0][1]: [name for name, _ in group] for group in largest}
