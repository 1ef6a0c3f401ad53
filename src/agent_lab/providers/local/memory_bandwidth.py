"""How fast this machine reads its memory: the limit of a model that reads all weights per token."""

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor

from agent_lab.providers.local.machine import available_cores, available_ram

BUFFER_BYTES = 1 << 28
"""Several times what any cache holds."""
SHARE_OF_RAM = 4
"""A smaller buffer where less than so many of them are free."""
TRIES = 5
FILL, ABSENT = 1, 2


def memory_bandwidth(tries: int = TRIES, buffer_bytes: int = BUFFER_BYTES) -> float:
    """Measure how many bytes of main memory all cores together read in a second.

    With the defaults it takes some tenths of a second.

    Args:
        tries: The best of so many is taken: other work can only slow it down.
        buffer_bytes: How much is read each time.
    """
    find = ctypes.CDLL(None).memchr
    find.argtypes, find.restype = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t), ctypes.c_void_p
    threads = available_cores()
    part = min(buffer_bytes, available_ram() // SHARE_OF_RAM) // threads
    # Filled: pages that nobody wrote to are all one page of zeros, which stays in the cache.
    buffer = bytearray(bytes([FILL])) * (part * threads)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(tries):
            started = time.perf_counter()
            # It looks for what is not there, without the interpreter's lock.
            read = [pool.submit(find, begin + n * part, ABSENT, part) for n in range(threads)]
            for reading in read:
                reading.result()
            best = max(best, part * threads / (time.perf_counter() - started))
    return best
