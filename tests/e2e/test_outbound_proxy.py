"""OUTBOUND_PROXY: every upstream is reached through one address, and hears its own name."""

from harness import http, rpc, tree
from harness.case import ProgramTest, traced_to
from harness.collector import Collector
from harness.upstreams import GrpcUpstream, HttpUpstream, RefusingUpstream

NOWHERE = "no-such-host.invalid"


def authorities(upstream, count=1):
    return [arrival.authority for arrival in upstream.arrivals.take(count)]


class OutboundProxy(ProgramTest):
    def hop_behind(self, port, upstream, **settings):
        return self.hop("first", upstream=upstream, OUTBOUND_PROXY=f"127.0.0.1:{port}", **settings)

    def test_a_grpc_call_goes_to_the_proxy_and_names_its_upstream(self):
        proxy = self.start(GrpcUpstream())
        hop = self.hop_behind(proxy.port, f"grpc://{NOWHERE}:9090")
        self.assertEqual(rpc.call(hop.grpc_port).code, "OK")
        self.assertEqual(authorities(proxy), [f"{NOWHERE}:9090"])

    def test_an_http_call_goes_to_the_proxy_and_names_its_upstream(self):
        proxy = self.start(HttpUpstream())
        for uri, host in (
            (f"http://{NOWHERE}/time", NOWHERE),
            (f"http://{NOWHERE}:8080/time", f"{NOWHERE}:8080"),
        ):
            with self.subTest(uri=uri):
                hop = self.hop_behind(proxy.port, uri)
                self.assertEqual(rpc.call(hop.grpc_port).code, "OK")
                arrival = proxy.arrivals.take(1)[0]
                self.assertEqual((arrival.path, arrival.one("host")), ("/time", host))

    def test_a_hop_is_reached_over_either_protocol(self):
        last = self.hop("last")
        for scheme, port in (("grpc", last.grpc_port), ("http", last.http_port)):
            with self.subTest(scheme=scheme):
                hop = self.hop_behind(port, f"{scheme}://{NOWHERE}:9090")
                reply = rpc.call(hop.grpc_port).reply
                self.assertEqual(tree.path(reply), ["first-prod", "last-prod"])

    def test_upstreams_that_share_the_proxy_keep_their_names(self):
        proxy = self.start(GrpcUpstream())
        names = [f"{name}.invalid:9090" for name in ("one", "two", "three")]
        hop = self.hop_behind(proxy.port, [f"grpc://{name}" for name in names])
        self.assertEqual(rpc.call(hop.grpc_port).code, "OK")
        self.assertEqual(sorted(authorities(proxy, 3)), sorted(names))

    def test_what_listens_at_the_address_of_the_uri_is_not_called(self):
        bypassed = self.start(HttpUpstream())
        dead = self.start(RefusingUpstream())
        hop = self.hop_behind(dead.port, bypassed.uri)
        self.assertEqual(rpc.call(hop.grpc_port).code, "UNAVAILABLE")
        self.assertEqual(bypassed.arrivals.count(), 0)

    def test_an_ipv6_address_is_the_authority_with_its_brackets(self):
        proxy = self.start(GrpcUpstream())
        hop = self.hop_behind(proxy.port, "grpc://[2001:db8::7]:9090")
        self.assertEqual(rpc.call(hop.grpc_port).code, "OK")
        self.assertEqual(authorities(proxy), ["[2001:db8::7]:9090"])

    def test_without_a_proxy_the_authority_is_what_the_uri_says(self):
        upstream = self.start(GrpcUpstream())
        hop = self.hop("first", upstream=f"grpc://localhost:{upstream.port}")
        self.assertEqual(rpc.call(hop.grpc_port).code, "OK")
        self.assertEqual(authorities(upstream), [f"localhost:{upstream.port}"])

    def test_spans_name_the_upstream_and_not_the_proxy(self):
        collector = self.start(Collector())
        proxy = self.start(GrpcUpstream())
        hop = self.hop_behind(proxy.port, f"grpc://{NOWHERE}:9090", **traced_to(collector))
        trace_id = http.get(hop.http_port).headers["x-trace-id"]
        spans = collector.wait_for_spans(2, trace_id)
        client = next(span for span in spans if span.kind == "CLIENT")
        self.assertEqual(client.attributes["server.address"], NOWHERE)
        self.assertEqual(client.attributes["server.port"], 9090)


class Environment(ProgramTest):
    """Variables by which other programs find a proxy."""

    def test_they_have_no_influence(self):
        dead = self.start(RefusingUpstream())
        last = self.hop("last")
        proxies = {
            name: f"http://127.0.0.1:{dead.port}"
            for lower in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy")
            for name in (lower, lower.upper())
        }
        for settings in ({}, {"OUTBOUND_PROXY": f"127.0.0.1:{last.grpc_port}"}):
            with self.subTest(settings=settings):
                hop = self.hop("first", upstream=last.grpc_uri, **settings, **proxies)
                self.assertEqual(rpc.call(hop.grpc_port).code, "OK")
        for settings in ({}, {"OUTBOUND_PROXY": f"127.0.0.1:{last.http_port}"}):
            with self.subTest(settings=settings):
                hop = self.hop("first", upstream=last.http_uri, **settings, **proxies)
                self.assertEqual(rpc.call(hop.grpc_port).code, "OK")
