"""The door on a real socket, one process."""

import http.client
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

REPO = Path(__file__).resolve().parents[2]
APP = """
import sys
from foryou.service import logs
from foryou.service.metrics import Metrics
from foryou.service.serving import Listening, serve
from foryou.service.web import Router, json_response

async def size(request):
    return json_response(200, {"size": len(request.body)})

async def name(request):
    return json_response(200, request.params)

logs.configure("try")
router = Router(Metrics(), body_timeout_s=0.3)
router.add("POST", "/size", size, max_body=1 << 20)
router.add("GET", "/names/{name}", name, max_body=0)
serve(router, "127.0.0.1", int(sys.argv[1]), stop=lambda: print("stop was called", flush=True))
"""


@pytest.fixture
def served():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", APP, str(port)], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    yield port, process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_a_body_of_ten_megabytes_gets_its_413_and_the_next_request_its_200(served):
    port, _ = served
    for body, status in ((b"x" * 10_000_000, 413), (b"x" * 1_000, 200), (iter([b"x" * 100_000] * 100), 413)):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request("POST", "/size", body)
        answer = client.getresponse()
        assert answer.status == status, answer.read()
        client.close()


def test_a_body_that_stops_halfway_is_a_408(served):
    port, _ = served
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"POST /size HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        assert client.recv(1_000).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_goes_halfway_is_no_failure_of_ours(served):
    port, process = served
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"POST /size HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
    time.sleep(0.3)
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", "/metrics")
    assert b'foryou_http_requests_total{route="/size",status="400"} 3.0' in client.getresponse().read()
    client.close()
    process.terminate()
    assert "request failed" not in process.communicate(timeout=10)[1]


def test_sigterm_stops_it_within_five_seconds_though_a_connection_idles(served):
    port, process = served
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    client.request("GET", "/healthz")
    assert client.getresponse().read() == b'{"status":"ok"}'

    began = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 5
    assert process.returncode == 0, err
    assert out == "stop was called\n" and '"message":"stopped"' in err
    client.close()


def test_a_path_is_decoded_once_and_two_ids_never_become_one(served):
    port, _ = served
    for sent, status, name in (("a%2541", 200, b"a%41"), ("%C3%A9", 200, "é".encode()), ("%ff", 400, b"bad_path")):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request("GET", f"/names/{sent}")
        answer = client.getresponse()
        assert answer.status == status
        assert name in answer.read()
        client.close()


def test_more_than_a_thousand_idle_connections_hold_nobody_up(served):
    port, _ = served
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(1_100)]
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    client.request("GET", "/healthz")
    assert client.getresponse().status == 200
    for each in idle:
        each.close()


FULL = """
from foryou.service.problem import unavailable

class Full:
    def admit(self, scope, under_way):
        raise unavailable("full")

"""


@pytest.fixture
def serving():
    """Serves an app made of APP by replacing one piece of it with another; gives its port."""
    running = []

    def start(piece, other):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert piece in APP
        app = APP.replace(piece, other).replace("logs.configure", FULL + "logs.configure")
        running.append(subprocess.Popen([sys.executable, "-c", app, str(port)], cwd=REPO, stdout=subprocess.DEVNULL))
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        return port

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_who_is_refused_before_the_body_is_read_hears_why(serving):
    port = serving("body_timeout_s=0.3", "guard=Full()")
    for size in (10, 300_000, 3_000_000):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("POST", "/size", b"x" * size)
        answer = client.getresponse()
        assert (answer.status, answer.getheader("retry-after")) == (503, "1")
        client.close()


@pytest.mark.parametrize("said", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_a_connection_that_says_nothing_more_is_closed(serving, said):
    port = serving("int(sys.argv[1]),", "int(sys.argv[1]), listening=Listening(idle_s=0.5),")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(said)
        began = time.monotonic()
        while client.recv(10_000):
            pass
        assert time.monotonic() - began < 4


TLS_APP = """
import sys
from pathlib import Path
from foryou.service.metrics import Metrics
from foryou.service.serving import Listening, Tls, serve
from foryou.service.web import Router

port, tls_port, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
tls = Tls("127.0.0.1", tls_port, folder / "cert.pem", folder / "key.pem")
serve(Router(Metrics()), "127.0.0.1", port, listening=Listening(tls=tls))
"""


def write_certificate(folder):
    """cert.pem and key.pem for 127.0.0.1, good for a day."""
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(here, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(pem)


def test_the_same_door_is_served_over_tls_1_3_and_nothing_older(tmp_path):
    write_certificate(tmp_path)
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, tls_port = one.getsockname()[1], other.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", TLS_APP, str(port), str(tls_port), str(tmp_path)], cwd=REPO)
    try:
        trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", tls_port)).close()
                break
            except OSError:
                time.sleep(0.1)
        client = http.client.HTTPSConnection("127.0.0.1", tls_port, context=trusted, timeout=5)
        client.request("GET", "/healthz")
        assert (client.sock.version(), client.getresponse().status) == ("TLSv1.3", 200)
        trusted.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match=r"protocol version|EOF"):
            http.client.HTTPSConnection("127.0.0.1", tls_port, context=trusted, timeout=5).request("GET", "/healthz")
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        plain.request("GET", "/healthz")
        assert plain.getresponse().status == 200
    finally:
        process.terminate()
        assert process.wait(10) == 0
