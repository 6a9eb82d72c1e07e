"""What a request through the mesh leaves behind: one trace, in which gateway, sidecars and hops are
one tree and each try of a retried call has its place. The same for each way of tracing that the
proxies know, and the same in the collector and in the Jaeger behind it.
"""

import contextlib
import os
import random
import re
import types
import unittest

from harness import books, build, jaeger, metrics, trace
from harness.case import ProgramTest
from harness.jaeger import Jaeger
from harness.mesh import PROXIES, Mesh, ask_at_once
from harness.wait import eventually

SERVER, CLIENT = 2, 3
KINDS = {SERVER: "SERVER", CLIENT: "CLIENT"}
ERROR = 2

# "!" is an error. Inside the hops there is more, which is none of the mesh's.
RETRIED = """\
gateway SERVER frontend:8080/*
  gateway CLIENT try 1 outbound|8080|prod|frontend
    frontend-sidecar SERVER frontend:8080/*
      frontend SERVER GET /
        frontend CLIENT tracehop.v1.Hop/Call
          frontend-sidecar SERVER middleware:9090/*
            frontend-sidecar CLIENT try 1 outbound|9090|prod|middleware
              middleware-sidecar SERVER middleware:9090/*
                middleware SERVER tracehop.v1.Hop/Call
                  middleware CLIENT tracehop.v1.Hop/Call
                    middleware-sidecar SERVER backend:9090/*
                      middleware-sidecar CLIENT try 1 outbound|9090|prod|backend !
                        backend-sidecar SERVER backend:9090/* !
                          backend SERVER tracehop.v1.Hop/Call !
                      middleware-sidecar CLIENT try 2 outbound|9090|prod|backend !
                        backend-sidecar SERVER backend:9090/* !
                          backend SERVER tracehop.v1.Hop/Call !
                      middleware-sidecar CLIENT try 3 outbound|9090|prod|backend
                        backend-sidecar SERVER backend:9090/*
                          backend SERVER tracehop.v1.Hop/Call
                            backend CLIENT GET
                              backend-sidecar SERVER clock.outside:8080/*
                                backend-sidecar CLIENT try 1 outbound|8080||clock.outside
                                  clock SERVER GET /time
"""

BLOCKED = """\
backend CLIENT GET !
  backend-sidecar SERVER {name} !
"""


def is_proxy(span):
    return span.service == "gateway" or span.service.endswith("-sidecar")


def is_try(span):
    return is_proxy(span) and span.kind == CLIENT


def is_call(span):
    """Of a hop, as it was asked."""
    return not is_proxy(span) and span.kind == SERVER


def counted(spans):
    """The calls of hops, and the tries of proxies."""
    return sum(map(is_call, spans)), sum(map(is_try, spans))


def is_whole(spans, calls):
    """Whether they are one tree in which a proxy has tried each of so many calls of hops."""
    found = {span.span_id for span in spans}
    roots = [span for span in spans if span.parent_id not in found]
    return len(roots) == 1 and counted(spans) == (calls, calls)


def text(span, key):
    """An attribute; the resource's when the span has none. None: neither has it."""
    return {**span.resource, **span.attributes}.get(key, {}).get("stringValue")


def drawn(root, children):
    """A tree of spans, as RETRIED is written."""

    def lines(span, depth):
        mark = " !" if span.status.get("code") == ERROR else ""
        yield f"{'  ' * depth}{span.service} {KINDS[span.kind]} {span.name}{mark}\n"
        for child in sorted(children[span.span_id], key=lambda child: child.start_ns):
            if child.kind in KINDS:
                yield from lines(child, depth + 1)

    return "".join(lines(root, 0))


def nesting(drawing):
    """What hangs below what in a drawing, whichever try it is and whatever came of it."""
    path, found = [], set()
    for line in drawing.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        path[depth:] = [re.sub(r" try \d ", " try ", line.strip().removesuffix(" !"))]
        found.add(tuple(path[-2:]))
    return found


def new_ids():
    return f"{random.getrandbits(128):032x}", f"{random.getrandbits(64):016x}"


