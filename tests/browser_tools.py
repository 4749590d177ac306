"""A browser without a window, for tests of pages."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --virtual-time-budget=600000 --dump-dom"
)


def chromium() -> str:
    """Its path; skips the test where there is none."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for path in map(shutil.which, filter(None, names)) if path), None)
    if found is None:
        pytest.skip("no Chromium here: install one, or set the environment variable CHROMIUM to its path")
    return found


def seen(page: Path, folder: Path, script: str, *, width: int = 1280):
    """What a script, appended to a copy of the page, wrote as JSON into `<pre id="probe">`."""
    copy, path = folder / "probed.html", chromium()
    probe = f'<pre id="probe"></pre><script>{script}</script>'
    copy.write_text(page.read_text().replace("</body>", probe + "</body>"))
    options = [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900"]
    command = [path, *FLAGS.split(), *options, copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="probe">(.+?)</pre>', done.stdout, re.DOTALL)
    trouble = re.search(r'<html[^>]*data-error="([^"]*)"', done.stdout)
    assert found, f"the page's script did not finish: {trouble and trouble[1]} {done.stderr[-2000:]}"
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
