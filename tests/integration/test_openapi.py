"""The OpenAPI documents are true: schemathesis reads them and asks the real doors whatever they allow, and worse."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.collector.conftest import KEY

REPO = Path(__file__).resolve().parents[2]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
BOUNDED = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@schemathesis.serializer("application/x-ndjson")
def ndjson(_, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def served(script):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(REPO / "tests/integration/clients" / script), str(port)], cwd=REPO)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    return f"http://127.0.0.1:{port}", process


@pytest.mark.parametrize("script", ["collector.py", "ranker.py"])
def test_every_answer_is_as_the_document_says(script):
    url, process = served(script)
    try:
        document = schemathesis.openapi.from_url(f"{url}/openapi.json")
        asked = 0
        for found in document.get_all_operations():
            operation = found.ok()
            for mode in GenerationMode:
                asked += ask(operation, mode)
        assert asked > 20
    finally:
        process.terminate()
        process.wait(10)


def ask(operation, mode) -> int:
    """Asks one operation in one mode; how many requests that were."""
    if mode is GenerationMode.NEGATIVE and not list(operation.iter_parameters()) and not list(operation.body):
        return 0  # nothing in it could be wrong
    asked = 0

    @given(operation.as_strategy(generation_mode=mode))
    @settings(BOUNDED)
    def one(case):
        nonlocal asked
        asked += 1
        case.call_and_validate(checks=CHECKS, headers={"authorization": f"Bearer {KEY}"})

    one()
    return asked
