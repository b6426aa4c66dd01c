"""The stack for the tests: the very processes of `foryou up`, on ports and in a folder of their own.

FORYOU_TEST_STACK=<home> (with the FORYOU_PORT_OFFSET that it was started with) takes a stack that is up already, and
leaves it up: handy while developing.
"""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from foryou.lake import days
from foryou.lake.session import OPTIONS, SETTINGS, keeping, session
from foryou.local import lifecycle, state
from foryou.local.home import Home
from foryou.local.process_id import ProcessId, marked
from foryou.local.state import StackState
from foryou.service.settings import REPO, Settings

from . import live_lake
from .clickhouse_tables import empty

OFFSET = "1000"
UP_S = 300.0
LAST = "test_stack.py"  # it kills and ends what the others stand on


@dataclass(frozen=True)
class LocalStack:
    """A stack under test."""

    settings: Settings
    environ: dict[str, str]
    borrowed: bool

    @property
    def home(self) -> Home:
        """Its folders."""
        return Home(self.settings.home)

    @property
    def state(self) -> StackState:
        """What its supervisor says."""
        now = state.load(self.home.state)
        assert now is not None, "the stack is down"
        return now

    @property
    def processes(self) -> list[ProcessId]:
        """All of its living processes."""
        return marked(self.settings.home)

    def up(self) -> float:
        """Starts it, waits until it is healthy, returns the seconds that this took."""
        begin = time.monotonic()
        lifecycle.start(self.settings, self.environ)
        now = lifecycle.wait_ready(self.settings, UP_S)
        assert now is not None, (self.home.logs / "supervisor.log").read_text("utf-8")[-2000:]
        assert now.ready, {name: (part.phase, part.waiting_for, part.log) for name, part in now.parts.items()}
        return time.monotonic() - begin

    def down(self) -> int:
        """Ends it; returns how many processes there were."""
        return lifecycle.stop(self.settings)


HERE = Path(__file__).parent
ONLY_IN = {"stack": HERE / "on_stack", "live": HERE / "on_lake"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name, folder in ONLY_IN.items():
            if item.path.is_relative_to(HERE) and name in item.fixturenames and item.path.parent != folder:
                raise pytest.UsageError(f"{item.nodeid} asks for {name}: move it to {folder}, it is there once")
    items.sort(key=lambda item: item.path.name == LAST)


@pytest.fixture(scope="session")
def stack():
    """The whole stack, healthy."""
    borrowed = os.environ.get("FORYOU_TEST_STACK")
    if borrowed:
        environ = {**os.environ, "FORYOU_HOME": borrowed}
        yield LocalStack(Settings.load(environ), environ, borrowed=True)
        return
    ours = {name: value for name, value in os.environ.items() if not name.startswith("FORYOU_")}
    home = Path(REPO) / ".cache" / "test-stack"
    environ = {**ours, "FORYOU_HOME": str(home), "FORYOU_PORT_OFFSET": os.environ.get("FORYOU_PORT_OFFSET", OFFSET)}
    environ["FORYOU_FLINK_SLOTS"] = "2"  # no law may lean on a parallelism of one
    local = LocalStack(Settings.load(environ), environ, borrowed=False)
    local.down()  # what an interrupted run has left
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(exist_ok=True)
    local.up()
    yield local
    local.down()
    assert local.processes == []


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """An embedded ClickHouse with our tables: a module's own, for a process has one."""
    from foryou.analytics import migrations
    from foryou.analytics.embedded import Embedded

    engine = Embedded(tmp_path_factory.mktemp("clickhouse"))
    migrations.apply(engine, migrations.load())
    yield engine
    engine.close()


@pytest.fixture
def engine(opened):
    """The same, with no rows in it."""
    empty(opened)
    return opened


# The night's own settings, for few rows: they are seconds of work, and compiling takes most of them. So Spark generates
# no code, which is a fifth faster; that generated code writes the same rows is for test_night_killed.py to say.
# The first compiler alone has too little room for what Spark generates, unless it is told.
QUICK = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
FOR_FEW_ROWS = {
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    """One Spark for all tests."""
    temporary = keeping(tmp_path_factory.mktemp("spark"), f"{SETTINGS[OPTIONS]} {QUICK}")
    return session("tests", FOR_FEW_ROWS | temporary)


@pytest.fixture(scope="session")
def live(spark, tmp_path_factory):
    """A whole lake of events that came by the live door, its stack down. Whoever changes it puts it back."""
    events, broken = list(live_lake.on_time(count=800)), [b"", b"not Avro at all"]
    found = live_lake.made(spark, tmp_path_factory.mktemp("home"), events, broken=broken)
    days.unmark(found.lake.dirty, days.marked(found.lake.dirty))
    return found
