"""Ports of the loopback interface for the models of one run."""

from __future__ import annotations

import socket
import sys


class Port:
    """A port that is this run's own until it is released.

    A model's port is chosen long before it listens there, and stays the same when it is started again, so that a shard
    that waits finds it. Meanwhile the kernel must not give the port to anybody else: not to a connection that goes out,
    and not to another run, whose model would be taken for ours. A socket that is bound and does not listen sees to
    that; the server binds beside it, since both say SO_REUSEADDR, as servers do. Elsewhere than on Linux two sockets
    cannot be bound so, and the port is merely one that was free.
    """

    def __init__(self) -> None:
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.number: int = self._holder.getsockname()[1]
        if not sys.platform.startswith("linux"):
            self._holder.close()

    def release(self) -> None:
        """Give it back; doing so twice does no harm."""
        self._holder.close()
