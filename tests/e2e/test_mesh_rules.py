"""The rules of the local mesh without its proxies: what each says, to whom it applies, and what is
refused. That Envoy does as it is told is tested with the real one (tests/peers).
"""

import pathlib
import tempfile
import unittest
from unittest import mock

import yaml

from harness.istio import at_the_gateway, header, resource, to, versions, virtual_service
from local import routes, rules, steps
from local.routes import Registry, Service
from local.rules import Rules, RulesError

PORTS = {8080: "http", 9090: "grpc"}
REGISTRY = Registry(
    {
        "frontend": Service(PORTS, {"prod": 1}),
        "middleware": Service(PORTS, {"prod": 2, "canary": 3}),
        "backend": Service(PORTS, {"prod": 4}),
    },
    {("clock.example", 80): 5, ("clock.outside", 8080): 6},
)

DEFAULT_LIST = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
STEP_LIST = "connect-failure,refused-stream,unavailable,cancelled,internal,5xx"

GATEWAY = resource("Gateway", "gateway", servers=[])
REGISTRY_ONLY = resource("Sidecar", "default", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"})


def entry(host, port=80):
    ports = [{"number": port, "name": "http", "protocol": "HTTP"}]
    return resource("ServiceEntry", host, hosts=[host], ports=ports)


def rules_of(*resources):
    """As they would come from a file, checked."""
    return Rules([rules.checked(each, "test.yaml") for each in resources])


def routes_for(authority, *resources):
    """Envoy's routes for what a sidecar is asked to send to that name; None: nobody has it."""
    return find_routes(rules_of(*resources), authority)


def find_routes(made_rules, authority):
    for host in routes.outbound(made_rules, REGISTRY)["virtual_hosts"]:
        if authority in host["domains"]:
            return host["routes"]
    return None


def action_for(authority, *resources):
    """Of the only route."""
    [route] = routes_for(authority, *resources)
    return route["route"]


def retry_policy(**rule):
    """What a route to the backend with these members is told of retries."""
    service = virtual_service("backend", {"route": [to("backend")], **rule})
    return action_for("backend:9090", service).get("retry_policy")


class Retries(unittest.TestCase):
    def test_without_a_stanza_two_more_tries_on_istio_s_own_list(self):
        policy = retry_policy()
        self.assertEqual((policy["num_retries"], policy["retry_on"]), (2, DEFAULT_LIST))
        self.assertNotIn("retriable_status_codes", policy)
        self.assertNotIn("per_try_timeout", policy)

    def test_without_any_rule_the_same(self):
        for authority in ("middleware:9090", "frontend:8080", "clock.example"):
            policy = action_for(authority)["retry_policy"]
            self.assertEqual((policy["num_retries"], policy["retry_on"]), (2, DEFAULT_LIST))

    def test_at_the_gateway_the_same(self):
        rule = at_the_gateway({"route": [to("frontend")]})
        made = routes.gateway(rules_of(GATEWAY, rule), REGISTRY)
        policy = made["virtual_hosts"][0]["routes"][0]["route"]["retry_policy"]
        self.assertEqual((policy["num_retries"], policy["retry_on"]), (2, DEFAULT_LIST))

    def test_attempts_alone_keep_the_list(self):
        policy = retry_policy(retries={"attempts": 5})
        self.assertEqual((policy["num_retries"], policy["retry_on"]), (5, DEFAULT_LIST))

    def test_an_empty_list_is_none(self):
        policy = retry_policy(retries={"attempts": 5, "retryOn": ""})
        self.assertEqual(policy["retry_on"], DEFAULT_LIST)

    def test_a_list_replaces_istio_s(self):
        policy = retry_policy(retries={"attempts": 3, "retryOn": STEP_LIST})
        self.assertEqual((policy["num_retries"], policy["retry_on"]), (3, STEP_LIST))

    def test_no_attempts_no_policy(self):
        self.assertIsNone(retry_policy(retries={"attempts": 0}))

    def test_numbers_in_the_list_are_http_statuses(self):
        policy = retry_policy(retries={"attempts": 1, "retryOn": "internal, 503,429"})
        self.assertEqual(policy["retry_on"], "internal,retriable-status-codes")
        self.assertEqual(policy["retriable_status_codes"], [503, 429])
        alone = retry_policy(retries={"attempts": 1, "retryOn": "500"})
        self.assertEqual(alone["retry_on"], "retriable-status-codes")
        told = retry_policy(retries={"attempts": 1, "retryOn": "500,retriable-status-codes"})
        self.assertEqual(told["retry_on"], "retriable-status-codes")

    def test_each_try_may_have_its_time(self):
        policy = retry_policy(retries={"attempts": 3, "perTryTimeout": "2s"})
        self.assertEqual(policy["per_try_timeout"], "2s")

    def test_another_instance_is_preferred_to_the_one_that_failed(self):
        policy = retry_policy()
        self.assertEqual(
            [predicate["name"] for predicate in policy["retry_host_predicate"]],
            ["envoy.retry_host_predicates.previous_hosts"],
        )
        self.assertEqual(policy["host_selection_retry_max_attempts"], 5)

    def test_what_istio_refuses_is_refused(self):
        for retries, complaint in (
            ({"attempts": -1}, "-1"),
            ({"attempts": 0, "retryOn": "internal"}, "nothing is retried"),
            ({"attempts": 0, "perTryTimeout": "2s"}, "nothing is retried"),
            ({"retryOn": "internal"}, "retries.attempts is missing"),
            ({"attempts": 3, "retryOn": "internal,intrenal"}, "intrenal"),
            ({"attempts": 3, "retryOn": "internal,,5xx"}, "''"),
            ({"attempts": 3, "retryOn": "99"}, "99"),
            ({"attempts": 3, "retryOn": "600"}, "600"),
            ({"attempts": True}, "True"),
            ({"attempts": "3"}, "'3'"),
        ):
            with self.subTest(retries), self.assertRaisesRegex(RulesError, complaint):
                retry_policy(retries=retries)


class Durations(unittest.TestCase):
    def test_are_told_to_envoy_in_seconds(self):
        for told, wanted in (
            ("2s", "2s"), ("500ms", "0.5s"), ("1m30s", "90s"), ("1h", "3600s"), ("0s", "0s"),
            ("1.5s", "1.5s"), ("1ms", "0.001s"), ("1h2m3s4ms", "3723.004s"), ("100h", "360000s"),
            ("11574h4m5s678ms", "41666645.678s"),
        ):  # fmt: skip
            self.assertEqual(routes.seconds(told), wanted, told)

    def test_what_is_none_is_refused(self):
        for told in ("", "2", "2 s", "s", "-1s", "2x", "2s ", "x2s", "1..5s", "٢s"):
            with self.subTest(told), self.assertRaisesRegex(RulesError, "no duration"):
                routes.seconds(told)

    def test_a_route_s_own_timeout_is_none_unless_the_rule_says_so(self):
        service = virtual_service("backend", {"route": [to("backend")]})
        self.assertEqual(action_for("backend:9090", service)["timeout"], "0s")
        service = virtual_service("backend", {"route": [to("backend")], "timeout": "750ms"})
        self.assertEqual(action_for("backend:9090", service)["timeout"], "0.75s")

    def test_a_caller_s_deadline_counts_when_it_is_shorter(self):
        """Said in a way that leaves the timeout in force: max_stream_duration would not."""
        service = virtual_service("backend", {"route": [to("backend")], "timeout": "750ms"})
        for action in (action_for("backend:9090", service), action_for("clock.example")):
            self.assertEqual(action["max_grpc_timeout"], action["timeout"])
            self.assertNotIn("max_stream_duration", action)


class WhoIsMeant(unittest.TestCase):
    def test_each_service_has_its_name_with_each_port_and_all_its_versions(self):
        for authority in ("frontend:8080", "frontend:9090", "middleware:9090", "backend:9090"):
            host, port = authority.split(":")
            self.assertEqual(action_for(authority)["cluster"], f"outbound|{port}||{host}")

    def test_a_rule_speaks_of_its_own_host_only(self):
        service = virtual_service("backend", {"route": [to("backend")], "timeout": "1s"})
        self.assertEqual(action_for("middleware:9090", service)["timeout"], "0s")

    def test_a_rule_may_send_elsewhere(self):
        service = virtual_service("backend", {"route": [to("middleware")]})
        action = action_for("backend:9090", service)
        self.assertEqual(action["cluster"], "outbound|9090||middleware")

    def test_a_rule_without_a_port_keeps_the_one_that_was_asked_for(self):
        service = virtual_service("backend", {"route": [{"destination": {"host": "backend"}}]})
        for port in (8080, 9090):
            action = action_for(f"backend:{port}", service)
            self.assertEqual(action["cluster"], f"outbound|{port}||backend")

    def test_a_subset_is_the_version_of_its_destination_rule(self):
        service = virtual_service("middleware", {"route": [to("middleware", "new")]})
        subset = {"name": "new", "labels": {"version": "canary"}}
        rule = resource("DestinationRule", "middleware", host="middleware", subsets=[subset])
        self.assertEqual(
            action_for("middleware:9090", service, rule)["cluster"],
            "outbound|9090|canary|middleware",
        )

    def test_a_subset_needs_a_destination_rule_of_its_host_and_a_version_that_runs(self):
        service = virtual_service("middleware", {"route": [to("middleware", "prod")]})
        for others in (
            [],
            [versions("middleware", "canary")],
            [versions("backend", "prod")],
        ):
            with self.subTest(others), self.assertRaisesRegex(RulesError, "middleware.*prod"):
                action_for("middleware:9090", service, *others)
        service = virtual_service("middleware", {"route": [to("middleware", "v9")]})
        with self.assertRaisesRegex(RulesError, "v9"):
            action_for("middleware:9090", service, versions("middleware", "v9"))

    def test_the_first_match_counts_so_the_order_is_the_rule_s(self):
        canary = [to("middleware", "canary")]
        service = virtual_service(
            "middleware",
            {"match": [header("x-dev-user", exact="super-secret")], "route": canary},
            {"match": [header("x-dev-user", prefix="dev-")], "route": canary},
            {"route": [to("middleware", "prod")]},
        )
        made = routes_for("middleware:9090", service, versions("middleware", "prod", "canary"))
        self.assertEqual(
            [(route["match"]["headers"], route["route"]["cluster"]) for route in made],
            [
                (
                    [{"name": "x-dev-user", "string_match": {"exact": "super-secret"}}],
                    "outbound|9090|canary|middleware",
                ),
                (
                    [{"name": "x-dev-user", "string_match": {"prefix": "dev-"}}],
                    "outbound|9090|canary|middleware",
                ),
                ([], "outbound|9090|prod|middleware"),
            ],
        )

    def test_every_header_of_a_match_and_any_match_of_a_rule(self):
        both = {"headers": {"a": {"exact": "1"}, "b": {"exact": "2"}}}
        service = virtual_service(
            "backend", {"match": [both, header("c", exact="3")], "route": [to("backend")]}
        )
        names = [
            [wanted["name"] for wanted in route["match"]["headers"]]
            for route in routes_for("backend:9090", service)
        ]
        self.assertEqual(names, [["a", "b"], ["c"]])

    def test_a_rule_with_no_matches_matches_all(self):
        for match in ([], [{}]):
            service = virtual_service("backend", {"match": match, "route": [to("backend")]})
            [route] = routes_for("backend:9090", service)
            self.assertEqual(route["match"], {"prefix": "/", "headers": []})

    def test_a_header_is_matched_in_one_way(self):
        for wanted in ({}, {"exact": "a", "prefix": "b"}):
            service = virtual_service(
                "backend", {"match": [header("x-dev-user", **wanted)], "route": [to("backend")]}
            )
            with self.subTest(wanted), self.assertRaisesRegex(RulesError, "x-dev-user"):
                routes_for("backend:9090", service)

    def test_weights_divide(self):
        choices = [to("middleware", "prod", 90), to("middleware", "canary", 10)]
        service = virtual_service("middleware", {"route": choices})
        action = action_for("middleware:9090", service, versions("middleware", "prod", "canary"))
        self.assertEqual(
            action["weighted_clusters"]["clusters"],
            [
                {"name": "outbound|9090|prod|middleware", "weight": 90},
                {"name": "outbound|9090|canary|middleware", "weight": 10},
            ],
        )

    def test_among_several_no_weight_is_nothing(self):
        choices = [to("middleware", "prod", 100), to("middleware", "canary")]
        service = virtual_service("middleware", {"route": choices})
        action = action_for("middleware:9090", service, versions("middleware", "prod", "canary"))
        weights = [cluster["weight"] for cluster in action["weighted_clusters"]["clusters"]]
        self.assertEqual(weights, [100, 0])

    def test_weights_that_divide_nothing_are_refused(self):
        for weights in ((0, 0), (None, None), (110, -10)):
            choices = [to("middleware", weight=weight) for weight in weights]
            service = virtual_service("middleware", {"route": choices})
            with self.subTest(weights), self.assertRaisesRegex(RulesError, "weights"):
                routes_for("middleware:9090", service)

    def test_spans_are_named_after_whom_was_asked(self):
        service = virtual_service("middleware", {"route": [to("middleware", "canary")]})
        [route] = routes_for("middleware:9090", service, versions("middleware", "canary"))
        self.assertEqual(route["decorator"]["operation"], "middleware:9090/*")
        [route] = routes_for("clock.example")
        self.assertEqual(route["decorator"]["operation"], "clock.example:80/*")

    def test_tries_are_numbered(self):
        made = routes.outbound(rules_of(), REGISTRY)
        for host in made["virtual_hosts"]:
            is_for_all = host["domains"] == ["*"]
            self.assertEqual(host.get("include_request_attempt_count", False), not is_for_all)


class WhatLeavesTheMesh(unittest.TestCase):
    def test_without_a_policy_everything_may(self):
        self.assertEqual(action_for("clock.example")["cluster"], "outbound|80||clock.example")
        allow = resource("Sidecar", "default", outboundTrafficPolicy={"mode": "ALLOW_ANY"})
        self.assertIsNotNone(routes_for("clock.example", allow))

    def test_registry_only_lets_nothing_out_that_is_not_known(self):
        self.assertIsNone(routes_for("clock.example", REGISTRY_ONLY))
        self.assertEqual(
            routes_for("*", REGISTRY_ONLY),
            [{"match": {"prefix": "/"}, "direct_response": {"status": 502}}],
        )

    def test_a_service_entry_makes_it_known_with_the_port_and_without(self):
        for authority in ("clock.example", "clock.example:80"):
            action = action_for(authority, REGISTRY_ONLY, entry("clock.example"))
            self.assertEqual(action["cluster"], "outbound|80||clock.example")

    def test_the_mesh_itself_is_always_known(self):
        self.assertIsNotNone(routes_for("backend:9090", REGISTRY_ONLY))

    def test_an_entry_of_a_place_that_is_not_on_this_machine_is_refused(self):
        for host, port in (("time.example", 80), ("clock.example", 443)):
            with self.assertRaisesRegex(RulesError, f"{host}:{port}"):
                routes_for("clock.example", REGISTRY_ONLY, entry(host, port))

    def test_an_unknown_policy_is_refused(self):
        typo = resource("Sidecar", "default", outboundTrafficPolicy={"mode": "REGISTRY_ONY"})
        with self.assertRaisesRegex(RulesError, "REGISTRY_ONY"):
            routes_for("clock.example", typo)


class TheGateway(unittest.TestCase):
    RULE = at_the_gateway({"route": [to("frontend")]})

    def test_is_closed_without_a_gateway(self):
        self.assertIsNone(routes.gateway(rules_of(), REGISTRY))
        self.assertIsNone(routes.gateway(rules_of(self.RULE), REGISTRY))

    def test_sends_everything_where_its_rules_say(self):
        [host] = routes.gateway(rules_of(GATEWAY, self.RULE), REGISTRY)["virtual_hosts"]
        self.assertEqual(host["domains"], ["*"])
        [route] = host["routes"]
        self.assertEqual(route["match"]["prefix"], "/")
        self.assertEqual(route["route"]["cluster"], "outbound|8080||frontend")

    def test_knows_nobody_while_no_rule_names_it(self):
        inside = virtual_service("backend", {"route": [to("backend")]})
        other = resource("VirtualService", "other", hosts=["*"], gateways=["other"],
                         http=[{"route": [to("frontend")]}])  # fmt: skip
        for others in ((), (inside,), (other,)):
            [host] = routes.gateway(rules_of(GATEWAY, *others), REGISTRY)["virtual_hosts"]
            self.assertEqual(host["routes"][0]["direct_response"]["status"], 404)

    def test_and_the_sidecars_have_rules_of_their_own(self):
        own = {"route": [to("frontend")], "timeout": "1s"}
        for gateways, is_for_sidecars in ((["gateway"], False), (["gateway", "mesh"], True)):
            service = virtual_service("frontend", own, gateways=gateways)
            timeout = action_for("frontend:8080", GATEWAY, service)["timeout"]
            self.assertEqual(timeout, "1s" if is_for_sidecars else "0s", gateways)


class WhatIsRefused(unittest.TestCase):
    """Rather than ignored: each by a message that names it."""

    def assert_refused(self, complaint, document):
        with self.assertRaisesRegex(RulesError, complaint):
            rules.checked(document, "my.yaml")

    def test_a_kind_that_the_mesh_does_not_know(self):
        self.assert_refused("my.yaml: .* AuthorizationPolicy", resource("AuthorizationPolicy", "a"))

    def test_what_is_no_resource(self):
        for document in ("text", ["list"], {"kind": "Gateway"}, {"kind": "Gateway", "metadata": {}},
                         {"kind": "Gateway", "metadata": {"name": "g"}}):  # fmt: skip
            self.assert_refused("my.yaml: a resource needs", document)

    def test_an_unknown_field_with_its_whole_path(self):
        def service(**rule):
            return virtual_service("b", {"route": [to("backend")], **rule})

        for document, path in (
            (service(mirror={}), r"http\[0\]\.mirror"),
            (service(retries={"attempts": 1, "on": "x"}), r"http\[0\]\.retries\.on"),
            (service(match=[{"uri": {"exact": "/"}}]), r"http\[0\]\.match\[0\]\.uri"),
            (
                service(match=[header("a", regex=".*")]),
                r"http\[0\]\.match\[0\]\.headers\.a\.regex",
            ),
            (virtual_service("b", {"route": [to("backend")]}, tls=[]), r"spec\.tls"),
            (resource("Sidecar", "b", ingress=[]), r"spec\.ingress"),
            (resource("DestinationRule", "b", host="backend", trafficPolicy={}), "trafficPolicy"),
            (
                resource("DestinationRule", "b", host="backend",
                         subsets=[{"name": "x", "labels": {"version": "prod", "app": "x"}}]),
                r"subsets\[0\]\.labels\.app",
            ),
            (resource("Gateway", "b", servers=[{"tls": {}}]), r"servers\[0\]\.tls"),
        ):  # fmt: skip
            with self.subTest(path):
                kind = document["kind"]
                self.assert_refused(rf"my\.yaml: {kind} b: .*{path} is not known", document)

    def test_a_value_of_the_wrong_kind(self):
        for document, path in (
            (resource("VirtualService", "b", hosts="backend", http=[]), r"spec\.hosts"),
            (virtual_service("b", {"route": to("backend")}), r"http\[0\]\.route"),
            (virtual_service("b", {"route": [to("backend")], "timeout": 5}), r"http\[0\]\.timeout"),
            (virtual_service("b", {"route": [to("backend", weight="1")]}), r"route\[0\]\.weight"),
            (virtual_service("b", {"match": [{"headers": []}]}), r"match\[0\]\.headers"),
            (resource("DestinationRule", "b", host=7), r"spec\.host"),
        ):
            with self.subTest(path):
                self.assert_refused(rf"{path} is .* where a .* is wanted", document)

    def test_a_member_without_which_it_says_nothing(self):
        for document, path in (
            (resource("VirtualService", "b", hosts=["backend"]), r"spec\.http"),
            (resource("VirtualService", "b", hosts=["backend"], http=[]), r"spec\.http"),
            (resource("VirtualService", "b", http=[{"route": [to("backend")]}]), r"spec\.hosts"),
            (virtual_service("b", {"timeout": "1s"}), r"http\[0\]\.route"),
            (virtual_service("b", {"route": []}), r"http\[0\]\.route"),
            (virtual_service("b", {"route": [{"weight": 1}]}), r"route\[0\]\.destination"),
            (
                virtual_service("b", {"route": [{"destination": {"subset": "x"}}]}),
                r"route\[0\]\.destination\.host",
            ),
            (resource("DestinationRule", "b", subsets=[]), r"spec\.host"),
            (
                resource("DestinationRule", "b", host="x", subsets=[{"name": "x"}]),
                r"subsets\[0\]\.labels",
            ),
            (
                resource("DestinationRule", "b", host="x", subsets=[{"name": "x", "labels": {}}]),
                r"subsets\[0\]\.labels\.version",
            ),
            (resource("ServiceEntry", "b", hosts=["x"]), r"spec\.ports"),
            (resource("ServiceEntry", "b", hosts=["x"], ports=[{}]), r"ports\[0\]\.number"),
        ):
            with self.subTest(path):
                self.assert_refused(f"{path} is missing", document)

    def test_a_host_that_does_not_run(self):
        def to_nobody(**destination):
            return virtual_service("backend", {"route": [{"destination": destination}]})

        for document, complaint in (
            (to_nobody(host="bakend"), "bakend"),
            (to_nobody(host="backend", port={"number": 81}), "backend:81"),
            (virtual_service("middelware", {"route": [to("backend")]}), "middelware"),
            (virtual_service("clock.example", {"route": [to("backend")]}), "clock.example"),
            (versions("middelware", "prod"), "middelware"),
        ):
            with self.subTest(complaint), self.assertRaisesRegex(RulesError, complaint):
                routes.outbound(rules_of(document), REGISTRY)

    def test_at_the_gateway_too(self):
        for choice, complaint in (
            ({"destination": {"host": "frontned", "port": {"number": 8080}}}, "frontned:8080"),
            ({"destination": {"host": "frontend"}}, "frontend"),
        ):
            made = rules_of(GATEWAY, at_the_gateway({"route": [choice]}))
            with self.subTest(complaint), self.assertRaisesRegex(RulesError, complaint):
                routes.gateway(made, REGISTRY)


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(steps, "STEPS", self.folder))

    def write(self, name, *documents):
        text = yaml.safe_dump_all(documents)
        (self.folder / name).write_text(text, encoding="utf-8")

    def test_steps_are_named_after_their_files_in_their_order(self):
        for name in ("2-second.yaml", "1-first.yaml", "3-the-third.yaml", "notes.txt"):
            self.write(name)
        self.assertEqual(steps.names(), ["start", "first", "second", "the-third"])

    def test_a_step_contains_the_earlier_ones(self):
        self.write("1-one.yaml", versions("backend", "prod"))
        self.write("2-two.yaml", versions("middleware", "prod"), versions("frontend", "prod"))
        self.assertEqual(list(steps.rules_at("start").items()), [])
        self.assertEqual([name for (_, name), _ in steps.rules_at("one").items()], ["backend"])
        names = [name for (_, name), _ in steps.rules_at("two").items()]
        self.assertEqual(names, ["backend", "middleware", "frontend"])

    def test_an_equal_name_of_the_same_kind_replaces(self):
        first = virtual_service("backend", {"route": [to("backend")], "timeout": "1s"})
        second = virtual_service("backend", {"route": [to("backend")]})
        self.write("1-one.yaml", first, versions("backend", "prod"))
        self.write("2-two.yaml", second)
        self.assertEqual(steps.rules_at("one").of_kind("VirtualService")["backend"], first["spec"])
        later = steps.rules_at("two")
        self.assertEqual(later.of_kind("VirtualService"), {"backend": second["spec"]})
        self.assertIn("backend", later.of_kind("DestinationRule"))

    def test_empty_documents_are_nothing(self):
        text = "---\n# only a comment\n---\n"
        (self.folder / "1-one.yaml").write_text(text, encoding="utf-8")
        self.assertEqual(list(steps.rules_at("one").items()), [])

    def test_what_is_no_yaml_is_refused_with_the_name_of_its_file(self):
        for content in (b"a: [", b"a: b: c", b"\xff\xfe\xff"):
            (self.folder / "1-one.yaml").write_bytes(content)
            with self.subTest(content), self.assertRaisesRegex(RulesError, "1-one.yaml"):
                steps.rules_at("one")


