# SPDX-License-Identifier: MIT
"""A Unix socket where a vsock device's would be, and a thread for each connection."""

import os
import shutil
import socket
import tempfile
import threading

from agent import TIMEOUT


class LocalServer:
    """Within its `with`, calls serve(sock), a method of the class that has this one for a
    base, in a thread for each connection that comes to .path."""

    def __init__(self, prefix):
        self.directory = tempfile.mkdtemp(prefix=prefix)
        self.path = os.path.join(self.directory, "v.sock")
        self.threads = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)

    def serve(self, sock):
        raise NotImplementedError

    def __enter__(self):
        self._accepter = threading.Thread(target=self._accept, daemon=True)
        self._accepter.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepter.join(TIMEOUT)
        self._listener.close()
        self.end()
        for thread in self.threads:
            thread.join(TIMEOUT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def end(self):
        """Has the threads end, if they need to be told."""

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.serve, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()
