"""Chains to look at: `from browser import chains`."""

import contextlib
import http.server
import threading

from harness.programs import Hop


class TwoVersions(contextlib.ExitStack):
    """frontend -> middleware (prod and canary in turns) -> backend -> the clock's /time."""

    def __init__(self, **settings):
        super().__init__()
        with contextlib.ExitStack() as starting:
            start = starting.enter_context
            self.clock = start(Hop("clock"))
            self.backend = start(Hop("backend", upstream=self.clock.time_uri))
            self.middlewares = [
                start(Hop("middleware", version, upstream=self.backend.grpc_uri))
                for version in ("prod", "canary")
            ]
            self.frontend = start(Hop("frontend", upstream=in_turns(self.middlewares), **settings))
            self.push(starting.pop_all())

    @property
    def base_url(self):
        return self.frontend.http_uri


def in_turns(hops):
    """One upstream whose addresses are these hops."""
    return "grpc://" + "|".join(f"127.0.0.1:{hop.grpc_port}" for hop in hops)


class Fork(contextlib.ExitStack):
    """A frontend that asks four: a chain, another version, nobody, and the clock. It reports
    failures rather than fail with them.
    """

    def __init__(self):
        super().__init__()
        with contextlib.ExitStack() as starting:
            start = starting.enter_context
            self.clock = start(Hop("clock"))
            self.backend = start(Hop("backend", upstream=self.clock.time_uri))
            self.search = start(
                Hop("search", "v2", upstream=[self.backend.grpc_uri, self.clock.time_uri])
            )
            self.frontend = start(
                Hop(
                    "frontend",
                    upstream=[
                        self.backend.grpc_uri,
                        self.search.grpc_uri,
                        "http://127.0.0.1:1/nobody",
                        self.clock.time_uri,
                    ],
                    ON_UPSTREAM_FAILURE="report",
                )
            )
            self.push(starting.pop_all())

    @property
    def base_url(self):
        return self.frontend.http_uri


class Long(contextlib.ExitStack):
    """As many hops in a row as a tree may have, or fewer."""

    def __init__(self, length=32):
        super().__init__()
        with contextlib.ExitStack() as starting:
            upstream = ()
            for number in range(length, 0, -1):
                self.frontend = starting.enter_context(Hop(f"hop{number}", upstream=upstream))
                upstream = self.frontend.grpc_uri
            self.push(starting.pop_all())

    @property
    def base_url(self):
        return self.frontend.http_uri


class Stranger(http.server.ThreadingHTTPServer):
    """No hop: answers everything with the same bytes."""

    def __init__(self, body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.server_port}/"

    def __exit__(self, *exception):
        self.shutdown()
        super().__exit__(*exception)
