"""What values.schema.json of the mesh chart refuses, and that it says which value it is."""

import unittest

from harness import mesh_chart

# The values, and how the message names the bad one.
REFUSED = (
    ({"step": "start"}, "/step"),
    ({"step": "5"}, "/step"),
    ({"api": "ingress"}, "/api"),
    ({"dataplane": "cni"}, "/dataplane"),
    ({"steps": "prod"}, "steps"),
    ({"gateway.port": "80"}, "/gateway"),
    ({"gateway.hosts": "{a b}"}, "/gateway/hosts/0"),
    ({"gateway.namespace": "Istio"}, "/gateway/namespace"),
    ({"gateway.serviceAccounts": "{}"}, "/gateway/serviceAccounts"),
    ({"gatewayApi.retry": "sometimes"}, "/gatewayApi/retry"),
    ({"gatewayApi.className": "istio-waypoint"}, "/gatewayApi/className"),
    ({"waypoint.name": "gateway"}, "/waypoint/name"),
    ({"sidecar.egressHosts": "{monitoring}"}, "/sidecar/egressHosts/0"),
    ({"mtls.mode": "DISABLE"}, "/mtls/mode"),
    ({"mtls.plaintextPorts": "{70000}"}, "/mtls/plaintextPorts/0"),
    ({"authorization.callers.frontend": "gateway"}, "/authorization/callers/frontend"),
    ({"authorization.extraPrincipals": "{somebody}"}, "/authorization/extraPrincipals/0"),
    ({"tracing.protocol": "jaeger"}, "/tracing/protocol"),
    ({"tracing.provider": ""}, "/tracing/provider"),
    ({"tracing.samplingPercentage": "101"}, "/tracing/samplingPercentage"),
    ({"dashboards.labels.grafana_dashboard": "1"}, "/dashboards/labels/grafana_dashboard"),
    ({"clusterDomain": ""}, "/clusterDomain"),
)

# Values that are good by themselves, but not together.
CONTRADICTIONS = (
    ({"api": "gateway", "gateway.selector.istio": "edge"}, "/gateway/selector"),
    ({"api": "istio", "gatewayApi.retry": "true"}, "/gatewayApi/retry"),
    ({"api": "istio", "gatewayApi.annotations.a": "b"}, "/gatewayApi/annotations"),
    ({"dataplane": "ambient", "sidecar.egressHosts": "{monitoring/*}"}, "/sidecar/egressHosts"),
    ({"dataplane": "sidecar", "waypoint.annotations.a": "b"}, "/waypoint/annotations"),
)

# The same words where they have a meaning.
TAKEN = (
    {"api": "istio", "gateway.selector.istio": "edge"},
    {"api": "gateway", "gatewayApi.retry": "true", "gatewayApi.annotations.a": "b"},
    {"dataplane": "sidecar", "sidecar.egressHosts": "{monitoring/*}"},
    {"dataplane": "ambient", "waypoint.annotations.a": "b"},
    {"gateway.hosts": "{*.example.com}"},
    {"dashboards.namespace": "null"},
    {"global.anything": "goes"},
)


class MeshSchema(unittest.TestCase):
    def test_a_bad_value_is_refused_by_name(self):
        for values, named in REFUSED:
            with self.subTest(values):
                self.assertIn(named, mesh_chart.refusal(values))

    def test_values_that_contradict_each_other_are_refused_by_name(self):
        for values, named in CONTRADICTIONS:
            with self.subTest(values):
                self.assertIn(f"'{named}", mesh_chart.refusal(values))

    def test_values_that_belong_together_are_taken(self):
        for values in TAKEN:
            with self.subTest(values):
                mesh_chart.text(values)

    def test_helm_3_refuses_the_same(self):
        for values, named in (REFUSED[0], REFUSED[3], CONTRADICTIONS[0]):
            with self.subTest(values):
                self.assertIn(named, mesh_chart.refusal(values, program="helm3"))