def b3_multi(trace_id, span_id, sampled):
    flag = str(int(sampled))
    return {"x-b3-traceid": trace_id, "x-b3-spanid": span_id, "x-b3-sampled": flag}


def b3_single(trace_id, span_id, sampled):
    return {"b3": f"{trace_id}-{span_id}-{int(sampled)}"}


def traceparent(trace_id, span_id, sampled):
    return {"traceparent": f"00-{trace_id}-{span_id}-{int(sampled):02x}"}


class OneTree:
    """The tests of each way of tracing."""

    tracing = None  # one of settings.TRACINGS
    forms = ()  # of trace context, that the proxies then read
    name_of_blocked = "egress clock.outside:8080"

    @classmethod
    def setUpClass(cls):
        has_jaeger = os.access(build.tool("jaeger"), os.X_OK)
        cls.jaeger = cls.start_shared(Jaeger()) if has_jaeger else None
        cls.mesh = cls.start_shared(
            Mesh(
                step="canary",
                TRACING=cls.tracing,
                RELAY_TO=cls.jaeger.grpc_uri if cls.jaeger else "",
            )
        )
        cls.collector = types.SimpleNamespace(admin_port=cls.mesh.collector)

    @staticmethod
    def ends_early(_):
        return False

    def ask(self, headers=()):
        answer = self.mesh.get(headers)
        self.assertEqual(answer.status, 200, answer)
        return answer

    def tree_of(self, trace_id, calls):
        """The trace once it has this many calls of hops and each span has its parent: the root, and
        the children by span id.
        """

        def look():
            return jaeger.trace(self.mesh.collector, trace_id).values()

        with contextlib.suppress(AssertionError):  # What is wrong then is said below.
            eventually(lambda: is_whole(look(), calls), "a whole trace")
        spans = look()
        tree = trace.tree(spans, self.ends_early)
        self.assertEqual(counted(spans), (calls, calls), f"calls and tries in {drawn(*tree)}")
        return tree

    def tree_of_answer(self, answer):
        return self.tree_of(answer.headers["x-trace-id"], answer.json["calls"])

    def spans_of(self, answer):
        _, children = self.tree_of_answer(answer)
        return [span for below in children.values() for span in below]

    def received(self):
        return metrics.read(self.collector).total("tracehop_collector_received_spans_total")

    def settle(self):
        """Asks once more: when that trace is there, all that was told before it is. How many spans
        the collector has received.
        """
        self.tree_of_answer(self.ask())
        return self.received()

    def test_a_retried_request_is_one_tree_with_all_its_tries(self):
        answer = self.ask({"fail": "backend=first-2"})
        self.assertEqual(drawn(*self.tree_of_answer(answer)), RETRIED)

    def test_a_try_tells_where_it_went_and_what_came_of_it(self):
        spans = self.spans_of(self.ask({"fail": "backend=first-2"}))
        tries = [span for span in spans if is_try(span) and span.name.endswith("backend")]
        tries.sort(key=lambda span: span.start_ns)
        self.assertEqual([text(span, "grpc.status_code") for span in tries], ["13", "13", "0"])
        for span in tries:
            self.assertEqual(text(span, "upstream_cluster"), "outbound|9090|prod|backend")
            self.assertEqual(text(span, "response_flags"), "-")
            self.assertEqual(text(span, "response_code_details"), "via_upstream")

    def test_fifty_requests_of_which_many_are_retried_are_fifty_trees_and_nothing_else(self):
        before = self.settle()
        answers = ask_at_once(self.mesh.http, [{"fail": "0.3"}] * 50)
        trees = [self.tree_of_answer(answer) for answer in answers]
        for tree in trees:
            self.assertLessEqual(nesting(drawn(*tree)), nesting(RETRIED))
        # Making and sending spans made none.
        self.assertEqual(self.received(), before + sum(len(children) for _, children in trees))
        self.assertGreater(sum(answer.json["calls"] for answer in answers), 50 * 4)
        self.assertEqual(books.refused(self.collector), 0)
        lost = r"tracing\..*(dropped|failed|skipped).*"
        self.assertEqual([self.mesh.statistics(proxy, lost) for proxy in PROXIES], [0] * len(PROXIES))

    def test_jaeger_tells_the_same(self):
        if not self.jaeger:
            raise unittest.SkipTest("there is no Jaeger")
        answer = self.ask({"fail": "backend=first-2"})
        root, children = self.tree_of_answer(answer)
        theirs = self.jaeger.wait_for_trace(root.trace_id, len(children))
        self.assertEqual(drawn(*trace.tree(theirs.values(), self.ends_early)), RETRIED)
        own = jaeger.trace(self.mesh.collector, root.trace_id)
        self.assertEqual(set(own), set(theirs))
        for span_id, span in own.items():
            with self.subTest(span=str(span)):
                self.assertEqual(span.content, theirs[span_id].content)

    def test_sidecars_of_prod_and_canary_are_told_apart(self):
        for headers, version in (({}, "prod"), ({"x-dev-user": "super-secret"}, "canary")):
            with self.subTest(version):
                spans = self.spans_of(self.ask(headers))
                found = {
                    text(span, "service.version")
                    for span in spans
                    if span.service in ("middleware", "middleware-sidecar")
                }
                self.assertEqual(found, {version})
                (decided,) = (
                    span for span in spans if is_try(span) and span.name.endswith("middleware")
                )
                self.assertEqual(
                    text(decided, "http.request.header.x-dev-user"), headers.get("x-dev-user")
                )

    def test_a_call_that_the_mesh_blocks_ends_at_the_sidecar(self):
        self.mesh.must("ingress")
        self.addCleanup(self.mesh.must, "canary")
        _, children = self.tree_of(self.ask().headers["x-trace-id"], calls=3)
        (call,) = (
            span
            for below in children.values()
            for span in below
            if (span.service, span.kind) == ("backend", CLIENT)
        )
        self.assertEqual(drawn(call, children), BLOCKED.format(name=self.name_of_blocked))
        (sidecar,) = children[call.span_id]
        self.assertEqual(text(sidecar, "http.status_code"), "502")
        self.assertEqual(text(sidecar, "response_code_details"), "direct_response")

    def test_a_clients_own_trace_goes_on_through_the_mesh(self):
        for form in self.forms:
            with self.subTest(form.__name__):
                trace_id, span_id = new_ids()
                answer = self.ask(form(trace_id, span_id, sampled=True))
                self.assertEqual(answer.headers["x-trace-id"], trace_id)
                root, _ = self.tree_of_answer(answer)
                self.assertEqual((root.service, root.parent_id), ("gateway", span_id))

    def test_what_its_client_does_not_want_recorded_nobody_records(self):
        denials = [form(*new_ids(), sampled=False) for form in self.forms]
        if b3_single in self.forms:
            denials += [{"b3": "0"}, {"x-b3-sampled": "0"}]
        before = self.settle()
        for headers in denials:
            self.ask(headers)
        last = self.ask()
        count = len(self.tree_of_answer(last)[1])
        self.assertEqual(self.received(), before + count)


class UnreadForms:
    """The test of proxies that do not read all forms."""

    def test_a_context_that_the_proxies_do_not_read_parts_nobody_from_the_gateway(self):
        for form in {b3_multi, b3_single, traceparent} - set(self.forms):
            with self.subTest(form.__name__):
                root, _ = self.tree_of_answer(self.ask(form(*new_ids(), sampled=True)))
                self.assertEqual((root.service, root.parent_id), ("gateway", ""))


class ZipkinSpans(OneTree):
    name_of_blocked = "clock.outside:8080"

    @staticmethod
    def ends_early(span):
        """Envoy tells Zipkin when a span began, and how long it took since a moment later."""
        return is_proxy(span)


class Zipkin(ZipkinSpans, UnreadForms, ProgramTest):
    tracing = "zipkin"
    forms = (b3_multi, b3_single)


class Both(ZipkinSpans, ProgramTest):
    tracing = "both"
    forms = (b3_multi, b3_single, traceparent)


class OpenTelemetry(OneTree, UnreadForms, ProgramTest):
    tracing = "opentelemetry"
    forms = (traceparent,)
