"""What a node does for the pods that the cluster has put on it: gives each its network and its
names, and runs its program with the environment that its spec asks for. Beside those of an injected
namespace, and in the gateway, runs an Envoy with the certificate of the pod's service account.

Images are not used: programs are those of the build. Volumes are empty folders. Programs that end
by themselves, as those of helm test, are run when a test says so.
"""

import contextlib
import re

from harness import build, charts
from harness.identities import Agent
from harness.network import free_ranges
from harness.pod_network import PROXY_ADMIN, Sandbox
from harness.programs import Program
from harness.sidecar import Sidecar
from harness.wait import eventually

# The labels of a gateway's pods: as helm installs one, and as Istio itself starts one.
_GATEWAYS = (
    {"istio": "ingressgateway"},
    {"gateway.istio.io/managed": "istio.io-gateway-controller"},
)


class Pod(contextlib.ExitStack):
    """One that the cluster knows as `told`."""

    def __init__(self, told, folder, is_injected):
        super().__init__()
        spec, metadata = told["spec"], told["metadata"]
        self.folder = folder
        self.uid, self.name, self.namespace = (
            metadata[key] for key in ("uid", "name", "namespace")
        )
        self.labels = metadata["labels"]
        self.account = spec["serviceAccountName"]
        self.address = told["status"]["podIP"]
        self.is_gateway = any(labels.items() <= self.labels.items() for labels in _GATEWAYS)
        self.is_task = spec["restartPolicy"] == "Never"
        is_refused = self.labels.get("sidecar.istio.io/inject") == "false"
        self.has_sidecar = (is_injected and not is_refused) or self.is_gateway
        self._container = spec["containers"][0]
        self._volumes = [mount["mountPath"] for mount in self._container.get("volumeMounts", ())]
        self._user = spec.get("securityContext", {}).get("runAsUser", 0)
        self._told = told
        self.sandbox = self.agent = self.sidecar = self.program = None

    def __str__(self):
        return f"{self.workload}.{self.namespace}"

    @property
    def workload(self):
        """The name of the Deployment, or StatefulSet."""
        (owner,) = self._told["metadata"].get("ownerReferences", [self._told["metadata"]])
        is_of_deployment = owner.get("kind") == "ReplicaSet"
        return owner["name"].rpartition("-")[0] if is_of_deployment else owner["name"]

    def is_running(self):
        """Whether all that was started in it still runs."""
        return all(part.is_running() for part in (self.program, self.sidecar) if part)

    def enter_network(self, network, names):
        self.folder.mkdir()
        hosts = self.folder / "hosts"
        hosts.write_text(names, encoding="ascii")
        is_redirected = self.has_sidecar and not self.is_gateway
        self.sandbox = self.enter_context(
            Sandbox(network, self.name, self.address, hosts, is_redirected)
        )

    def start_proxy(self, network, authority):
        identity = authority.identity(self.namespace, self.account)
        self._agent_socket = self.folder / "agent.sock"
        self.agent = self.enter_context(Agent(self._agent_socket, identity, authority.root))
        (self._proxy_port,) = free_ranges(1, 1)
        network.forward(self._proxy_port, self.address, PROXY_ADMIN)
        self._start_envoy()

    def _start_envoy(self):
        self.sidecar = self.enter_context(Sidecar(self, self._agent_socket, self._proxy_port))

    def restart_proxy(self):
        """So that no connection goes on under rules from before."""
        self.sidecar.close()
        self._start_envoy()

    def start_program(self, configuration):
        """If there is one. `configuration` has the data of ConfigMaps by name."""
        if self.is_task or "command" not in self._container:
            return
        command = [*self.sandbox.entry(self._user), *self._command()]
        self.program = self.enter_context(Program(command, self._environment(configuration)))
        self.program.name = str(self)

    def run_task(self):
        """The completed process of its program, which ends by itself."""
        return self.sandbox.run(*self._command(), user=self._user, environment={})

    def _command(self):
        command, *flags = self._container["command"]
        return [build.program(command.rpartition("/")[2]), *flags]

    def _environment(self, configuration):
        environment = {}
        for source in self._container.get("envFrom", ()):
            environment.update(configuration[source["configMapRef"]["name"]])
        for variable in self._container.get("env", ()):
            value = variable.get("value", "")
            if "valueFrom" in variable:
                value = self._field(variable["valueFrom"]["fieldRef"]["fieldPath"])
            environment[variable["name"]] = re.sub(
                r"\$\((\w+)\)", lambda name: environment[name[1]], value
            )
        return {name: self._here(value) for name, value in environment.items()}

    def _field(self, path):
        found = self._told
        for part in path.split("."):
            found = found[part]
        return found

    def _here(self, value):
        """Where a volume is that the value leads into."""
        for number, path in enumerate(self._volumes):
            if value.startswith(path):
                volume = self.folder / f"volume-{number}"
                volume.mkdir(exist_ok=True)
                volume.chmod(0o777)
                return str(volume) + value.removeprefix(path)
        return value


