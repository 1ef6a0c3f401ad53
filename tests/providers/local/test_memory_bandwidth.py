"""What the memory gives is measured on this machine: more than a disk, less than a cache."""

from agent_lab.providers.local.memory_bandwidth import memory_bandwidth


def test_the_bandwidth_is_that_of_a_memory():
    assert 1e8 < memory_bandwidth(tries=2, buffer_bytes=1 << 26) < 1e13
