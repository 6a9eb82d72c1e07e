"""What values.schema.json of the charts hop and collector refuses, and that it says which value it
is.
"""

import json
import unittest

from harness import charts
from harness.charts import CHARTS, HELMS

# Chart, values, and how the message names the bad one.
REFUSED = (
    ("hop", {"role": ""}, "/role"),
    ("hop", {"role": "front end"}, "/role"),
    ("hop", {"role": "Frontend"}, "/role"),
    ("hop", {"role": True}, "/role"),
    ("hop", {"role": "r" * 31}, "/role"),
    ("hop", {"version": "v" * 21}, "/version"),
    ("hop", {"version": "1.0"}, "/version"),
    ("hop", {"version": "on"}, "/version"),
    ("hop", {"replicas": -1}, "/replicas"),
    ("hop", {"replicas": "2"}, "/replicas"),
    ("hop", {"replicas": None}, "'replicas'"),
    ("hop", {"tracing": {"endpoint": None}}, "'endpoint'"),
    ("hop", {"image": {"digest": "sha256:123"}}, "/image/digest"),
    ("hop", {"image": {"tag": "a:b"}}, "/image/tag"),
    ("hop", {"image": {"pullPolicy": "always"}}, "/image/pullPolicy"),
    ("hop", {"upstream": {"uri": "backend:9090"}}, "/upstream/uri"),
    ("hop", {"upstream": {"uri": "grpcs://backend:9090"}}, "/upstream/uri"),
    ("hop", {"upstream": {"timeout": "10"}}, "/upstream/timeout"),
    ("hop", {"upstream": {"timeout": 10}}, "/upstream/timeout"),
    ("hop", {"upstream": {"order": "random"}}, "/upstream/order"),
    ("hop", {"upstream": {"onFailure": "ignore"}}, "/upstream/onFailure"),
    ("hop", {"upstream": {"url": "grpc://backend:9090"}}, "'url'"),
    ("hop", {"forwardHeaders": ["X-Team"]}, "/forwardHeaders/0"),
    ("hop", {"forwardHeaders": "x-team"}, "/forwardHeaders"),
    ("hop", {"work": {"fibonacciMax": 94}}, "/work/fibonacciMax"),
    ("hop", {"faults": {"seed": -1}}, "/faults/seed"),
    ("hop", {"tracing": {"endpoint": "collector:4317"}}, "/tracing/endpoint"),
    ("hop", {"tracing": {"protocol": "http/json"}}, "/tracing/protocol"),
    ("hop", {"tracing": {"propagators": ["b3", "jaeger"]}}, "/tracing/propagators/1"),
    ("hop", {"tracing": {"sampler": "sometimes"}}, "/tracing/sampler"),
    ("hop", {"tracing": {"samplerArg": 2}}, "/tracing/samplerArg"),
    ("hop", {"tracing": {"disabled": "yes"}}, "/tracing/disabled"),
    ("hop", {"tracing": {"url": "https://jaeger.example/"}}, "/tracing/url"),
    ("hop", {"tracing": {"resourceAttributes": {"a": "b,c"}}}, "/tracing/resourceAttributes/a"),
    ("hop", {"log": {"level": "loud"}}, "/log/level"),
    ("hop", {"shared": {"create": "true"}}, "/shared/create"),
    ("hop", {"service": {"type": "ExternalName"}}, "/service/type"),
    ("hop", {"probes": {"liveness": {"exec": {}}}}, "'exec'"),
    ("hop", {"probes": {"readiness": {"periodSeconds": 0}}}, "/probes/readiness/periodSeconds"),
    ("hop", {"drain": {"timeoutSeconds": 601}}, "/drain/timeoutSeconds"),
    ("hop", {"resources": {"limits": {"memory": "64MB"}}}, "/resources/limits/memory"),
    ("hop", {"autoscaling": {"minReplicas": 0}}, "/autoscaling/minReplicas"),
    ("hop", {"pdb": {"maxUnavailable": "half"}}, "/pdb/maxUnavailable"),
    ("hop", {"networkPolicy": {"before": ["front end"]}}, "/networkPolicy/before/0"),
    ("hop", {"monitor": {"interval": "15"}}, "/monitor/interval"),
    ("hop", {"podSecurityContext": {"runAsUser": 1337}}, "/podSecurityContext/runAsUser"),
    ("hop", {"extraEnv": [{"name": "ROLE", "value": "x"}]}, "/extraEnv/0/name"),
    ("hop", {"extraEnv": [{"name": "A", "value": 1}]}, "/extraEnv/0/value"),
    ("hop", {"extraLabels": {"app": "mine"}}, "app"),
    ("hop", {"rolle": "frontend"}, "'rolle'"),
    ("collector", {"name": "Traces"}, "/name"),
    ("collector", {"name": "n" * 41}, "/name"),
    ("collector", {"relayTo": "grpc://jaeger:4317"}, "/relayTo"),
    ("collector", {"relayTo": ["jaeger:4317"]}, "/relayTo/0"),
    ("collector", {"relayTo": ["grpcs://jaeger:4317"]}, "/relayTo/0"),
    ("collector", {"relayTo": ["grpc://a:1", "grpc://a:1"]}, "/relayTo"),
    ("collector", {"relayTo": [f"grpc://jaeger-{n}:4317" for n in range(17)]}, "/relayTo"),
    ("collector", {"journal": {"size": "10G"}}, "/journal/size"),
    ("collector", {"journal": {"size": 10}}, "/journal/size"),
    ("collector", {"journal": {"maxBytes": "9Gi"}}, "/journal/maxBytes"),
    ("collector", {"journal": {"durability": "always"}}, "/journal/durability"),
    ("collector", {"journal": {"existingClaim": "mine"}}, "'existingClaim'"),
    ("collector", {"maxRequestBytes": "64Mi"}, "/maxRequestBytes"),
    ("collector", {"recentTraces": -1}, "/recentTraces"),
    ("collector", {"workers": 17}, "/workers"),
    ("collector", {"networkPolicy": {"from": ["Shop"]}}, "/networkPolicy/from/0"),
)

