"""Workers that do nothing of use, each in its own way; a spawned process finds them by this module's name."""

import json
import os
import time


def _orders(connection):
    while True:
        try:
            yield json.loads(connection.recv_bytes())
        except EOFError:
            return


def _say(connection, **message):
    connection.send_bytes(json.dumps(message).encode())


def good(connection):
    """Tells of two steps and a draft, and is done; an order to stop is heard between them."""
    for order in _orders(connection):
        if order["do"] == "cancel":
            continue
        _say(connection, fraction=0.25, elapsed=0.1, remaining=1.0, words="one")
        connection.send_bytes(b"\xff\xd8 a draft")
        deadline = time.monotonic() + order.get("seconds", 0)
        stopped = False
        while time.monotonic() < deadline and not stopped:
            stopped = connection.poll(0.02)
        if stopped:
            connection.recv_bytes()
            _say(connection, end="cancelled")
        elif order.get("sentence"):
            _say(connection, end="failed", sentence=order["sentence"])
        else:
            _say(connection, end="done", seconds=0.5, pid=os.getpid(), notes=["a note"])


def deaf(connection):
    """Works for a minute and hears nothing."""
    for _ in _orders(connection):
        _say(connection, fraction=0.5, elapsed=0.1, remaining=None, words="deaf")
        time.sleep(60)


def mortal(connection):
    """Dies at the first order, as the kernel kills a process that takes too much memory."""
    for order in _orders(connection):
        if order.get("die"):
            os.kill(os.getpid(), 9)
        _say(connection, end="done", pid=os.getpid())
