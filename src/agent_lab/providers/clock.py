"""The clock of deadlines."""

import asyncio
import time


def loop_time() -> float:
    """Seconds on the running loop's clock, which a test may have set; without a loop, its usual."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()
