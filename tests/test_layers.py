"""Imports point one way, and only entry points read the environment."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOUNDATION = {"contract", "service"}
MAY_IMPORT = {
    "contract": set(),
    "service": {"contract"},
    "features": {"contract"},
    "collector": FOUNDATION,
    "store": FOUNDATION | {"features", "lake"},  # Feast's offline store reads the lake's tiles
    "ranker": FOUNDATION | {"features"},
    "analytics": FOUNDATION,
    "simulator": {"contract"},
    "lake": FOUNDATION | {"features"},
    "local": FOUNDATION | {"features"},
    "cli": FOUNDATION | {"features", "simulator", "local", "lake"},
}


def packages_of_ours(path):
    """Packages of foryou that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [f"foryou.{alias.name}" for alias in node.names] if names == ["foryou"] else []
        yield from (name.split(".")[1] for name in names if name.startswith("foryou."))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package):
    found = {name for path in (ROOT / "foryou" / package).rglob("*.py") for name in packages_of_ours(path)}
    assert found - {package} <= MAY_IMPORT[package]


def test_every_package_is_in_the_table():
    assert {path.parent.name for path in (ROOT / "foryou").glob("*/__init__.py")} == set(MAY_IMPORT)


def test_jobs_wire_what_features_and_contract_mean():
    found = {name for path in (ROOT / "jobs").rglob("*.py") for name in packages_of_ours(path)}
    assert found <= {"contract", "service", "features", "lake"}


def test_only_entry_points_read_the_environment():
    readers = {
        path.relative_to(ROOT / "foryou").as_posix()
        for path in (ROOT / "foryou").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and ast.unparse(node.value) == "os"
    }
    # local/install.py is one: `python -m foryou.local.install`
    entries = {reader for reader in readers if reader.startswith("cli/") or reader.endswith("__main__.py")}
    # lake/session.py asks whether spark-submit started it, of Spark's own variable
    assert readers - entries <= {"local/install.py", "lake/session.py"}


def test_what_the_stream_imports_needs_nothing_of_the_main_environment():
    """Flink has an environment of its own (ADR 0001): a job that misses a package fails at its submission."""
    ours = {name for path in (ROOT / "jobs" / "streaming").glob("*.py") for name in modules_of_ours(path)}
    blocked = "import sys; sys.modules.update(dict.fromkeys(['msgspec', 'httpx', 'fastavro', 'confluent_kafka']))"
    command = [sys.executable, "-c", f"{blocked}; import {', '.join(sorted(ours))}"]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert ours and done.returncode == 0, done.stderr


def modules_of_ours(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("foryou."):
            yield node.module
