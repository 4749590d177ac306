"""What the sessions of tests keep does not grow without bound."""

import os

from tests import cache_tools


def test_a_cache_is_pruned_of_what_was_not_used_for_longest(tmp_path):
    """Files as JAX keeps programs, folders as simulated data are kept."""
    for age, name in enumerate(("new", "old", "older", "oldest")):
        path = tmp_path / name / "frames" if name == "old" else tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100_000))
        for place in {path, tmp_path / name}:
            os.utime(place, (2e9 - age, 2e9 - age))
    cache_tools.prune([*tmp_path.iterdir()], 250_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
    cache_tools.prune([*tmp_path.iterdir()], 150_000)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_folders_of_another_simulation_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_tools, "KEPT", tmp_path)
    kept, gone = cache_tools.simulated(), tmp_path / "simulated-of-before"
    for folder in (kept / "a", gone / "a", cache_tools.compiled()):
        folder.mkdir(parents=True)
    cache_tools.tidy()
    assert sorted(tmp_path.iterdir()) == sorted([kept, cache_tools.compiled()])
