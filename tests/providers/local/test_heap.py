"""What was freed goes back to the machine."""

import subprocess
import sys

import pytest

# A cache of 64 MiB whose blocks are of many sizes, as llama.cpp's prompt cache has them, held by a
# thread that is not the first one.
PROGRAM = """
import collections, random, sys, threading
from pathlib import Path
from agent_lab.providers.local.heap import give_large_blocks_back

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) << 10

def fill():
    chance, held, total = random.Random(1), collections.deque(), 0
    for _ in range(120):
        held.append(bytearray(chance.randrange(20_000_000, 24_000_000)))
        total += len(held[-1])
        while total > 64 << 20:
            total -= len(held.popleft())

print(give_large_blocks_back() if sys.argv[1] == "set" else True)
before = peak()
filling = threading.Thread(target=fill)
filling.start()
filling.join()
print(peak() - before)
"""


def grown(how: str) -> int:
    """Bytes by which a process grew that filled and emptied such a cache."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True
    )
    done, grew = ran.stdout.split()
    assert done == "True"
    return int(grew)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_a_cache_of_large_blocks_takes_no_more_than_they_have():
    held = (64 << 20) + 24_000_000
    assert grown("set") < 1.1 * held
    assert grown("as it is") > 1.4 * held