# Values that are good by themselves, but not together.
CONTRADICTIONS = (
    ("hop", {"role": "frontend", "upstream": {"uri": ""}}, "/upstream/uri"),
    ("hop", {"role": "middleware", "upstream": {"uri": ""}}, "/upstream/uri"),
    ("hop", {"role": "clock", "upstream": {"uri": "grpc://backend:9090"}}, "/upstream/uri"),
    ("hop", {"tracing": {"sampler": "traceidratio"}}, "samplerArg"),
    ("hop", {"pdb": {"maxUnavailable": None}}, "maxUnavailable"),
    ("hop", {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}, "cpu"),
    ("hop", {"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 8}},
     "autoscaling.minReplicas"),
    ("collector", {"journal": {"enabled": True}}, "/relayTo"),
    ("collector", {"pdb": {"maxUnavailable": None}}, "maxUnavailable"),
)

# The same words where they have a meaning, and defaults that are taken away.
TAKEN = (
    ("hop", {"role": "backend", "upstream": {"uri": ""}}),
    ("hop", {"role": "clock", "upstream": {"uri": None}}),
    ("hop", {"tracing": {"sampler": "traceidratio", "samplerArg": 0}}),
    ("hop", {"pdb": {"maxUnavailable": None, "minAvailable": 0}, "replicas": 2}),
    ("hop", {"resources": {"requests": {"cpu": None}}}),
    ("hop", {"resources": {"limits": {"cpu": 1, "memory": "0.5Gi"}}}),
    ("hop", {"image": {"digest": None, "tag": None}}),
    ("hop", {"probes": {"startup": None, "readiness": None, "liveness": None}}),
    ("hop", {"podSecurityContext": None, "securityContext": None, "resources": None}),
    ("hop", {"global": {"anything": "goes"}}),
    ("collector", {"journal": {"enabled": True}, "relayTo": ["https://otlp.example/v1/traces"]}),
    ("collector", {"journal": {"storageClass": None, "maxBytes": None}}),
    ("collector", {"global": {"anything": "goes"}}),
)


def schema(chart):
    return json.loads((CHARTS / chart / "values.schema.json").read_text(encoding="utf-8"))


def keys(values, path=()):
    """The paths of what can be set: maps that a schema lists the members of are gone through."""
    for name, value in values.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from keys(value, (*path, name))


def nodes(value):
    """All maps in a schema."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from nodes(member)


class Schema(unittest.TestCase):
    def assert_refused(self, cases):
        for chart, values, named in cases:
            for program in HELMS:
                with self.subTest(f"{chart} {values}", program=program):
                    self.assertIn(named, charts.refusal(chart, values=values, program=program))

    def test_a_bad_value_is_refused_by_name(self):
        self.assert_refused(REFUSED)

    def test_values_that_contradict_each_other_are_refused_by_name(self):
        self.assert_refused(CONTRADICTIONS)

    def test_values_that_belong_together_are_taken(self):
        for chart, values in TAKEN:
            for program in HELMS:
                with self.subTest(f"{chart} {values}", program=program):
                    charts.text(chart, values=values, program=program)

    def test_every_value_of_the_chart_is_described_and_no_other(self):
        for chart in ("hop", "collector"):
            whole = schema(chart)
            for path in keys(charts.load(CHARTS / chart / "values.yaml")):
                with self.subTest(f"{chart} {'.'.join(path)}"):
                    self.assertIsNotNone(described(whole, path))
            values = charts.load(CHARTS / chart / "values.yaml")
            self.assertEqual(set(whole["properties"]), set(values))
            for name, rule in whole["properties"].items():
                rule = resolved(whole, rule)
                if rule.get("additionalProperties") is False and name != "resources":
                    self.assertEqual(set(rule["properties"]), set(values[name]), name)

    def test_a_default_can_be_taken_away_only_where_its_rule_says_so(self):
        """Helm takes null for "not there"."""
        for chart in ("hop", "collector"):
            whole = schema(chart)
            for path, rule, members in objects(whole, charts.load(CHARTS / chart / "values.yaml")):
                for name in members:
                    with self.subTest(chart, path=(*path, name)):
                        can_go = takes_null(whole, rule["properties"][name])
                        self.assertEqual(name in rule["required"], not can_go)

    def test_a_schema_refers_to_nothing_but_itself(self):
        for chart in ("hop", "collector"):
            whole = schema(chart)
            self.assertEqual(whole["$schema"], "http://json-schema.org/draft-07/schema#")
            wanted = {node["$ref"] for node in nodes(whole) if "$ref" in node}
            self.assertEqual(wanted, {f"#/$defs/{name}" for name in whole["$defs"]})

    def test_a_reference_stands_alone(self):
        """Draft 7 ignores what stands beside one."""
        for chart in ("hop", "collector"):
            for node in nodes(schema(chart)):
                self.assertTrue("$ref" not in node or len(node) == 1, node)


def resolved(whole, rule):
    name = rule.get("$ref", "").removeprefix("#/$defs/")
    return whole["$defs"][name] if name else rule


def takes_null(whole, rule):
    return "null" in resolved(whole, rule).get("type", ())


def objects(whole, values):
    """(path, rule, members) of the maps whose members the chart has chosen."""
    found = [((), whole, values)]
    for name, value in values.items():
        rule = resolved(whole, whole["properties"][name])
        if isinstance(value, dict) and "required" in rule:
            found.append(((name,), rule, value))
    found[0] = ((), whole, [name for name in values if name != "global"])  # which is Helm's
    return found


def described(whole, path):
    """The rule for this value, or None; in a map of the user's own anything goes."""
    rule = whole
    for name in path:
        rule = resolved(whole, rule)
        if "properties" not in rule:
            return rule
        rule = rule["properties"].get(name, rule.get("additionalProperties", {}))
        if rule is False:
            return None
    return rule
