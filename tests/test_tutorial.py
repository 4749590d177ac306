"""docs/tutorial.md runs as it stands, and prints what it says: in a process of its own, as a reader would."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, re.S)
NUMBER = re.compile(r"\d+\.\d+")
END = "end of a block"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What each block printed."""
    code = f"\nprint({END!r})\n".join(block for block, _ in BLOCKS)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split(f"{END}\n")


def test_the_page_prints_what_it_shows(printed):
    """Digit for digit, but for what was trained: there the last digits are those of the machine."""
    assert len(printed) == len(BLOCKS) and sum(bool(shown) for _, shown in BLOCKS) == 5
    for (block, shown), found in zip(BLOCKS, printed, strict=True):
        assert NUMBER.sub("", found) == NUMBER.sub("", shown)
        if "state" not in block:
            assert found == shown


def test_the_loop_is_as_exact_as_published(printed):
    """AR(1) with 0.9, six frames, one of context, DDIM: first order, independently computed."""
    found = next(text for text in printed if text.startswith("8 calls per frame"))
    assert [float(x) for x in NUMBER.findall(found)] == pytest.approx([0.0606, 0.0155, 0.0039], abs=6e-5)


def test_the_network_learns_the_sequence(printed):
    found = next(text for text in printed if text.startswith("untrained"))
    errors = [float(x) for x in NUMBER.findall(found)]
    assert errors[0] > 0.8 and errors[-1] < 0.12  # without a forecast it is 0.9, exact at 8 calls 0.06


def test_the_library_agrees_with_sixty_lines(printed):
    exact, own, network, again, loss, plain = map(float, NUMBER.findall(printed[-1]))
    assert exact == pytest.approx(0.0606, abs=6e-5) and own == pytest.approx(exact, abs=1e-4)
    assert network == pytest.approx(again, abs=1e-3)  # float64 beside float32
    assert loss == pytest.approx(plain, abs=0.02)  # other draws of the same expectation


def test_the_idea_takes_sixty_lines_of_plain_jax():
    idea = "".join(
        block for block, _ in BLOCKS[: 1 + next(i for i, b in enumerate(BLOCKS) if "def rollout" in b[0])]
    )
    lines = [line for line in idea.splitlines() if line.strip() and not line.startswith("print")]
    assert 50 <= len(lines) <= 70, len(lines)
    assert "rolling" not in "".join(block for block, _ in BLOCKS[:-1])
    assert len(BLOCKS[-1][0].splitlines()) <= 24