class Changes(unittest.TestCase):
    """What a step's command tells of them."""

    A = versions("backend", "prod")
    RULE = {"route": [to("backend")], "timeout": "1s"}

    def changes(self, before, after):
        return steps.changes(rules_of(*before), rules_of(*after))

    def test_equal_rules_have_none(self):
        self.assertEqual(self.changes([self.A], [self.A]), [])

    def test_what_is_new_is_told_as_it_is_written(self):
        self.assertEqual(
            self.changes([], [REGISTRY_ONLY]),
            ["Sidecar default", "+ outboundTrafficPolicy: {mode: REGISTRY_ONLY}"],
        )

    def test_of_what_is_changed_the_lines_that_differ(self):
        before = virtual_service("backend", self.RULE)
        after = virtual_service("backend", {**self.RULE, "timeout": "2s"})
        self.assertEqual(
            self.changes([before, self.A], [before, self.A]) + self.changes([before], [after]),
            ["VirtualService backend", "-   timeout: 1s", "+   timeout: 2s"],
        )

    def test_of_what_is_gone_its_name(self):
        self.assertEqual(self.changes([self.A], []), ["- DestinationRule backend"])

    def test_equal_changes_are_told_once(self):
        def services(**more):
            rule = {"route": [to("backend")], **more}
            return [virtual_service(name, rule) for name in ("frontend", "middleware")]

        self.assertEqual(
            self.changes(services(), services(timeout="1s")),
            ["VirtualService frontend, middleware", "+   timeout: 1s"],
        )


