"""Memory returned to the system must be cleared again, page by page, when it is next needed."""

import ctypes
import sys

# Parameters of mallopt, from <malloc.h>: the free memory allowed at the heap's end, the size above which a
# block is mapped on its own, and the number of heaps.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
MOST = 2**31 - 1
MADV_HUGEPAGE = 14
PAGE = 1 << 21


def keep_freed_memory(reserve: int = 1 << 30) -> bool:
    """Makes the C library keep freed memory for the next allocation; True where that is possible.

    XLA's CPU programs allocate their temporaries in every call. By default glibc maps and unmaps such large
    blocks, and each page costs a fault when first touched: a quarter of a training step of the main job. In
    one heap they are touched once; huge pages are requested for the heap's next `reserve` bytes. No memory is
    held that was not in use before. Call it before the first computation, which starts the threads that own
    the heaps; without glibc it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    settings = {M_MMAP_THRESHOLD: MOST, M_TRIM_THRESHOLD: MOST, M_ARENA_MAX: 1}
    accepted = all([libc.mallopt(name, value) == 1 for name, value in settings.items()])
    if accepted:
        prefer_huge_pages(libc, reserve)
    return accepted


def prefer_huge_pages(libc: ctypes.CDLL, size: int) -> None:
    """Grows the heap by `size` untouched bytes and advises huge pages for them."""
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = libc.malloc(size)
    if block:
        first, last = -(-block // PAGE) * PAGE, (block + size) // PAGE * PAGE
        if last > first:
            libc.madvise(first, last - first, MADV_HUGEPAGE)
        libc.free(block)
