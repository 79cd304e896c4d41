"""What a process uses is read from /proc as the kernel means it."""

from __future__ import annotations

import os
import socket
import threading

from bench import usage

# One connection to each of two services and one to nobody of the lab, a closing one, and another process's.
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:9C4A 0B004D7F:238A 01 00000000:00000000 00:00000000 00000000     0        0 11 1 0 20 4 30 10 -1
   1: 0100007F:9C4B 0C004D7F:238A 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 20 4 30 10 -1
   2: 0100007F:9C4C 32004D7F:01BB 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0 20 4 30 10 -1
   3: 0100007F:9C4D 32004D7F:01BB 06 00000000:00000000 00:00000000 00000000     0        0 14 1 0 20 4 30 10 -1
   4: 0100007F:9C4E 32004D7F:01BB 01 00000000:00000000 00:00000000 00000000     0        0 99 1 0 20 4 30 10 -1
   5: 0100007F:9C4F 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 15 1 0 20 4 30 10 -1
"""


def test_connections_are_counted_by_service() -> None:
    """Established ones of this process alone, whichever broker they go to."""
    found = usage.connections(TABLE, {"11", "12", "13", "14", "15"})
    assert found == {"kafka": 2, "openai": 1, "other": 1}


def test_cpu_time_is_user_and_kernel_time_whatever_the_name() -> None:
    """The command's name may hold blanks and brackets."""
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"42 (a ) b) S 7 42 5 0 -1 0 0 0 0 0 {3 * ticks} {ticks} 0 0 20 0 1 0 100 0 0"
    assert usage.cpu_seconds(stat) == 4.0
    assert usage.relatives(stat) == (7, 5)


def test_a_process_is_seen_as_it_is() -> None:
    """A thread and a connection more are one more; memory is within its peak."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    before = usage.of(os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        thread.start()
        try:
            after = usage.of(os.getpid())
        finally:
            stop.set()
            thread.join()
    assert after.threads - before.threads == 1
    # The server has not accepted: its end is established in the kernel, but belongs to no descriptor yet.
    assert after.connections.get("other", 0) - before.connections.get("other", 0) == 1
    assert 0 < after.private <= after.resident <= after.peak
    assert after.cpu >= before.cpu > 0
