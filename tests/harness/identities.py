"""Who is who in the mesh: a certificate for each service account, by an authority of the tests'
own, and the agent of each pod that hands it to the proxy, as Istio's does (SDS: Envoy's discovery
of secrets, api/envoy/service/secret/v3/sds.proto).
"""

import concurrent.futures
import contextlib
import subprocess

import grpc

from harness.otlp import nested

TRUST_DOMAIN = "cluster.local"
# What Istio calls a proxy's own certificate, and whom it trusts.
OWN, TRUSTED = "default", "ROOTCA"

_STREAM = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
_DAYS = "2"
_STREAMS = 8


def _openssl(*arguments):
    ran = subprocess.run(
        ["/usr/bin/openssl", *arguments], capture_output=True, check=False, text=True
    )
    assert ran.returncode == 0, ran.stderr


class Identity:
    """A certificate and its key, as files."""

    def __init__(self, folder, name, *request):
        self.certificate, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", self.key, "-out", self.certificate, "-days", _DAYS, *request,
        )  # fmt: skip


class Authority:
    """Makes identities that all who trust it believe."""

    def __init__(self, folder):
        self._folder = folder
        self.root = Identity(folder, "root", "-subj", "/O=tests")

    def identity(self, namespace, account):
        """Of a service account, in Istio's words."""
        name = f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"
        return Identity(
            self._folder, f"{namespace}.{account}",
            "-CA", self.root.certificate, "-CAkey", self.root.key, "-subj", "/",
            "-addext", f"subjectAltName=critical,URI:{name}",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", "extendedKeyUsage=serverAuth,clientAuth",
        )  # fmt: skip


def _fields(raw):
    """(number, content) of a message whose fields are all texts and messages."""
    at = 0
    while at < len(raw):
        number, length, shift = raw[at] >> 3, 0, 0
        at += 1
        while True:
            piece = raw[at]
            length |= (piece & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if piece < 0x80:
                break
        yield number, raw[at : at + length]
        at += length


def _file(field, path):
    """A DataSource."""
    return nested(field, nested(2, path.read_bytes()))


class Agent(contextlib.ExitStack):
    """Serves one identity at a socket. What a proxy refuses is kept in `refused`."""

    def __init__(self, socket, identity, root):
        super().__init__()
        self.refused = []
        self._secrets = {
            OWN: nested(2, _file(1, identity.certificate) + _file(2, identity.key)),
            TRUSTED: nested(4, _file(1, root.certificate)),
        }
        pool = self.enter_context(concurrent.futures.ThreadPoolExecutor(_STREAMS))
        self._server = grpc.server(pool, handlers=[_Handler(self._stream)])
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()
        socket.chmod(0o666)
        self.callback(lambda: self._server.stop(grace=None).wait())

    def _stream(self, requests, _):
        for raw in requests:
            request = dict(_fields(raw))
            if 6 in request:
                self.refused.append(request[6])
            elif 5 not in request:  # else it says that it has got what it wanted
                yield self._answer(request[3].decode())

    def _answer(self, name):
        secret = nested(1, name.encode()) + self._secrets[name]
        resource = nested(1, _SECRET.encode()) + nested(2, secret)
        return nested(1, b"1") + nested(2, resource) + nested(4, _SECRET.encode()) + nested(5, b"1")


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, stream):
        self._method = grpc.stream_stream_rpc_method_handler(stream)

    def service(self, details):
        return self._method if details.method == _STREAM else None
