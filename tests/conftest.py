"""For every test: generated cases are not judged by the clock of a busy machine; threads may make loggers; some run
at once, save those that share what is there once, and weigh no more than what they start; what was imported is not
looked through again for garbage; what libraries leave among temporary files goes with the run.
"""

import gc
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import PurePath

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

import foryou.service.feast_unread  # noqa: F401
from foryou.service.scheduling import BEHIND, session_weight, weigh_session

settings.register_profile("foryou", deadline=None, print_blob=True)
settings.load_profile("foryou")


class _Loggers(dict):
    """pytest walks over all loggers before each test; a thread that makes one meanwhile must not stop it."""

    def values(self):
        return list(super().values())


logging.root.manager.loggerDict = _Loggers(logging.root.manager.loggerDict)


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # tmp_path stays where pytest has it
    folder = tempfile.mkdtemp(prefix="foryou-tests-")
    tempfile.tempdir = folder
    os.environ |= {"TMPDIR": folder, "JE_MALLOC_CONF": f"prof_prefix:{folder}/jemalloc"}
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    if config.getoption("numprocesses", None):
        _weigh_as_a_part(config)


def _weigh_as_a_part(config: pytest.Config) -> None:
    """Where sessions are weighed, tests that run at once get no more than a stack or a night that one of them started,
    which all others would wait for in the end."""
    with suppress(OSError):
        before = session_weight(os.getpid())
        if before is not None:
            weigh_session(os.getpid(), BEHIND)
            config.add_cleanup(lambda: weigh_session(os.getpid(), before))


# One folder, one process: the stack is there once, and a Spark with a lake takes a minute to make.
SHARED = ("tests/integration/on_stack", "tests/integration/on_lake")
LONGEST = (
    "tests/integration/test_night_killed.py",
    "tests/integration/test_parity.py",
    "tests/integration/test_state_bounds.py",
    "tests/local/test_supervisor.py",
)
FIRST = (*SHARED, *LONGEST)
# One Spark, one process: half a minute of processor is what a Spark takes to be quick.
WITH = {"tests/integration/test_embeddings.py": "tests/integration/test_parity.py"}


def turn_of(nodeid: str) -> str:
    """What is tested in one process, one after the other: a folder that shares something, else a module."""
    module = nodeid.partition("::")[0]
    folder = str(PurePath(module).parent)
    return folder if folder in SHARED else WITH.get(module, module)


class _LongestFirst(LoadScopeScheduling):
    """`make test` runs some tests at once where they have nothing in common."""

    def _split_scope(self, nodeid: str) -> str:
        return turn_of(nodeid)

    def _reschedule(self, node: WorkerController) -> None:
        """Nobody waits for more before the last of what they have: behind a night others would lie for ten minutes."""
        if self._pending_of(self.assigned_work[node]) <= 1:
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log) -> LoadScopeScheduling | None:
    return _LongestFirst(config, log) if config.getvalue("dist") == "load" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST.index(turn) if (turn := turn_of(item.nodeid)) in FIRST else len(FIRST))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Half a million objects are there by now, and stay: a collection that walks over them takes 0.2 s."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Libraries that look for leaks at the end want to see what they made freed."""
    gc.unfreeze()