class TheLesson(unittest.TestCase):
    """The steps as they are delivered."""

    ROLES = ("frontend", "middleware", "backend")

    def gateway_route(self, step):
        made = routes.gateway(steps.rules_at(step), REGISTRY)
        [route] = made["virtual_hosts"][0]["routes"]
        return route

    def outbound(self, step, authority):
        return find_routes(steps.rules_at(step), authority)

    def actions(self, step):
        """Of all that the lesson's rules speak of."""
        inside = [
            route["route"]
            for authority in ("middleware:9090", "backend:9090")
            for route in self.outbound(step, authority)
        ]
        return [self.gateway_route(step)["route"], *inside]

    def test_has_five_steps(self):
        self.assertEqual(
            steps.names(), ["start", "ingress", "egress", "prod", "retry", "canary"]
        )
        self.assertEqual(steps.FIRST, "egress")

    def test_no_step_takes_away_what_an_earlier_one_brought(self):
        names = steps.names()
        for before, after in zip(names, names[1:]):
            old, new = (dict(steps.rules_at(step).items()) for step in (before, after))
            self.assertLessEqual(set(old), set(new), after)
            told = steps.changes(steps.rules_at(before), steps.rules_at(after))
            self.assertFalse([line for line in told if line.startswith("-")], after)

    def test_at_start_the_gateway_is_closed(self):
        self.assertIsNone(routes.gateway(steps.rules_at("start"), REGISTRY))

    def test_ingress_opens_it_and_nothing_gets_out(self):
        action = self.gateway_route("ingress")["route"]
        self.assertEqual(action["cluster"], "outbound|8080||frontend")
        self.assertIsNone(self.outbound("ingress", "clock.outside:8080"))

    def test_egress_lets_the_clock_be_asked(self):
        for step in ("egress", "prod", "retry", "canary"):
            self.assertIsNotNone(self.outbound(step, "clock.outside:8080"), step)

    def test_prod_names_a_version_everywhere(self):
        for step in ("ingress", "egress"):
            for action in self.actions(step):
                self.assertIn("||", action["cluster"])
        for step in ("prod", "retry"):
            for action in self.actions(step):
                self.assertIn("|prod|", action["cluster"])

    def test_retry_says_of_which_failures(self):
        for step in ("ingress", "egress", "prod"):
            for action in self.actions(step):
                self.assertEqual(action["retry_policy"]["retry_on"], DEFAULT_LIST)
        for step in ("retry", "canary"):
            for action in self.actions(step):
                policy = action["retry_policy"]
                self.assertEqual(
                    (policy["num_retries"], policy["per_try_timeout"], policy["retry_on"]),
                    (3, "2s", STEP_LIST),
                )

    def test_canary_is_for_who_says_the_word_and_that_comes_first(self):
        with_word, without = self.outbound("canary", "middleware:9090")
        self.assertEqual(
            with_word["match"]["headers"],
            [{"name": "x-dev-user", "string_match": {"exact": "super-secret"}}],
        )
        self.assertIn("|canary|", with_word["route"]["cluster"])
        self.assertEqual(without["match"]["headers"], [])
        self.assertIn("|prod|", without["route"]["cluster"])
