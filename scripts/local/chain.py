"""Who takes part in the demo: the hops, their collector, and the proxies of the local mesh."""

from local.routes import Registry, Service
from local.settings import BUILD, JOURNAL, STATE, on_loopback

COLOURS = (36, 32, 33, 35, 34, 31)

# From the front on. The clock is outside the mesh, so it has no sidecar.
HOPS = ("frontend-prod", "middleware-prod", "middleware-canary", "backend-prod", "clock")
IN_MESH = HOPS[:-1]
CLOCK = HOPS.index("clock")

# As what those in the mesh know the clock.
CLOCK_HOST = ("clock.outside", 8080)

# Istio's own, from the sidecar's first port on.
OUTBOUND, INBOUND = 1, 6


class Process:
    """One process of the demo. Each of its ports comes with what it is for and what sets it."""

    def __init__(self, name, colour, command, environment, ports, ready_url):
        self.name = name
        self.colour = colour
        self.command = command
        self.environment = environment
        self.ports = ports
        self.ready_url = ready_url


def split(name):
    role, _, version = name.partition("-")
    return role, version or "prod"


class Chain:
    """What the settings make of it: who listens where, and calls whom."""

    def __init__(self, settings):
        self.settings = settings
        self.has_mesh = settings.mesh == "envoy"

    def http_port(self, number):
        """Without a gateway the frontend has its place."""
        if number == 0 and not self.has_mesh:
            return self.settings.http_port
        return self.settings.http_port + 1 + number

    def grpc_port(self, number):
        return self.settings.grpc_port + number

    def admin_port(self, number):
        return self.settings.admin_port + number

    def mesh_port(self, number, use=0):
        """Of the sidecar of that hop: ten for each, after the gateway's."""
        return self.settings.mesh_port + 10 * (number + 1) + use

    def processes(self, envoy=None):
        """From the front on: each is started after, and stopped before, those that it sends to."""
        made = []
        if self.has_mesh:
            made.append(self.gateway(envoy))
        for number, name in enumerate(HOPS):
            made.append(self.hop(number))
            if self.has_mesh and name in IN_MESH:
                made.append(self.sidecar(number, envoy))
        return [*made, self.collector()]

    def hop(self, number):
        name = HOPS[number]
        role, version = split(name)
        http, grpc, admin = self.http_port(number), self.grpc_port(number), self.admin_port(number)
        settings = self.settings
        return Process(
            name,
            COLOURS[number],
            [BUILD / "tracehop-server"],
            {
                "ROLE": role,
                "VERSION": version,
                "HTTP_LISTEN": on_loopback(http),
                "GRPC_LISTEN": on_loopback(grpc),
                "ADMIN_LISTEN": on_loopback(admin),
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{on_loopback(settings.otlp_grpc_port)}",
                "OTEL_BSP_SCHEDULE_DELAY": "500",  # so that a trace can be looked at right away
                "TRACE_URL": f"http://localhost:{settings.collector_port}"
                "/api/v3/traces/{trace_id}",
                **self.work(role),
                **self.upstream(number),
                **common_environment(),
            },
            (
                ("http", http, f"HTTP_PORT={settings.http_port}"),
                ("grpc", grpc, f"GRPC_PORT={settings.grpc_port}"),
                ("admin", admin, f"ADMIN_PORT={settings.admin_port}"),
            ),
            ready_url(admin, "/readyz"),
        )

    @staticmethod
    def work(role):
        return {"WORK": "fibonacci"} if role in ("middleware", "backend") else {}

    def upstream(self, number):
        """Whom a hop calls: by its name, through its sidecar, or straight where it listens."""
        role, _ = split(HOPS[number])
        if self.has_mesh:
            uris = {
                "frontend": "grpc://middleware:9090",
                "middleware": "grpc://backend:9090",
                "backend": f"http://{CLOCK_HOST[0]}:{CLOCK_HOST[1]}/time",
            }
            through = {"OUTBOUND_PROXY": on_loopback(self.mesh_port(number, OUTBOUND))}
        else:
            uris = {
                "frontend": self.grpc_uri("middleware"),
                "middleware": self.grpc_uri("backend"),
                "backend": f"http://{on_loopback(self.http_port(CLOCK))}/time",
            }
            through = {}
        return {"UPSTREAM_URI": uris[role], **through} if role in uris else {}

    def grpc_uri(self, role):
        """One upstream of all its versions. Not by name: a bare system knows no localhost."""
        addresses = [
            on_loopback(self.grpc_port(number))
            for number, name in enumerate(HOPS)
            if split(name)[0] == role
        ]
        return "grpc://" + "|".join(addresses)

    def collector(self):
        settings = self.settings
        return Process(
            "collector",
            COLOURS[5],
            [BUILD / "tracehop-collector"],
            {
                "OTLP_GRPC_LISTEN": on_loopback(settings.otlp_grpc_port),
                "OTLP_HTTP_LISTEN": on_loopback(settings.otlp_http_port),
                "ZIPKIN_LISTEN": on_loopback(settings.zipkin_port),
                "ADMIN_LISTEN": on_loopback(settings.collector_port),
                "RELAY_TO": settings.relay_to,
                "JOURNAL_DIR": str(JOURNAL),
                "DRAIN_TIMEOUT": "2s",
                **common_environment(),
            },
            (
                ("otlp-grpc", settings.otlp_grpc_port, f"OTLP_GRPC_PORT={settings.otlp_grpc_port}"),
                ("otlp-http", settings.otlp_http_port, f"OTLP_HTTP_PORT={settings.otlp_http_port}"),
                ("zipkin", settings.zipkin_port, f"ZIPKIN_PORT={settings.zipkin_port}"),
                ("admin", settings.collector_port, f"COLLECTOR_PORT={settings.collector_port}"),
            ),
            ready_url(settings.collector_port, "/readyz"),
        )

    def gateway(self, envoy):
        setting = f"HTTP_PORT={self.settings.http_port}"
        ports = (("http", self.settings.http_port, setting),)
        return self.proxy("gateway", COLOURS[0], envoy, self.settings.mesh_port, ports)

    def sidecar(self, number, envoy):
        setting = f"MESH_PORT={self.settings.mesh_port}"
        ports = (
            ("inbound", self.mesh_port(number, INBOUND), setting),
            ("outbound", self.mesh_port(number, OUTBOUND), setting),
        )
        name = f"{HOPS[number]}-sidecar"
        return self.proxy(name, COLOURS[number], envoy, self.mesh_port(number), ports)

    def proxy(self, name, colour, envoy, admin, ports):
        command = [envoy, "-c", proxy_folder(name) / "bootstrap.json", "--concurrency", "1"]
        command += ["--disable-hot-restart", "--log-level", "error"]
        # A port that is closed: what is on its way may arrive, and then kept connections end, too.
        command += ["--drain-time-s", "1", "--drain-strategy", "immediate"]
        setting = f"MESH_PORT={self.settings.mesh_port}"
        return Process(
            name,
            colour,
            command,
            {},
            (*ports, ("admin", admin, setting)),
            ready_url(admin, "/ready"),
        )

    def registry(self):
        """Who is where, for those who make routes."""
        services = {}
        for number, name in enumerate(IN_MESH):
            role, version = split(name)
            service = services.setdefault(role, Service({8080: "http", 9090: "grpc"}, {}))
            service.inbound_ports[version] = self.mesh_port(number, INBOUND)
        return Registry(services, {CLOCK_HOST: self.http_port(CLOCK)})


def common_environment():
    return {"LOG_FORMAT": "text", "DRAIN_GRACE": "0s"}


def proxy_folder(name):
    return STATE / "mesh" / name


def ready_url(port, path):
    return f"http://{on_loopback(port)}{path}"
