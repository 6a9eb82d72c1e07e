"""Envoy's configuration of one proxy of the local mesh: of the gateway, or of the sidecar beside a hop.

    gateway ──▶ sidecar: inbound ──▶ hop ──▶ sidecar: outbound ──▶ sidecar: inbound ──▶ ...

Clusters are there as long as the demo runs. What a step changes is in files of its own, which Envoy
reads again when they are replaced: the routes, and the listeners, for the gateway may have none.

Pure: values in, Envoy's configuration out.
"""

from local.routes import cluster_name

TYPES = "type.googleapis.com/envoy"
NO_LIMIT = 2**32 - 1


def typed(kind, **members):
    return {"@type": f"{TYPES}.{kind}", **members}


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def from_file(path):
    """Envoy reads the file again when another one is moved to its place."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def bootstrap(name, origin, admin_port, folder, clusters, tracing):
    return {
        "node": {"id": name, "cluster": origin.service},
        "admin": {"address": address(admin_port)},
        "dynamic_resources": {"lds_config": from_file(folder / "listeners.json")},
        "static_resources": {"clusters": [*clusters, tracing.cluster()]},
        "layered_runtime": tracing.runtime(),
        # Without a limit Envoy complains at each start that it has none.
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": typed(
                        "extensions.resource_monitors.downstream_connections.v3"
                        ".DownstreamConnectionsConfig",
                        max_active_downstream_connections=10_000,
                    ),
                }
            ]
        },
    }


def gateway_listener(port, folder, tracing, origin):
    spans = tracing.spans(origin, tries_have_spans=True)
    manager = http_manager("gateway", spans, [tracing.forgetting()])
    # The edge: request ids and the like of strangers do not count.
    manager["use_remote_address"] = True
    return listener("gateway", port, "OUTBOUND", {**manager, **routes_from(folder, "gateway")})


def outbound_listener(port, folder, tracing, origin):
    manager = http_manager("outbound", tracing.spans(origin, tries_have_spans=True))
    return listener("outbound", port, "OUTBOUND", {**manager, **routes_from(folder, "outbound")})


def inbound_listener(port, tracing, origin, role):
    manager = http_manager("inbound", tracing.spans(origin, tries_have_spans=False))
    routes = {"name": "inbound", "virtual_hosts": [inbound_host(role)]}
    return listener("inbound", port, "INBOUND", {**manager, "route_config": routes})


def routes_from(folder, name):
    source = from_file(folder / "routes.json")
    return {"rds": {"route_config_name": name, "config_source": source}}


def inbound_host(role):
    """gRPC and HTTP each go to a port of the hop, and are told apart by what the request says."""

    def route(port, **match):
        return {
            "match": {"prefix": "/", **match},
            "route": {
                "cluster": f"inbound|{port}||",
                "timeout": "0s",
                "max_stream_duration": {
                    "max_stream_duration": "0s",
                    "grpc_timeout_header_max": "0s",
                },
                "retry_policy": {"retry_on": "reset-before-request", "num_retries": 2},
            },
            "decorator": {"operation": f"{role}:{port}/*"},
        }

    return {
        "name": role,
        "domains": ["*"],
        "routes": [route(9090, grpc={}), route(8080)],
    }


def http_manager(name, spans, filters=()):
    return typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        codec_type="AUTO",
        stream_idle_timeout="0s",
        normalize_path=True,
        tracing=spans,
        http_filters=[
            *filters,
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed("extensions.filters.http.router.v3.Router"),
            },
        ],
    )


def listener(name, port, direction, manager):
    return typed(
        "config.listener.v3.Listener",
        name=name,
        address=address(port),
        traffic_direction=direction,
        filter_chains=[
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    )


def cluster(name, ports, protocol):
    made = {
        "name": name,
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": address(port)}} for port in ports]}
            ],
        },
        # Envoy's own limits are low: three retries at once, say.
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": NO_LIMIT,
                    "max_pending_requests": NO_LIMIT,
                    "max_requests": NO_LIMIT,
                    "max_retries": NO_LIMIT,
                }
            ]
        },
    }
    if protocol == "grpc":
        made["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                "extensions.upstreams.http.v3.HttpProtocolOptions",
                explicit_http_config={"http2_protocol_options": {}},
            )
        }
    return made


def outbound_clusters(registry):
    """For each port of a service one of all its versions, and one of each."""
    made = []
    for name, service in registry.services.items():
        for port, protocol in service.ports.items():
            versions = service.inbound_ports
            made.append(cluster(cluster_name(name, port), list(versions.values()), protocol))
            made += [
                cluster(cluster_name(name, port, version), [inbound], protocol)
                for version, inbound in versions.items()
            ]
    made += [
        cluster(cluster_name(host, port), [real_port], "http")
        for (host, port), real_port in registry.outside.items()
    ]
    return made


def inbound_clusters(http_port, grpc_port):
    """The hop behind a sidecar."""
    return [
        cluster("inbound|8080||", [http_port], "http"),
        cluster("inbound|9090||", [grpc_port], "grpc"),
    ]