class Node(contextlib.ExitStack):
    """Runs the pods that a cluster has: those of its start, and what `follow` finds later."""

    def __init__(self, cluster, network, authority):
        super().__init__()
        self._cluster, self._network, self._authority = cluster, network, authority
        self.pods = {}
        with contextlib.ExitStack() as starting:
            starting.push(self._stop)
            self.follow()
            self.push(starting.pop_all())

    def _stop(self, *exception):
        with contextlib.ExitStack() as stopping:
            for pod in self.pods.values():
                stopping.enter_context(pod)

    def _get(self, *what):
        return self._cluster.get(*what)["items"]

    def follow(self):
        """Ends pods that are gone. Starts those that are new, and returns them."""
        namespaces = self._get("namespaces", "--selector=istio-injection=enabled")
        injected = {one["metadata"]["name"] for one in namespaces}
        there = {told["metadata"]["uid"]: told for told in self._get_pods()}
        for name, pod in list(self.pods.items()):
            if not there.pop(pod.uid, None):
                self.pods.pop(name).close()
        new = [self._make(told, injected) for told in there.values()]
        if new:
            self._start(new)
        return new

    def _get_pods(self):
        return [pod for pod in self._get("pods", "--all-namespaces") if _is_running(pod)]

    def _make(self, told, injected):
        metadata = told["metadata"]
        folder = self._cluster.folder / metadata["uid"]
        pod = Pod(told, folder, metadata["namespace"] in injected)
        self.pods[str(pod)] = pod
        return pod

    def _start(self, pods):
        services = self._get("services", "--all-namespaces")
        services = [service for service in services if service["spec"]["clusterIP"] != "None"]
        self._network.serve(self._endpoints(services))
        for pod in pods:
            pod.enter_network(self._network, _names(services, pod.namespace))
            if pod.has_sidecar:
                pod.start_proxy(self._network, self._authority)
        configuration = self._configuration()
        for pod in pods:
            pod.start_program(configuration[pod.namespace])
        for pod in pods:
            if pod.sidecar:
                pod.sidecar.wait_until_ready()
            if pod.program:
                pod.program.wait_until_ready()

    def _configuration(self):
        found = {}
        for one in self._get("configmaps", "--all-namespaces"):
            metadata = one["metadata"]
            found.setdefault(metadata["namespace"], {})[metadata["name"]] = one.get("data", {})
        return found

    def _slices(self, services):
        """Those of services, once they tell of every pod: those of a new one come a moment later."""
        slices = self._get("endpointslices", "--all-namespaces")
        for service in services:
            told = {
                address for one in slices if _is_of(one, service) for address in _addresses(one)
            }
            if any(_serves(service, pod) and pod.address not in told for pod in self.pods.values()):
                return None
        return slices

    def _endpoints(self, services):
        """(address, port) of services -> [(address, port) of pods]."""
        slices = eventually(lambda: self._slices(services), "the slices tell of every pod")
        found = {}
        for service in services:
            for port in service["spec"]["ports"]:
                found[service["spec"]["clusterIP"], port["port"]] = [
                    (address, target["port"])
                    for one in slices
                    if _is_of(one, service)
                    for target in one["ports"] or ()
                    if target.get("name", "") == port.get("name", "")
                    for address in _addresses(one)
                ]
        return found


def _is_running(pod):
    return pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]


def _serves(service, pod):
    if service["metadata"]["namespace"] != pod.namespace or "selector" not in service["spec"]:
        return False
    return charts.selects(service["spec"]["selector"], pod.labels)


def _is_of(endpoint_slice, service):
    metadata, wanted = endpoint_slice["metadata"], service["metadata"]
    name = metadata["labels"]["kubernetes.io/service-name"]
    return (metadata["namespace"], name) == (wanted["namespace"], wanted["name"])


def _addresses(endpoint_slice):
    endpoints = endpoint_slice["endpoints"] or ()
    return [address for endpoint in endpoints for address in endpoint["addresses"]]


def _names(services, namespace):
    """/etc/hosts of a pod: each service by the names that the cluster's DNS has for it."""
    lines = ["127.0.0.1 localhost"]
    for service in services:
        metadata, address = service["metadata"], service["spec"]["clusterIP"]
        short = f"{metadata['name']}.{metadata['namespace']}"
        own = f" {metadata['name']}" if metadata["namespace"] == namespace else ""
        lines.append(f"{address} {short}.svc.cluster.local {short}.svc {short}{own}")
    return "\n".join([*lines, ""])
