"""A small server on a real socket."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager


@contextmanager
def server(answer):
    """Give the origin of a real server that says *answer* to each connection; None is silence."""
    listening = socket.create_server(("127.0.0.1", 0))
    held = []

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            held.append(connection)
            asked = connection.recv(65_536)
            if answer is not None:
                connection.sendall(answer(asked) if callable(answer) else answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for connection in held:
            connection.close()
