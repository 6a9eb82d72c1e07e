"""What a request through Istio's mesh leaves behind: one trace, in which the gateway, the sidecars
and the hops are one tree, in the collector and in the Jaeger behind it; for both ways of tracing
that the chart knows.
"""

import contextlib
import unittest

from harness import jaeger, trace
from harness.case import ProgramTest
from harness.istio_cluster import OTLP, ZIPKIN
from harness.istio_mesh import IstioMesh
from harness.mesh import ask_at_once
from harness.wait import eventually

KINDS = {2: "SERVER", 3: "CLIENT"}
ERROR = 2

# What Istio makes of a request whose backend is tried three times; "!" is an error. A sidecar has
# one span for all tries of what leaves, the one behind it one for each.
RETRIED = """\
istio-ingressgateway.istio-system SERVER frontend.demo.svc.cluster.local:8080/*
  istio-ingressgateway.istio-system CLIENT router outbound|8080|prod|{frontend}; egress
    frontend.demo SERVER frontend.demo.svc.cluster.local:8080/*
      frontend SERVER GET /
        frontend CLIENT tracehop.v1.Hop/Call
          frontend.demo CLIENT middleware.demo.svc.cluster.local:9090/*
            middleware.demo SERVER middleware.demo.svc.cluster.local:9090/*
              middleware SERVER tracehop.v1.Hop/Call
                middleware CLIENT tracehop.v1.Hop/Call
                  middleware.demo CLIENT backend.demo.svc.cluster.local:9090/*
                    backend.demo SERVER backend.demo.svc.cluster.local:9090/* !
                      backend SERVER tracehop.v1.Hop/Call !
                    backend.demo SERVER backend.demo.svc.cluster.local:9090/* !
                      backend SERVER tracehop.v1.Hop/Call !
                    backend.demo SERVER backend.demo.svc.cluster.local:9090/*
                      backend SERVER tracehop.v1.Hop/Call
                        backend CLIENT GET
                          backend.demo CLIENT clock.outside:8080/*
""".format(frontend="frontend.demo.svc.cluster.local")


def is_proxy(span):
    return span.service.endswith((".demo", ".istio-system"))


def is_whole(spans, calls):
    """Whether they are one tree in which each of so many calls of hops (of the clock there are no
    spans) has passed the sidecar of the hop that was called, and each call that a hop made its own.
    """
    found = {span.span_id: span for span in spans}
    roots = [span for span in spans if span.parent_id not in found]
    below = [
        (found[span.parent_id].service, KINDS[found[span.parent_id].kind], span.service)
        for span in spans
        if span not in roots
    ]
    entered = sum(above == f"{service}.demo" for above, _, service in below)
    left = sum(service == f"{above}.demo" and kind == "CLIENT" for above, kind, service in below)
    made = sum(not is_proxy(span) and KINDS[span.kind] == "CLIENT" for span in spans)
    return len(roots) == 1 and not roots[0].parent_id and (entered, left) == (calls, made)


def drawn(root, children):
    def lines(span, depth):
        mark = " !" if span.status.get("code") == ERROR else ""
        yield f"{'  ' * depth}{span.service} {KINDS[span.kind]} {span.name}{mark}\n"
        for child in sorted(children[span.span_id], key=lambda child: child.start_ns):
            yield from lines(child, depth + 1)

    return "".join(lines(root, 0))


MESH = None


def setUpModule():
    global MESH
    MESH = unittest.enterModuleContext(IstioMesh())


class OneTree:
    """The tests of each way of tracing."""

    provider = None

    @classmethod
    def setUpClass(cls):
        MESH.go("canary", tracing={"provider": cls.provider})
        MESH.restart_proxies()
        eventually(lambda: MESH.get().status == 200, "everybody has found each other again")

    def tree_of(self, answer):
        """As Jaeger tells it, once it is whole. It may be asked often: unlike the collector it is
        not in the mesh, where being asked makes spans.
        """
        trace_id = answer.headers["x-trace-id"]
        calls = answer.json["calls"] - answer.text.count('"http"')

        def look():
            return jaeger.trace(MESH.jaeger.query_port, trace_id).values()

        with contextlib.suppress(AssertionError):  # What is wrong then is said below.
            eventually(lambda: is_whole(look(), calls), "a whole trace")
        spans = look()
        tree = trace.tree(spans, is_proxy)  # Envoy tells Zipkin how long it took a moment too late.
        self.assertTrue(is_whole(spans, calls), f"{calls} calls in\n{drawn(*tree)}")
        return tree

    def test_a_retried_request_is_one_tree_in_the_collector_and_in_jaeger(self):
        answer = MESH.get({"fail": "backend=first-2"})
        root, children = self.tree_of(answer)
        self.assertEqual(drawn(root, children), RETRIED)

        def look():
            spans = jaeger.trace(MESH.collector, root.trace_id).values()
            return spans if len(spans) == len(children) else None

        # It shows what it has passed on, but a moment later.
        own = eventually(look, "the collector shows all spans")
        self.assertEqual(drawn(*trace.tree(own, is_proxy)), RETRIED)

    def test_requests_of_which_many_are_retried_are_as_many_trees(self):
        answers = ask_at_once(MESH.http, [{"fail": "0.2"}] * 30)
        for answer in answers:
            self.tree_of(answer)


class Zipkin(OneTree, ProgramTest):
    provider = ZIPKIN


class OpenTelemetry(OneTree, ProgramTest):
    provider = OTLP


if __name__ == "__main__":
    unittest.main()
