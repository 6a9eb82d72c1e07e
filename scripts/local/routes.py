"""From the rules of the mesh to what Envoy calls routes, in the way of Istio's control plane.

Pure: rules and a registry in, Envoy's configuration out.
"""

import dataclasses
import re
from decimal import Decimal

from local.rules import RulesError

# What Istio retries when the rules do not say, and how often. Neither INTERNAL nor 500 is in it.
DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
DEFAULT_RETRIES = 2

# What may stand in `retryOn`, besides HTTP statuses. Envoy would ignore what it does not know.
RETRY_CONDITIONS = {
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream",
    "retriable-4xx", "retriable-status-codes", "retriable-headers", "envoy-ratelimited",
    "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Service:
    """A role of the mesh, whose versions are all on this machine."""

    ports: dict  # port -> "http" or "grpc"
    inbound_ports: dict  # version -> the port of its sidecar


@dataclasses.dataclass(frozen=True)
class Registry:
    """Who is where: what a cluster's API server and DNS know."""

    services: dict  # name -> Service
    outside: dict  # (host, port) -> the port on this machine


def cluster_name(host, port, subset=""):
    return f"outbound|{port}|{subset}|{host}"


def outbound(rules, registry):
    """The routes of every sidecar, for what its hop sends."""
    check_hosts(rules, registry)
    hosts = [
        service_host(rules, registry, name, port)
        for name, service in registry.services.items()
        for port in service.ports
    ]
    hosts += [
        virtual_host(host, port, [plain_route(host, port)])
        for host, port in sorted(known_outside(rules, registry))
    ]
    return {
        "name": "outbound",
        "virtual_hosts": [*hosts, direct_answer("block_all", 502)],
    }


def gateway(rules, registry):
    """The routes of the gateway; None while no rule opens it."""
    gateways = rules.of_kind("Gateway")
    if not gateways:
        return None
    routes = [
        route
        for _, service in services_of(rules, *gateways)
        for route in rule_routes(rules, registry, service["http"])
    ]
    everybody = {
        "name": "everybody",
        "domains": ["*"],
        "routes": routes,
        "include_request_attempt_count": True,
    }
    return {
        "name": "gateway",
        "virtual_hosts": [everybody if routes else direct_answer("nobody", 404)],
    }


def check_hosts(rules, registry):
    """A rule for nobody would be without effect, and a riddle."""
    rule_hosts = [
        *((f"VirtualService {name}", spec["hosts"]) for name, spec in services_of(rules, "mesh")),
        *(
            (f"DestinationRule {name}", [spec["host"]])
            for name, spec in rules.of_kind("DestinationRule").items()
        ),
    ]
    for rule, hosts in rule_hosts:
        for host in hosts:
            if host not in registry.services:
                raise RulesError(f"{rule}: there is no {host} in the local mesh")


def services_of(rules, *gateways):
    """The virtual services for these gateways; "mesh" stands for all sidecars."""
    return [
        (name, spec)
        for name, spec in rules.of_kind("VirtualService").items()
        if set(spec.get("gateways", ["mesh"])) & set(gateways)
    ]


def known_outside(rules, registry):
    """The outside hosts that may be called, with their ports."""
    policies = [
        spec.get("outboundTrafficPolicy", {}).get("mode", "ALLOW_ANY")
        for spec in rules.of_kind("Sidecar").values()
    ]
    for policy in policies:
        if policy not in ("ALLOW_ANY", "REGISTRY_ONLY"):
            raise RulesError(f"Sidecar: outboundTrafficPolicy: there is no mode {policy}")
    if "REGISTRY_ONLY" not in policies:
        return set(registry.outside)

    entries = {
        (host, port["number"])
        for spec in rules.of_kind("ServiceEntry").values()
        for host in spec["hosts"]
        for port in spec["ports"]
    }
    for host, port in sorted(entries - set(registry.outside)):
        raise RulesError(f"ServiceEntry: the local mesh does not know where {host}:{port} is")
    return entries


def service_host(rules, registry, name, port):
    for _, service in services_of(rules, "mesh"):
        if name in service["hosts"]:
            return virtual_host(name, port, rule_routes(rules, registry, service["http"], port))
    return virtual_host(name, port, [plain_route(name, port)])


def virtual_host(name, port, routes):
    domains = [f"{name}:{port}"] + ([name] if port == 80 else [])
    return {
        "name": domains[0],
        "domains": domains,
        "routes": routes,
        "include_request_attempt_count": True,
    }


def direct_answer(name, status):
    route = {"match": {"prefix": "/"}, "direct_response": {"status": status}}
    return {"name": name, "domains": ["*"], "routes": [route]}


def plain_route(host, port):
    """Of a service that no rule speaks of."""
    target = {"cluster": cluster_name(host, port)}
    return route({"prefix": "/"}, {**target, **limits({})}, host, port)


def route(match, action, host, port):
    """Spans are named after where the request was meant to go."""
    return {"match": match, "route": action, "decorator": {"operation": f"{host}:{port}/*"}}


def rule_routes(rules, registry, http, port=None):
    """Envoy's routes in the order of the rule's: the first that matches counts."""
    routes = []
    for rule in http:
        action = {**target(rules, registry, rule["route"], port), **limits(rule)}
        first = rule["route"][0]["destination"]
        at = port_of(first, port)
        routes += [route(match, action, first["host"], at) for match in matches(rule)]
    return routes


def target(rules, registry, choices, port):
    clusters = [
        {
            "name": destination_cluster(rules, registry, choice["destination"], port),
            "weight": choice.get("weight", 0),
        }
        for choice in choices
    ]
    if len(clusters) == 1:
        return {"cluster": clusters[0]["name"]}
    weights = [cluster["weight"] for cluster in clusters]
    if min(weights) < 0 or max(weights) == 0:
        raise RulesError(f"VirtualService: nothing can be divided by the weights {weights}")
    return {"weighted_clusters": {"clusters": clusters}}


def port_of(destination, port):
    return destination.get("port", {}).get("number", port)


def destination_cluster(rules, registry, destination, port):
    host, port = destination["host"], port_of(destination, port)
    service = registry.services.get(host)
    if not service or port not in service.ports:
        raise RulesError(f"VirtualService: there is no {host}:{port} in the local mesh")
    subset = destination.get("subset", "")
    return cluster_name(host, port, version_of_subset(rules, service, host, subset))


def version_of_subset(rules, service, host, subset):
    """Each version of a service has a cluster of its own; a subset is a name for one of them."""
    if not subset:
        return ""
    for rule in rules.of_kind("DestinationRule").values():
        for defined in rule.get("subsets", ()):
            if rule["host"] == host and defined["name"] == subset:
                version = defined["labels"]["version"]
                if version in service.inbound_ports:
                    return version
    raise RulesError(f"VirtualService: no DestinationRule gives {host} a subset {subset} that runs")


def matches(rule):
    """One match for each way in; a rule without any matches everything."""
    return [
        {
            "prefix": "/",
            "headers": [
                {"name": name, "string_match": one_way(name, wanted)}
                for name, wanted in match.get("headers", {}).items()
            ],
        }
        for match in rule.get("match") or [{}]
    ]


def one_way(name, wanted):
    if len(wanted) != 1:
        raise RulesError(f"VirtualService: the header {name} wants either exact or prefix")
    return wanted


def limits(rule):
    """How long a route's call may take, and how often it is tried."""
    timeout = seconds(rule.get("timeout", "0s"))
    # A caller's grpc-timeout counts when it is shorter. The newer way to say so,
    # max_stream_duration, would make Envoy ignore the timeout.
    made = {"timeout": timeout, "max_grpc_timeout": timeout}
    policy = retry_policy(rule.get("retries"))
    if policy:
        made["retry_policy"] = policy
    return made


def retry_policy(retries):
    """Of `retries`, or of none; None when there shall be no second try."""
    if retries is None:
        retries = {"attempts": DEFAULT_RETRIES}
    if retries == {"attempts": 0}:
        return None
    if retries["attempts"] <= 0:
        raise RulesError(f"VirtualService: nothing is retried by {retries}")

    names, codes = split_retry_on(retries.get("retryOn") or DEFAULT_RETRY_ON)
    policy = {
        "retry_on": names,
        "num_retries": retries["attempts"],
        # Rather another instance than the one that has just failed.
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host."
                    "previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 5,
    }
    if codes:
        policy["retriable_status_codes"] = codes
    if "perTryTimeout" in retries:
        policy["per_try_timeout"] = seconds(retries["perTryTimeout"])
    return policy


def split_retry_on(text):
    """Numbers among the names are HTTP statuses, which Envoy wants apart."""
    words = [word.strip() for word in text.split(",")]
    names = [word for word in words if not is_status(word)]
    codes = [int(word) for word in words if is_status(word)]
    for name in names:
        if name not in RETRY_CONDITIONS:
            raise RulesError(f"VirtualService: retryOn knows no {name!r}")
    if codes and "retriable-status-codes" not in names:
        names.append("retriable-status-codes")
    return ",".join(names), codes


def is_status(word):
    return word.isdigit() and 100 <= int(word) <= 599


def seconds(duration):
    """Istio writes "500ms" and "1m30s", Envoy wants seconds."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": Decimal("0.001")}
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise RulesError(f"VirtualService: {duration!r} is no duration")
    return f"{sum(Decimal(number) * units[unit] for number, unit in parts).normalize():f}s"
