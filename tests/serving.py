"""HTTP servers of tests."""

import http.server
import sys
import threading


class LocalServer(http.server.ThreadingHTTPServer):
    """A server on a free port of this machine, running from the start."""

    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, request, client_address):
        """Stay silent where a client has hung up, as killed ones and some tests do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close(self):
        self.shutdown()
        self.server_close()
