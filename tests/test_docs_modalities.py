"""The page on several modalities does what it shows."""

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from rolling.windows import Every, Rolling

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "modalities.md").read_text(encoding="utf-8")


def test_the_page_prints_what_it_shows():
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S))
    shown = "".join(re.findall(r"```text\n(.*?)```", PAGE, re.S)[1:])  # the first one is a picture of clocks
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown


def test_the_picture_of_the_clocks_is_that_of_the_window():
    rows = dict(re.findall(r"^(fast|slow), tau +(.*)$", PAGE, re.M))
    numbers = lambda words: [float(Fraction(word)) for word in words.split()]  # noqa: E731
    window, middle = Rolling(size=16, context=4, block=4), jnp.asarray(0.5)
    np.testing.assert_allclose(numbers(rows["fast"]), window.cycle(middle), atol=1e-6)
    np.testing.assert_allclose(numbers(rows["slow"]), Every(inner=window, every=4).cycle(middle), atol=1e-6)
