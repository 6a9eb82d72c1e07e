"""Spans and trace context: one request is one connected tree, whatever form the context has."""

import re

from harness import http, metrics, rpc, trace
from harness.case import Chain, ProgramTest, traced_to
from harness.collector import Collector
from harness.programs import Hop
from harness.upstreams import GrpcUpstream, HttpUpstream, RetryingProxy
from harness.wait import eventually

CALL = "tracehop.v1.Hop/Call"
TRACE_64 = "463ac35c9f6413ad"
TRACE_128 = "80f198ee56343ba864fe8b2a57d3eff7"
SPAN = "a2fb4a1d1a96d312"
CHAIN_SPANS = 7


def single(trace_id=TRACE_128, sampled="1"):
    return [("b3", f"{trace_id}-{SPAN}" + (f"-{sampled}" if sampled else ""))]


def multi(trace_id=TRACE_128, sampled="1"):
    own = [("x-b3-traceid", trace_id), ("x-b3-spanid", SPAN)]
    return own + ([("x-b3-sampled", sampled)] if sampled else [])


def w3c(trace_id=TRACE_128, flags="01"):
    return [("traceparent", f"00-{trace_id}-{SPAN}-{flags}")]


class Tree(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.collector = cls.start_shared(Collector())
        cls.chain = cls.start_shared(Chain(**traced_to(cls.collector)))

    def click(self, headers=()):
        """The spans of one request to the frontend over HTTP, and its answer."""
        answer = http.get(self.chain.frontend.http_port, headers=list(headers))
        return answer, self.collector.wait_for_spans(CHAIN_SPANS, answer.headers["x-trace-id"])

    def test_one_request_is_one_tree(self):
        _, spans = self.click()
        self.assertEqual(
            trace.outline(spans),
            ("frontend", "SERVER", "GET /", [
                ("frontend", "CLIENT", CALL, [
                    ("middleware", "SERVER", CALL, [
                        ("middleware", "CLIENT", CALL, [
                            ("backend", "SERVER", CALL, [
                                ("backend", "CLIENT", "GET", [
                                    ("clock", "SERVER", "GET /time", [])])])])])])]),
        )  # fmt: skip
        root, _ = trace.tree(spans)
        self.assertEqual(root.parent_id, "")

    def test_a_hundred_requests_are_a_hundred_trees(self):
        with http.Client(self.chain.frontend.http_port) as client:
            ids = [client.get().headers["x-trace-id"] for _ in range(100)]
        self.assertEqual(len(set(ids)), 100)
        for trace_id in ids:
            spans = self.collector.wait_for_spans(CHAIN_SPANS, trace_id)
            self.assertEqual(len(spans), CHAIN_SPANS)
            trace.tree(spans)

    def test_spans_say_what_the_conventions_ask_for(self):
        _, spans = self.click()
        by_name = {(span.service, span.kind): span.attributes for span in spans}
        self.assertLessEqual(
            {"http.request.method": "GET", "url.path": "/", "url.scheme": "http",
             "http.response.status_code": 200, "tracehop.attempt": 1}.items(),
            by_name["frontend", "SERVER"].items(),
        )  # fmt: skip
        grpc = {"rpc.system": "grpc", "rpc.service": "tracehop.v1.Hop", "rpc.method": "Call",
                "rpc.grpc.status_code": 0}  # fmt: skip
        self.assertLessEqual(
            {**grpc, "server.address": "127.0.0.1", "server.port": self.chain.middleware.grpc_port}
            .items(),
            by_name["frontend", "CLIENT"].items(),
        )
        self.assertLessEqual(
            {**grpc, "tracehop.attempt": 1}.items(), by_name["middleware", "SERVER"].items()
        )
        self.assertLessEqual(
            {"http.request.method": "GET", "url.full": self.chain.clock.time_uri,
             "http.response.status_code": 200}.items(),
            by_name["backend", "CLIENT"].items(),
        )  # fmt: skip

    def test_the_resource_says_who_speaks(self):
        _, spans = self.click()
        for span in spans:
            self.assertEqual(span.resource["service.version"], "prod")
            self.assertTrue(span.resource["service.instance.id"])
            self.assertEqual(span.resource["telemetry.sdk.language"], "c")

    def test_work_makes_spans_of_its_own(self):
        worker = self.hop("worker", WORK="fibonacci", WORK_SLEEP_MAX="5ms", **traced_to(self.collector))
        answer = http.get(worker.http_port)
        spans = self.collector.wait_for_spans(4, answer.headers["x-trace-id"])
        self.assertEqual(
            trace.outline(spans),
            ("worker", "SERVER", "GET /", [
                ("worker", "INTERNAL", "Fibonacci Odd Or Even", [
                    ("worker", "INTERNAL", "Fibonacci Calculation", []),
                    ("worker", "INTERNAL", "Sleep", [])])]),
        )  # fmt: skip

    def test_parallel_calls_are_siblings(self):
        last = [self.hop("last", version=str(number), **traced_to(self.collector)) for number in range(3)]
        first = self.hop("first", upstream=[hop.grpc_uri for hop in last], **traced_to(self.collector))
        answer = http.get(first.http_port)
        root, children = trace.tree(self.collector.wait_for_spans(7, answer.headers["x-trace-id"]))
        self.assertEqual([span.kind for span in children[root.span_id]], ["CLIENT"] * 3)

    def test_a_failure_marks_the_spans_it_passes(self):
        answer = http.get(self.chain.frontend.http_port, headers={"fail": "backend=1"})
        spans = self.collector.wait_for_spans(5, answer.headers["x-trace-id"])
        self.assertEqual(len(spans), 5)
        for span in spans:
            self.assertTrue(span.is_error, span)
            self.assertTrue(span.status_message, span)
            code = "http.response.status_code" if span.name == "GET /" else "rpc.grpc.status_code"
            self.assertEqual(span.attributes[code], 500 if span.name == "GET /" else 13)

    def test_a_caller_s_mistake_is_no_error_of_the_server(self):
        answer = http.get(self.chain.backend.http_port, headers={"fail": "1:not_found"})
        (span,) = self.collector.wait_for_spans(1, answer.headers["x-trace-id"])
        self.assertEqual(span.attributes["http.response.status_code"], 404)
        self.assertFalse(span.is_error)

    def test_a_delay_shows_as_time_in_the_span(self):
        _, spans = self.click([("delay", "middleware=200ms")])
        trace.tree(spans)
        span = next(span for span in spans if (span.service, span.kind) == ("middleware", "SERVER"))
        self.assertGreaterEqual(span.end_ns - span.start_ns, 200_000_000)

    def test_the_caller_s_span_is_the_parent(self):
        for form in (single, multi, w3c):
            for trace_id in (TRACE_64, TRACE_128) if form is not w3c else (TRACE_128,):
                with self.subTest(form=form.__name__, trace_id=trace_id):
                    seen = len(self.collector.spans(trace_id.rjust(32, "0")))
                    http.get(self.chain.frontend.http_port, headers=form(trace_id))
                    rpc.call(self.chain.frontend.grpc_port, form(trace_id))
                    spans = self.collector.wait_for_spans(
                        seen + 2 * CHAIN_SPANS, trace_id.rjust(32, "0")
                    )
                    roots = [
                        span for span in spans if span.service == "frontend" and span.kind == "SERVER"
                    ]
                    self.assertEqual({span.parent_id for span in roots}, {SPAN})

    def test_a_caller_on_another_machine_may_have_another_clock(self):
        # Nothing of the caller's is in the tree, so only the ids tie it to its parent.
        _, spans = self.click(w3c("0af7651916cd43dd8448eb211c80319c"))
        root, _ = trace.tree(spans)
        self.assertEqual(root.parent_id, SPAN)

    def test_what_is_not_sampled_is_not_exported_but_goes_on(self):
        for number, headers in enumerate((
            single(sampled="0"), multi(sampled="0"), w3c(flags="00"), [("b3", "0")],
            [("x-b3-sampled", "0")],
        )):  # fmt: skip
            with self.subTest(headers=headers):
                unsampled = f"{number + 1:032x}"
                renamed = [(name, value.replace(TRACE_128, unsampled)) for name, value in headers]
                answer = http.get(self.chain.frontend.http_port, headers=renamed)
                self.assertEqual(answer.status, 200)
                self.click()  # Exports keep their order, so by now the other would be there.
                self.assertEqual(self.collector.spans(unsampled), [])
                self.assertEqual(self.collector.spans(answer.headers["x-trace-id"]), [])

    def test_probes_make_no_spans(self):
        seen = len(self.collector.spans())
        for hop in self.chain.hops:
            for path in ("/healthz", "/readyz", "/metrics"):
                self.assertEqual(http.get(hop.admin_port, path).status, 200)
            self.assertEqual(rpc.check(hop.grpc_port), "SERVING")
            http.get(hop.http_port, "/nothing")
        self.click()
        self.assertEqual(len(self.collector.spans()), seen + CHAIN_SPANS)

    def test_nothing_is_lost_and_nothing_comes_twice(self):
        # The collector refuses a span that it has seen; here, that all of them come.
        collector = self.start(Collector())
        with Chain(**traced_to(collector)) as chain:
            with http.Client(chain.frontend.http_port) as client:
                for _ in range(200):
                    client.get()
        self.assertEqual(len(collector.spans()), 200 * CHAIN_SPANS)


class Proxies(ProgramTest):
    """Proxies between two hops, each of which puts its own span into some forms of the context."""

    FORMS = ("b3", "b3multi", "tracecontext")
    ITS_SPAN = "00000000000000aa"

    @classmethod
    def setUpClass(cls):
        cls.collector = cls.start_shared(Collector())
        cls.settings = traced_to(cls.collector, OTEL_PROPAGATORS=",".join(cls.FORMS))
        cls.last = cls.shared_hop("last", **cls.settings)

    def rewriting(self, forms):
        """What a proxy does that knows only these forms."""

        def with_its_span(name, value):
            trace_id, *others = value.split("-")
            if name == "b3" and "b3" in forms:
                return "-".join([trace_id, self.ITS_SPAN, *others[1:]])
            if name == "x-b3-spanid" and "b3multi" in forms:
                return self.ITS_SPAN
            if name == "traceparent" and "tracecontext" in forms:
                return "-".join([trace_id, others[0], self.ITS_SPAN, others[2]])
            return value

        return lambda metadata: [(name, with_its_span(name, value)) for name, value in metadata]

    def spans_behind(self, forms):
        """The client's span of the first hop, and the server's of the last."""
        proxy = self.start(RetryingProxy(self.last.grpc_port, 1, self.rewriting(forms)))
        first = self.hop("first", upstream=proxy.uri, **self.settings)
        trace_id = http.get(first.http_port).headers["x-trace-id"]
        spans = self.collector.wait_for_spans(3, trace_id)
        return (
            next(span for span in spans if span.kind == "CLIENT"),
            next(span for span in spans if span.service == "last"),
        )

    def test_the_form_that_a_proxy_rewrote_names_the_parent(self):
        for form in self.FORMS:
            with self.subTest(form=form):
                _, server = self.spans_behind([form])
                self.assertEqual(server.parent_id, self.ITS_SPAN)

    def test_behind_a_proxy_that_rewrites_nothing_the_caller_is_the_parent(self):
        client, server = self.spans_behind([])
        self.assertEqual(server.parent_id, client.span_id)

    def test_behind_a_proxy_that_rewrites_all_it_is_the_parent(self):
        _, server = self.spans_behind(self.FORMS)
        self.assertEqual(server.parent_id, self.ITS_SPAN)

    def test_without_a_caller_s_mark_the_order_decides(self):
        other = f"00-{TRACE_128}-{self.ITS_SPAN}-01"
        before = len(self.collector.spans(TRACE_128))
        http.get(self.last.http_port, headers=[*multi(), ("traceparent", other)])
        spans = self.collector.wait_for_spans(before + 1, TRACE_128)
        self.assertEqual(spans[-1].parent_id, SPAN)


class Propagation(ProgramTest):
    """What the next hop is told, in which form, over both protocols."""

    @classmethod
    def setUpClass(cls):
        cls.collector = cls.start_shared(Collector())
        cls.recorders = [cls.start_shared(HttpUpstream()), cls.start_shared(GrpcUpstream())]
        cls.uris = [recorder.uri for recorder in cls.recorders]
        cls.default = cls.shared_hop("hop", upstream=cls.uris, **traced_to(cls.collector))

    def seen_by_recorders(self, hop, headers):
        """What the recorders saw of a request that came by HTTP, and of one by gRPC."""
        for recorder in self.recorders:
            recorder.arrivals.forget()
        answer = http.get(hop.http_port, headers=list(headers))
        outcome = rpc.call(hop.grpc_port, headers)
        self.assertEqual((answer.status, outcome.code), (200, "OK"), (answer, outcome))
        return [arrival for recorder in self.recorders for arrival in recorder.arrivals.take(2)]

    def assert_consistent(self, arrival, forms):
        """All forms tell the same ids; returns (trace id, span id, sampled)."""
        told = set()
        if "b3multi" in forms:
            told.add((
                arrival.one("x-b3-traceid").rjust(32, "0"), arrival.one("x-b3-spanid"),
                arrival.one("x-b3-sampled") or arrival.one("x-b3-flags"),
            ))  # fmt: skip
        if "b3" in forms:
            trace_id, span_id, sampled = arrival.one("b3").split("-")[:3]
            told.add((trace_id.rjust(32, "0"), span_id, sampled.replace("d", "1")))
        if "tracecontext" in forms:
            version, trace_id, span_id, flags = arrival.one("traceparent").split("-")
            self.assertEqual(version, "00")
            told.add((trace_id, span_id, str(int(flags, 16) & 1)))
        self.assertEqual(len(told), 1, arrival.headers)
        return told.pop()

    def test_all_configured_forms_are_sent_and_no_other(self):
        names = {
            "b3": {"b3"},
            "b3multi": {"x-b3-traceid", "x-b3-spanid", "x-b3-sampled"},
            "tracecontext": {"traceparent"},
        }
        optional = {"x-b3-parentspanid", "tracestate"}
        for forms in (
            ["b3multi", "tracecontext"], ["b3"], ["b3multi"], ["tracecontext"], ["b3", "tracecontext"],
        ):
            hop = self.hop(upstream=self.uris, OTEL_PROPAGATORS=",".join([*forms, "baggage"]))
            for headers in ([], single(), multi(), w3c()):
                with self.subTest(forms=forms, headers=headers):
                    for arrival in self.seen_by_recorders(hop, headers):
                        self.assert_consistent(arrival, forms)
                        carried = {
                            name for name in arrival.names()
                            if name == "b3" or name.startswith(("x-b3-", "trace"))
                        }
                        self.assertEqual(
                            carried - optional, set().union(*(names[form] for form in forms))
                        )

    def test_the_ids_go_on_and_each_call_is_a_new_span(self):
        for form in (single, multi, w3c):
            with self.subTest(form=form.__name__):
                seen = [
                    self.assert_consistent(arrival, ["b3multi", "tracecontext"])
                    for arrival in self.seen_by_recorders(self.default, form())
                ]
                self.assertEqual({trace_id for trace_id, _, _ in seen}, {TRACE_128})
                self.assertEqual({sampled for _, _, sampled in seen}, {"1"})
                span_ids = {span_id for _, span_id, _ in seen}
                self.assertEqual(len(span_ids), 4)
                self.assertNotIn(SPAN, span_ids)

    def test_the_mark_of_a_call_is_its_span(self):
        for arrival in self.seen_by_recorders(self.default, w3c()):
            self.assertEqual(arrival.one("x-tracehop-call"), arrival.one("x-b3-spanid"))

    def test_ids_of_64_bits_keep_their_width(self):
        hop = self.hop(upstream=self.uris, OTEL_PROPAGATORS="b3,b3multi,tracecontext")
        for form in (single, multi):
            with self.subTest(form=form.__name__):
                for arrival in self.seen_by_recorders(hop, form(TRACE_64)):
                    self.assertEqual(arrival.one("x-b3-traceid"), TRACE_64)
                    self.assertTrue(arrival.one("b3").startswith(f"{TRACE_64}-"))
                    self.assertTrue(
                        arrival.one("traceparent").startswith(f"00-{TRACE_64.rjust(32, '0')}-")
                    )

    def test_ids_of_128_bits_that_begin_with_zeros_keep_their_width(self):
        padded = TRACE_64.rjust(32, "0")
        for arrival in self.seen_by_recorders(self.default, multi(padded)):
            self.assertEqual(arrival.one("x-b3-traceid"), padded)

    def test_upper_case_b3_ids_are_understood(self):
        for arrival in self.seen_by_recorders(self.default, multi(TRACE_128.upper())):
            self.assertEqual(arrival.one("x-b3-traceid"), TRACE_128)

    def test_a_denial_goes_on(self):
        for headers in (single(sampled="0"), multi(sampled="0"), w3c(flags="00"), [("b3", "0")],
                        [("x-b3-sampled", "0")], [("x-b3-sampled", "false")]):  # fmt: skip
            with self.subTest(headers=headers):
                for arrival in self.seen_by_recorders(self.default, headers):
                    self.assertEqual(arrival.one("x-b3-sampled"), "0")
                    self.assertTrue(arrival.one("traceparent").endswith("-00"))

    def test_debug_goes_on(self):
        for headers in (single(sampled="d"), [*multi(sampled=None), ("x-b3-flags", "1")]):
            with self.subTest(headers=headers):
                for arrival in self.seen_by_recorders(self.default, headers):
                    self.assertEqual(arrival.one("x-b3-flags"), "1")
                    self.assertTrue(arrival.one("traceparent").endswith("-01"))

    def test_without_a_decision_the_sampler_decides(self):
        for sampler, sampled in (("parentbased_always_on", "1"), ("parentbased_always_off", "0")):
            hop = self.hop(upstream=self.uris, OTEL_TRACES_SAMPLER=sampler)
            for headers in ([], single(sampled=None), multi(sampled=None)):
                with self.subTest(sampler=sampler, headers=headers):
                    for arrival in self.seen_by_recorders(hop, headers):
                        self.assertEqual(arrival.one("x-b3-sampled"), sampled)

    def test_a_ratio_is_kept(self):
        collector = self.start(Collector())
        with Hop(OTEL_TRACES_SAMPLER_ARG="0.25", **{
            **traced_to(collector), "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"
        }) as hop:
            with http.Client(hop.http_port) as client:
                for _ in range(1000):
                    client.get()
        # 5 sigma of a binomial draw: fails by chance once in a million runs.
        self.assertAlmostEqual(len(collector.spans()), 250, delta=69)

    def test_the_first_usable_form_in_the_order_of_propagators_wins(self):
        other = "0af7651916cd43dd8448eb211c80319c"
        both = [*multi(), *w3c(other)]
        for order, expected in (("b3multi,tracecontext", TRACE_128), ("tracecontext,b3multi", other)):
            hop = self.hop(upstream=self.uris, OTEL_PROPAGATORS=order)
            with self.subTest(order=order):
                for arrival in self.seen_by_recorders(hop, both):
                    self.assertEqual(arrival.one("x-b3-traceid"), expected)

    def test_a_malformed_form_gives_way_to_the_next(self):
        for arrival in self.seen_by_recorders(self.default, [("b3", "nonsense"), *w3c()]):
            self.assertEqual(arrival.one("x-b3-traceid"), TRACE_128)

    def test_malformed_contexts_start_a_new_root(self):
        zeros = "0" * 32
        before = metrics.read(self.default).total("tracehop_trace_contexts_malformed_total")
        table = (
            [("b3", "")], [("b3", "x")], [("b3", "-")], [("b3", "--")], [("b3", "2")], [("b3", "0-0")],
            [("b3", f"{TRACE_128}")], [("b3", f"{TRACE_128}-")], [("b3", f"{TRACE_128}-{SPAN}-")],
            [("b3", f"{TRACE_128}-{SPAN}-x")], [("b3", f"{TRACE_128}-{SPAN}-1-")],
            [("b3", f"{TRACE_128}-{SPAN}-1-{SPAN}-1")], [("b3", f"{zeros}-{SPAN}-1")],
            [("b3", f"{TRACE_128}-{zeros[:16]}-1")], [("b3", f"{TRACE_128}0-{SPAN}-1")],
            [("b3", f"{TRACE_128[1:]}-{SPAN}-1")], [("b3", f"{TRACE_128[:-1]}g-{SPAN}-1")],
            [("b3", "x" * 4096)],
            [("x-b3-traceid", TRACE_128)], [("x-b3-spanid", SPAN)], multi("xyz"), multi(zeros),
            multi(TRACE_128[1:]), multi(TRACE_128 + "00"), multi(f"{TRACE_128[:-2]} 1"),
            [("x-b3-traceid", TRACE_128), ("x-b3-spanid", "0" * 16)],
            [("x-b3-traceid", TRACE_128), ("x-b3-spanid", SPAN[1:])],
            w3c(zeros), w3c(TRACE_128.upper()), w3c(TRACE_64), w3c(flags="0"), w3c(flags="zz"),
            [("traceparent", "")], [("traceparent", "00")], [("traceparent", f"00-{TRACE_128}-{SPAN}")],
            [("traceparent", f"ff-{TRACE_128}-{SPAN}-01")], [("traceparent", f"0-{TRACE_128}-{SPAN}-01")],
            [("traceparent", f"00-{TRACE_128}-{SPAN}-01-extra")],
            [("traceparent", f"00-{TRACE_128}-{'0' * 16}-01")], [("traceparent", "-" * 4096)],
        )  # fmt: skip
        for headers in table:
            with self.subTest(headers=[(name, value[:80]) for name, value in headers]):
                seen = [
                    self.assert_consistent(arrival, ["b3multi", "tracecontext"])
                    for arrival in self.seen_by_recorders(self.default, headers)
                ]
                for trace_id, span_id, _ in seen:
                    self.assertRegex(trace_id, "^(?!0{32})[0-9a-f]{32}$")
                    self.assertRegex(span_id, "^(?!0{16})[0-9a-f]{16}$")
                    self.assertNotEqual(trace_id, TRACE_128)
                # Two requests, each its own trace, each seen by two recorders.
                self.assertEqual(len({trace_id for trace_id, _, _ in seen}), 2)
        after = metrics.read(self.default).total("tracehop_trace_contexts_malformed_total")
        self.assertGreaterEqual(after - before, len(table))

    def test_trace_state_goes_on(self):
        headers = [*w3c(), ("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")]
        hop = self.hop(upstream=self.uris, OTEL_PROPAGATORS="tracecontext")
        for arrival in self.seen_by_recorders(hop, headers):
            self.assertEqual(arrival.one("tracestate"), headers[-1][1])

    def test_a_newer_version_of_traceparent_is_read_as_ours(self):
        for arrival in self.seen_by_recorders(
            self.default, [("traceparent", f"cc-{TRACE_128}-{SPAN}-01-what-comes-later")]
        ):
            self.assertEqual(arrival.one("traceparent").split("-")[:2], ["00", TRACE_128])

    def test_baggage_goes_on_untouched(self):
        value = "userId=Am%C3%A9lie , serverNode=DF%2028;isProduction=false"
        for arrival in self.seen_by_recorders(self.default, [("baggage", value)]):
            self.assertEqual(arrival.one("baggage"), value)

    def test_with_tracing_disabled_the_headers_go_on_untouched(self):
        hop = self.hop(upstream=self.uris, OTEL_SDK_DISABLED="true")
        headers = [
            ("x-b3-traceid", "anything"), ("x-b3-spanid", "at"), ("x-b3-parentspanid", "all"),
            ("x-b3-sampled", "1"), ("x-b3-flags", "0"), ("b3", "goes"), ("traceparent", "on"),
            ("tracestate", "as=it,is=x"),
        ]  # fmt: skip
        for arrival in self.seen_by_recorders(hop, headers):
            for name, value in headers:
                self.assertEqual(arrival.all(name), [value.encode()], name)

    def test_log_lines_carry_the_ids(self):
        answer = http.get(self.default.http_port)
        trace_id = answer.headers["x-trace-id"]
        line = eventually(
            lambda: next(
                (line for line in self.default.logged("request") if line.get("trace_id") == trace_id),
                None,
            ),
            "the request is logged",
        )
        self.assertTrue(re.fullmatch("[0-9a-f]{16}", line["span_id"]), line)
