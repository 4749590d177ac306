"""Memory that is given back to the system has to be cleared again, page by page, when it is next wanted."""

import ctypes
import sys

# Parameters of mallopt, from <malloc.h>: how much may lie free at the heap's end, above which size a block
# is mapped on its own, and how many heaps there may be.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
MOST = 2**31 - 1
MADV_HUGEPAGE = 14
PAGE = 1 << 21


def keep_freed_memory(reserve: int = 1 << 30) -> bool:
    """Tells the C library to keep freed memory for the next allocation; True where it could be told.

    XLA's CPU programs allocate their temporaries anew in every call. By default glibc maps and unmaps such
    large blocks, and each page costs a fault when it is first touched: a quarter of a training step of the
    main job. Kept in one heap they are touched once; the heap's next `reserve` bytes shall be of huge pages.
    Nothing is taken that was not in use once. Call it before the first computation, which starts the threads
    whose heaps these are; elsewhere than on glibc it changes nothing.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    settings = {M_MMAP_THRESHOLD: MOST, M_TRIM_THRESHOLD: MOST, M_ARENA_MAX: 1}
    told = all([libc.mallopt(name, value) == 1 for name, value in settings.items()])
    if told:
        prefer_huge_pages(libc, reserve)
    return told


def prefer_huge_pages(libc: ctypes.CDLL, size: int) -> None:
    """Grows the heap by `size` bytes that are not touched, and advises huge pages for them."""
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = libc.malloc(size)
    if block:
        first, last = -(-block // PAGE) * PAGE, (block + size) // PAGE * PAGE
        if last > first:
            libc.madvise(first, last - first, MADV_HUGEPAGE)
        libc.free(block)
