"""Has the C library give memory back that llama.cpp has freed."""

import ctypes
import sys

_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE = 1 << 20
"""Bytes: what is larger gets pages of its own, and they go when it is freed."""


def give_large_blocks_back() -> bool:
    """Keep large blocks apart from the heap; once for the whole process, and at no cost.

    llama.cpp's prompt cache holds blocks of many megabytes, each of another size. glibc moves its
    own limit up to 32 MiB as soon as such a block is freed, and from then on takes them from its
    heaps, which they leave full of holes: with blocks of 5 to 31 MB a cache of 64 MiB grew to 100
    to 330 MB. Once the limit is set, glibc does not move it.

    Returns:
        Whether there is a glibc that does so.
    """
    if sys.platform != "linux":
        return False
    # musl has no heaps of this kind, and no such function.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_THRESHOLD, LARGE))
