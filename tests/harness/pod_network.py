"""The network of a node: each pod has a network namespace of its own, all that it sends passes the
node, and Services lead to their endpoints. It changes the network namespace that it runs in, which
therefore must be one of its own (tests/istio/run makes it).
"""

import contextlib
import pathlib
import socket
import subprocess

# The node's own address, and what pods take for their next router.
NODE = "192.168.0.1"
_ROUTER = "169.254.1.1"

_PATIENCE_S = 60

# Istio's, fixed: where a sidecar takes in what leaves and what comes, and as whom it runs.
_OUTBOUND, _INBOUND = 15001, 15006
PROXY_UID = 1337
# Of the sidecar itself; calls to it are not led into it.
PROXY_ADMIN = 15000

# The way out, which leads nowhere, is there because some look for one to know their own address.
_NODE = f"""
link set lo up
link add node type veth peer name nowhere
address add {NODE}/32 dev node
link set nowhere up
link set node up
route add default dev node src {NODE}
"""

# IPv4 only, as in most clusters. There is no DNS: names not in /etc/hosts are unknown at once.
_POD = f"""
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
ip link set lo up
ip address add {{address}}/32 dev eth0
ip link set eth0 up
ip route add {_ROUTER} dev eth0
ip route add default via {_ROUTER}
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
hostname {{name}}
mount --bind {{hosts}} /etc/hosts
mount --bind /dev/null /etc/resolv.conf
"""

# What istio-iptables makes of the mode REDIRECT: all but the proxy's own calls pass it. 127.0.0.6
# is the proxy as it calls the program beside it.
_REDIRECTION = f"""
*nat
:INBOUND - [0:0]
-A INBOUND -p tcp -j REDIRECT --to-ports {_INBOUND}
-A PREROUTING -p tcp ! --dport {PROXY_ADMIN} -j INBOUND
-A OUTPUT -o lo -s 127.0.0.6/32 -j RETURN
-A OUTPUT -o lo ! -d 127.0.0.1/32 -m owner --uid-owner {PROXY_UID} -j INBOUND
-A OUTPUT -o lo -j RETURN
-A OUTPUT -m owner --uid-owner {PROXY_UID} -j RETURN
-A OUTPUT -p tcp -j REDIRECT --to-ports {_OUTBOUND}
COMMIT
"""


def _run(*words, text_in=""):
    ran = subprocess.run(words, input=text_in, capture_output=True, check=False, text=True)
    if ran.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: {ran.stderr}\n{text_in}")


class PodNetwork:
    def __init__(self):
        names = [name for _, name in socket.if_nameindex()]
        assert names == ["lo"], f"not in a network namespace of its own: {names}"
        self._pods = 0
        self._forwards = {}
        self._services = []
        _run("ip", "-batch", "-", text_in=_NODE)
        for setting in ("ip_forward", "conf/all/route_localnet"):
            pathlib.Path("/proc/sys/net/ipv4", setting).write_text("1", encoding="ascii")

    def connect(self, pod):
        """A way from the node to the pod and back."""
        link = f"pod{self._pods}"
        self._pods += 1
        commands = (
            f"link add {link} type veth peer name eth0 netns {pod.pid}",
            f"address add {_ROUTER}/32 dev {link}",
            f"link set {link} up",
            # The network of a pod that had the address before may not be gone yet.
            f"route replace {pod.address} dev {link} src {NODE}",
        )
        _run("ip", "-batch", "-", text_in="\n".join(commands))

    def forward(self, port, address, target_port):
        """Leads a port of localhost to a pod from now on, as kubectl port-forward does."""
        self._forwards[port] = (address, target_port)
        self._write_rules()

    def serve(self, services):
        """Leads (address, port) of each service to one of its endpoints."""
        self._services = list(services.items())
        self._write_rules()

    def _write_rules(self):
        rules = ["*nat", ":SERVICES - [0:0]"]
        rules += [f"-A {chain} -p tcp -j SERVICES" for chain in ("PREROUTING", "OUTPUT")]
        for port, target in self._forwards.items():
            rules.append(_translation("127.0.0.1", port, 1, target))
        for (address, port), endpoints in self._services:
            for left, endpoint in zip(range(len(endpoints), 0, -1), endpoints):
                rules.append(_translation(address, port, left, endpoint))
        rules.append(f"-A POSTROUTING -s 127.0.0.0/8 ! -d 127.0.0.0/8 -j SNAT --to-source {NODE}")
        _run("iptables-restore", text_in="\n".join([*rules, "COMMIT", ""]))


def _translation(address, port, left, endpoint):
    """For one endpoint of those that are left to choose from."""
    chance = f"-m statistic --mode random --probability {1 / left:.6f} " if left > 1 else ""
    match = f"-d {address}/32 -p tcp --dport {port} {chance}"
    return f"-A SERVICES {match}-j DNAT --to-destination {endpoint[0]}:{endpoint[1]}"


class Sandbox(contextlib.ExitStack):
    """What the containers of a pod share: its name, the network, and the names of /etc/hosts. It
    lives as long as the process in it.
    """

    def __init__(self, network, name, address, hosts, is_redirected):
        super().__init__()
        self.address = address
        with contextlib.ExitStack() as starting:
            words = ("unshare", "--net", "--mount", "--uts", "sh", "-c", "echo; exec cat")
            process = starting.enter_context(
                subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            starting.callback(process.stdin.close)  # which ends it
            process.stdout.readline()
            self.pid = process.pid
            network.connect(self)
            setup = _POD.format(name=name, address=address, hosts=hosts)
            _run(*self.entry(), "sh", "-ec", setup)
            if is_redirected:
                _run(*self.entry(), "iptables-restore", text_in=_REDIRECTION)
            self.push(starting.pop_all())

    def entry(self, user=0):
        """The words before a command that is to run in here."""
        return (
            "/usr/bin/nsenter", f"--target={self.pid}", "--net", "--mount", "--uts",
            "/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
        )  # fmt: skip

    def run(self, *words, user=0, environment=None):
        """The completed process of a command that is run in here."""
        return subprocess.run(
            [*self.entry(user), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=_PATIENCE_S,
        )
