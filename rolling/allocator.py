"""Memory that is given back to the system has to be cleared again, page by page, when it is next wanted."""

import ctypes
import sys

# Of <malloc.h>: above which size a block is mapped on its own, and how much may lie free at the heap's end.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MOST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tells the C library to keep freed memory for the next allocation; True where it could be told.

    XLA's CPU programs allocate their temporaries anew in every call. By default glibc maps and unmaps such
    large blocks, and each page costs a fault when it is first touched: of a training step of the main job a
    fifth. The memory held is then the largest that was ever in use, and no more. Elsewhere than on glibc
    nothing is changed.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(p, MOST) == 1 for p in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))
