"""The system's clock: seconds since 1970, and it does not stand."""

import time

from app.adapters.clock import SystemClock


async def test_now_is_the_time_and_sleeping_takes_that_long() -> None:
    clock = SystemClock()
    before = time.time()
    began = clock.now()
    await clock.sleep(0.05)
    ended = clock.now()
    assert before <= began
    assert 0.045 <= ended - began < 1.0
    assert ended <= time.time()
