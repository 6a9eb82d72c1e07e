"""The proxies of a demo, from its rules to files, and whether the proxies have taken them."""

import hashlib
import json
import os
import socket
import time
import urllib.request

from local import proxies, routes
from local.chain import HOPS, IN_MESH, INBOUND, OUTBOUND, proxy_folder, ready_url, split
from local.settings import DemoError
from local.tracing import Origin, Tracing

TAKEN_TIMEOUT_S = 10

GATEWAY = Origin("gateway")


class Mesh:
    def __init__(self, chain):
        self._chain = chain
        self._registry = chain.registry()
        settings = chain.settings
        self._tracing = Tracing(settings.tracing, settings.zipkin_port, settings.otlp_grpc_port)

    def prepare(self, rules):
        """Writes everything that the proxies need to start."""
        self._write_bootstrap("gateway", GATEWAY, self._chain.settings.mesh_port, [])
        for number, name in enumerate(IN_MESH):
            clusters = proxies.inbound_clusters(
                self._chain.http_port(number), self._chain.grpc_port(number)
            )
            origin = origin_of(name)
            self._write_bootstrap(sidecar(name), origin, self._chain.mesh_port(number), clusters)
        self._write_rules(rules)

    def apply(self, rules):
        """Changes a running mesh; returns when all proxies act by the rules."""
        is_open = routes.gateway(rules, self._registry) is not None
        versions = self._write_rules(rules)
        for name, admin, wanted in versions:
            wait_until(lambda: has_taken(admin, wanted), f"{name} has not taken the rules")
        port = self._chain.settings.http_port
        wait_until(
            lambda: is_listening(port) == is_open,
            f"the gateway has not {'opened' if is_open else 'closed'} port {port}",
        )
        admin = self._chain.settings.mesh_port
        wait_until(lambda: has_drained(admin), "the gateway has not ended old connections")

    def _write_bootstrap(self, name, origin, admin_port, clusters):
        folder = proxy_folder(name)
        folder.mkdir(parents=True)
        clusters = clusters + proxies.outbound_clusters(self._registry)
        write(
            folder / "bootstrap.json",
            proxies.bootstrap(name, origin, admin_port, folder, clusters, self._tracing),
        )

    def _write_rules(self, rules):
        """For each proxy its name, its admin port, and the versions that it is to say it has."""
        gateway = routes.gateway(rules, self._registry)
        outbound = routes.outbound(rules, self._registry)
        written = []
        for number, name in enumerate(IN_MESH):
            folder = proxy_folder(sidecar(name))
            versions = [
                write_resources(folder / "routes.json", [route_configuration(outbound)]),
                write_resources(folder / "listeners.json", self._sidecar_listeners(number)),
            ]
            written.append((sidecar(name), self._chain.mesh_port(number), versions))
        return [*written, self._write_gateway(gateway)]

    def _sidecar_listeners(self, number):
        name = HOPS[number]
        folder, origin = proxy_folder(sidecar(name)), origin_of(name)
        inbound, outbound = (self._chain.mesh_port(number, use) for use in (INBOUND, OUTBOUND))
        return [
            proxies.inbound_listener(inbound, self._tracing, origin, split(name)[0]),
            proxies.outbound_listener(outbound, folder, self._tracing, origin),
        ]

    def _write_gateway(self, gateway):
        folder, settings = proxy_folder("gateway"), self._chain.settings
        listeners, versions = [], []
        if gateway:
            listeners = [
                proxies.gateway_listener(settings.http_port, folder, self._tracing, GATEWAY)
            ]
            versions = [write_resources(folder / "routes.json", [route_configuration(gateway)])]
        versions.append(write_resources(folder / "listeners.json", listeners))
        return "gateway", settings.mesh_port, versions


def sidecar(name):
    return f"{name}-sidecar"


def origin_of(name):
    """What the spans of a hop's sidecar say they are from. As with the hops, those of all versions
    are one service.
    """
    role, version = split(name)
    return Origin(sidecar(role), version)


def route_configuration(made):
    return proxies.typed("config.route.v3.RouteConfiguration", **made)


def write(path, value):
    """At once: who reads it sees the old file or the new one. Envoy waits for the move."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value, indent=1), encoding="utf-8")
    os.replace(new, path)


def write_resources(path, resources):
    """Returns the version: equal for equal resources, which are not written again."""
    content = json.dumps(resources, sort_keys=True)
    version = hashlib.sha256(content.encode()).hexdigest()[:16]
    response = {"version_info": version, "resources": resources}
    if not path.exists() or json.loads(path.read_text(encoding="utf-8")) != response:
        write(path, response)
    return version


def has_taken(admin, versions):
    told = statistics(admin, "type=TextReadouts&filter=version_text$")
    return all(version in told for version in versions)


def has_drained(admin):
    return "draining: 0" in statistics(admin, "filter=total_listeners_draining")


def statistics(admin, query):
    """What a proxy tells of itself; nothing when it does not answer."""
    try:
        with urllib.request.urlopen(ready_url(admin, f"/stats?{query}"), timeout=2) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition, complaint):
    deadline = time.monotonic() + TAKEN_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError(f"{complaint} after {TAKEN_TIMEOUT_S} s")
        time.sleep(0.02)
