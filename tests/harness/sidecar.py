"""Envoy beside a pod's container, or as a gateway, as Istio's agent would start it."""

import json
import re

from harness import http
from harness.daemon import Daemon
from harness.istiod import XDS_PORT
from harness.pod_network import NODE, PROXY_ADMIN, PROXY_UID
from harness.wait import eventually

# As new as istiod, so that it leaves nothing out.
_ISTIO_VERSION = "1.31.0"

_STATISTIC = re.compile(r"(?m)^(\S+): (\d+)$")


def _cluster(name, address):
    """One that speaks HTTP/2."""
    http_options = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": address}}
    return {
        "name": name,
        "connect_timeout": "10s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http_options
        },
    }


def _address(host, port):
    return {"socket_address": {"address": host, "port_value": port}}


def _node(pod):
    kind = "router" if pod.is_gateway else "sidecar"
    return {
        "id": f"{kind}~{pod.address}~{pod.name}.{pod.namespace}~{pod.namespace}.svc.cluster.local",
        "cluster": f"{pod.labels.get('app', pod.workload)}.{pod.namespace}",
        "metadata": {
            "CLUSTER_ID": "Kubernetes",
            "INSTANCE_IPS": pod.address,
            "INTERCEPTION_MODE": "REDIRECT",
            "ISTIO_VERSION": _ISTIO_VERSION,
            "LABELS": pod.labels,
            "MESH_ID": "cluster.local",
            "NAME": pod.name,
            "NAMESPACE": pod.namespace,
            "SERVICE_ACCOUNT": pod.account,
            "WORKLOAD_NAME": pod.workload,
        },
    }


def bootstrap(pod, agent_socket):
    ads = {"ads": {}, "resource_api_version": "V3"}
    istiod = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
    }
    return {
        "node": _node(pod),
        "admin": {"address": _address("0.0.0.0", PROXY_ADMIN)},
        "dynamic_resources": {"ads_config": istiod, "lds_config": ads, "cds_config": ads},
        "static_resources": {
            "clusters": [
                _cluster("xds-grpc", _address(NODE, XDS_PORT)),
                _cluster("sds-grpc", {"pipe": {"path": str(agent_socket)}}),
            ]
        },
    }


class Sidecar(Daemon):
    """`port` is its admin interface's, on localhost."""

    def __init__(self, pod, agent_socket, port):
        self._port = port
        path = pod.folder / "envoy.json"
        path.write_text(json.dumps(bootstrap(pod, agent_socket)), encoding="utf-8")
        super().__init__(
            pod.folder,
            "envoy",
            "--config-path", path,
            "--concurrency", "1",
            "--disable-hot-restart",
            # As Istio starts it: a changed listener ends connections with their next answer.
            "--drain-strategy", "immediate",
            "--drain-time-s", "45",
            "--log-level", "error",
            wrapper=pod.sandbox.entry(PROXY_UID),
        )  # fmt: skip

    def wait_until_ready(self):
        return self.wait_until(lambda: http.get(self._port, "/ready").status == 200, "is ready")

    def statistics(self, name):
        """The sum of what it has counted under all names that the pattern `name` matches."""
        told = _STATISTIC.findall(http.get(self._port, "/stats?type=Counters").text)
        return sum(int(value) for key, value in told if re.fullmatch(name, key))

    def clusters(self):
        """Their names."""
        told = http.get(self._port, "/clusters?format=json").json
        return {cluster["name"] for cluster in told.get("cluster_statuses", ())}

    def wait_for_cluster(self, name):
        eventually(lambda: name in self.clusters(), f"cluster {name}")
