"""A rollout of 5,000 frames takes no more memory than one of 500.

    python benchmarks/memory.py

Trains the debug preset for a few steps, then measures the peak resident memory of `rolling rollout`, in its
own process, for both lengths with the same chunks. Prints the ratio.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def peak(folder: Path, *words: str) -> float:
    """Peak resident memory of one command, in MiB."""
    line = [sys.executable, "-m", "rolling.run.cli", *words]
    with subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"`rolling {' '.join(words)}` failed")
    return usage.ru_maxrss / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peak(folder, "train", "debug")
        rollout = ("rollout", "runs/debug", "--starts", "2", "--members", "2", "--chunk", "50")
        sizes = {
            frames: peak(folder, *rollout, "--frames", str(frames), "--output", f"{frames}.zarr")
            for frames in (500, 5000)
        }
    print(", ".join(f"{frames} frames: {size:.0f} MiB" for frames, size in sizes.items()))
    print(f"memory of 5,000 frames / of 500: {sizes[5000] / sizes[500]:.3f}")


if __name__ == "__main__":
    main()
