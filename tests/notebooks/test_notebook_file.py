"""The notebooks as they lie in the repository: without outputs, and without anything that belongs into foryou."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CLEAR = "jupyter nbconvert --clear-output --inplace notebooks/*.ipynb"
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    import nbformat  # takes two seconds, of every worker that collects this file

    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def nodes(notebook):
    return [node for cell in code_cells(notebook) for node in ast.walk(ast.parse(cell.source))]


def environment():
    """Distributions of the main environment, as pip names them."""
    pinned = (ROOT / "requirements" / "main.txt").read_text("utf-8")
    return set(re.findall(r"^([a-z0-9._-]+)(?:\[.*?\])?==", pinned, re.MULTILINE))


def test_there_is_a_notebook():
    assert NOTEBOOKS


def test_it_is_a_notebook_of_the_format(notebook):
    from nbformat import validate

    validate(notebook)


def test_its_outputs_are_cleared(notebook):
    run = [cell.id for cell in code_cells(notebook) if cell.outputs or cell.execution_count is not None]
    assert run == [], f"{CLEAR} clears them"


def test_it_defines_nothing(notebook):
    assert [ast.unparse(node) for node in nodes(notebook) if isinstance(node, DEFINITIONS)] == []


def test_it_imports_what_the_main_environment_has(notebook):
    modules = {alias.name for node in nodes(notebook) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes(notebook) if isinstance(node, ast.ImportFrom)}
    tops = {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"foryou"}
    provided, pinned = packages_distributions(), environment()
    assert {top for top in tops if not pinned & {name.lower().replace("_", "-") for name in provided[top]}} == set()


def test_its_links_lead_somewhere(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    paths = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("http")]
    assert [path for path in paths if not (ROOT / "notebooks" / path).exists()] == []
