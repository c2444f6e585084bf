"""The backends that are connected to a runner, and the door at which more may knock."""

import selectors
import socket
from typing import Callable, List, Optional

from .wire import Connection, Message


class Backends:
    """Receives messages and sends answers, in the loop of the runner and never blocking it."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        state: Callable[[], Message],
        serve: Callable[[Connection, Message], None],
        gone: Callable[[Connection], None],
    ) -> None:
        """Begins with nobody connected.

        Args:
            state: what a notification says, asked when one is really sent.
            serve: is called with each message that comes.
            gone: is called when a connection has ended.
        """
        self._selector = selector
        self._state = state
        self._serve = serve
        self._gone = gone
        self._connections: List[Connection] = []
        self._listener: Optional[socket.socket] = None

    def __len__(self) -> int:
        return len(self._connections)

    def listen(self, listener: socket.socket) -> None:
        """Takes in whoever connects to `listener`."""
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def connect(self, sock: socket.socket) -> Connection:
        """Takes in a backend that is connected already."""
        connection = Connection(sock, self._state)
        self._connections.append(connection)
        self._selector.register(sock, selectors.EVENT_READ, lambda mask: self._on_message(connection))
        return connection

    def notify(self) -> None:
        """Has every backend told that the state has changed."""
        for connection in self._connections:
            connection.notify()

    def flush(self) -> None:
        """Sends what the sockets take; backends that went away are let go."""
        for connection in list(self._connections):
            had_output = connection.has_output
            connection.flush()
            if connection.closed:
                self._disconnect(connection)
            elif connection.has_output or had_output:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.has_output else 0)
                self._selector.modify(connection.sock, wanted, self._selector.get_key(connection.sock).data)

    def _accept(self, mask: int) -> None:
        assert self._listener is not None
        try:
            sock, _address = self._listener.accept()
        except OSError:
            return
        self.connect(sock)

    def _on_message(self, connection: Connection) -> None:
        if connection.closed:
            return
        messages = connection.receive()
        if messages is None:
            self._disconnect(connection)
            return
        for message in messages:
            self._serve(connection, message)

    def _disconnect(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self._selector.unregister(connection.sock)
            connection.close()
            self._gone(connection)
