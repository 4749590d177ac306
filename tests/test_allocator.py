"""The allocator can be told to keep memory, and says where it cannot."""

import subprocess
import sys

PROGRAM = """
import ctypes, resource
from rolling.run.training.allocator import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

told = keep_freed_memory()
size = 1 << 26
counts = []
for _ in range(3):
    before = faults()
    ctypes.memset(block := ctypes.create_string_buffer(size), 1, size)
    del block
    counts.append(faults() - before)
print(told, counts[-1] < counts[0] / 4)
"""


def test_a_freed_block_is_used_again_without_page_faults():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    told, reused = done.stdout.split()
    if sys.platform == "linux":
        assert told == "True"
    if told == "True":
        assert reused == "True"
