"""The analytics process over HTTP, and the two engines behind one suite: embedded, and a server by its URL."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, date, datetime

import clickhouse_connect
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from foryou.analytics.embedded import Embedded
from foryou.analytics.errors import QueryError
from foryou.analytics.remote import Remote
from foryou.service.settings import REPO, Settings


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Process:
    """`python -m foryou.analytics`, in a home of its own, without Kafka."""

    def __init__(self, home, server=None):
        ours = {name: value for name, value in os.environ.items() if not name.startswith("FORYOU_")}
        self.port = free_port()
        kafka = f"127.0.0.1:{free_port()}"
        self.environ = ours | {"FORYOU_HOME": str(home), "FORYOU_KAFKA": kafka, "PYTHONPATH": str(REPO)}
        self.environ |= {"FORYOU_PORT_ANALYTICS": str(self.port), "FORYOU_REGISTRY": "http://127.0.0.1:1"}
        if server:
            self.environ["FORYOU_CLICKHOUSE"] = server
        self.settings = Settings.load(self.environ)
        self.log = home / "analytics.log"
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        with self.log.open("ab") as out:
            argv = [sys.executable, "-m", "foryou.analytics"]
            self.process = subprocess.Popen(argv, env=self.environ, stderr=out, stdout=out)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/ping").text == "Ok.\n":
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise AssertionError(self.log.read_text()[-2000:])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def client(self, user="analyst", **more):
        password = self.settings.clickhouse_key if user == "writer" else ""
        return clickhouse_connect.get_client(host="127.0.0.1", port=self.port, username=user, password=password, **more)


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    running = Process(tmp_path_factory.mktemp("analytics"))
    yield running
    assert running.stop() == 0


@pytest.fixture
def analyst(process):
    return process.client()


@pytest.fixture
def writer(process):
    return process.client("writer")


@pytest.fixture
def table(writer):
    writer.command("CREATE TABLE t (a UInt64, s String, m Map(String, String), n Nullable(Int32)) ORDER BY a")
    yield "t"
    writer.command("DROP TABLE t")


def curl(process, *words, data=None):
    argv = ["curl", "-sS", "--max-time", "20", *words]
    return subprocess.run(argv, input=data, capture_output=True, check=True).stdout


# the stock client


def test_the_stock_client_connects_without_a_user_and_finds_the_tables(process):
    client = clickhouse_connect.get_client(host="127.0.0.1", port=process.port)
    assert client.ping()
    assert client.query("SELECT count() FROM events").result_rows == [(0,)]
    assert {"events", "per_minute", "trends", "parity", "served"} <= {
        row[0] for row in client.query("SHOW TABLES").result_rows
    }
    assert (
        client.query("SELECT comment FROM system.tables WHERE name = 'retention'")
        .result_rows[0][0]
        .startswith("Of the")
    )


def test_parameters_are_bound(analyst):
    asked = {"x": 4, "s": "it's\n\\\t'", "d": date(2026, 1, 1), "a": ["q'", "r"]}
    sql = "SELECT {x:UInt32} + 1, {s:String}, {d:Date}, {a:Array(String)}"
    assert analyst.query(sql, parameters=asked).result_rows == [(5, "it's\n\\\t'", date(2026, 1, 1), ["q'", "r"])]


def test_arrow_data_frames_and_streams(analyst):
    assert analyst.query_arrow("SELECT number FROM numbers(3)").column("number").to_pylist() == [0, 1, 2]
    assert analyst.query_df("SELECT number AS n, toString(n) AS s FROM numbers(1000)").shape == (1000, 2)
    with analyst.query_row_block_stream("SELECT number FROM numbers(200000)") as blocks:
        assert sum(len(block) for block in blocks) == 200_000


def test_the_writer_creates_and_inserts(writer, table):
    written = writer.insert(table, [[1, "é;'", {"k": "v"}, None], [2, "", {}, 5]], column_names=["a", "s", "m", "n"])
    assert written.written_rows == 2
    writer.insert_arrow(table, pa.table({"a": pa.array([3], pa.uint64()), "s": ["arrow"]}))
    writer.raw_insert(table, ["a", "s"], b"4,csv\n", fmt="CSV")
    assert writer.query("SELECT * FROM t ORDER BY a").result_rows == [
        (1, "é;'", {"k": "v"}, None),
        (2, "", {}, 5),
        (3, "arrow", {}, None),
        (4, "csv", {}, None),
    ]


@pytest.mark.parametrize("packing", ["gzip", "zstd", "lz4", False])
def test_packed_both_ways(process, table, packing):
    client = process.client("writer", compress=packing)
    client.insert(table, [[number, "x" * 100] for number in range(5_000)], column_names=["a", "s"])
    assert len(client.query("SELECT * FROM t").result_rows) == 5_000


def test_the_analyst_is_told_why_not(analyst):
    for sql, code in (
        ("CREATE TABLE x (a Int8) ORDER BY a", 164),
        ("INSERT INTO events (app_id) VALUES ('a')", 164),
        ("SELECT * FROM file('/etc/passwd', 'LineAsString')", 164),
        ("SELECT * FROM nosuch", 60),
        ("SELEC 1", 62),
        ("SELECT nosuch", 47),
    ):
        with pytest.raises(DatabaseError) as refused:
            analyst.command(sql)
        assert refused.value.code == code


def test_the_analyst_is_not_told_where_the_servers_files_lie(process, analyst):
    named = [row[0] for row in analyst.query("SELECT name FROM system.tables WHERE database = 'system'").result_rows]
    assert {"disks", "tables", "databases", "parts", "detached_parts", "server_settings"} <= set(named)
    home = str(process.settings.home).encode()
    for select in ("SELECT *", "SELECT path", "SELECT data_path", "SELECT data_paths", "SELECT metadata_path", ""):
        for table in ("disks", "tables", "databases", "parts", "detached_parts", "server_settings", "storage_policies"):
            answer = httpx.get(process.url, params={"query": f"{select} FROM system.{table} FORMAT TSVRaw"})
            assert home not in answer.content, (select, table)
    for table in named:
        answer = httpx.get(process.url, params={"query": f"SELECT * FROM system.`{table}` LIMIT 1000 FORMAT TSVRaw"})
        assert home not in answer.content, table
    told = httpx.get(process.url, params={"query": "SELECT * FROM system.disks"})
    assert (told.status_code, told.headers["x-clickhouse-exception-code"]) == (403, "497")
    assert "Of system.disks name the columns that you need" in told.text
    assert analyst.query("SELECT name FROM system.disks").result_rows == [("default",)]


@pytest.mark.parametrize(
    ("query", "setting"),
    [
        ("SELECT count() FROM events", ("additional_table_filters", "{'foryou.events': '0 = (SELECT 0 FROM url(1))'}")),
        ("SELECT count() FROM events SETTINGS additional_table_filters = {'foryou.events': '1 IN (file(1))'}", None),
        ("SELECT count()", ("implicit_table_at_top_level", "withheld")),
        ("SELECT count() SETTINGS implicit_table_at_top_level = 'withheld'", None),
        ("from events", ("dialect", "prql")),
    ],
)
def test_no_statement_hides_in_a_setting(process, query, setting):
    answer = httpx.get(process.url, params={"query": query} | dict([setting] if setting else []))
    assert answer.headers["x-clickhouse-exception-code"] == "452"


def test_a_file_is_no_table_of_the_default_database(analyst):
    with pytest.raises(DatabaseError):
        analyst.query("SELECT * FROM default.`/etc/hostname`")


def test_a_wrong_key_is_refused(process):
    with pytest.raises(DatabaseError, match="AUTHENTICATION_FAILED"):
        clickhouse_connect.get_client(host="127.0.0.1", port=process.port, username="writer", password="no")


def test_a_query_is_bounded_and_the_process_lives_on(analyst):
    for sql, settings, code in (
        ("SELECT count() FROM numbers(1000000000000)", {"max_execution_time": 1}, 159),
        ("SELECT groupArray(number) FROM numbers(1000000000)", {"max_memory_usage": 50_000_000}, 241),
        ("SELECT * FROM numbers(100)", {"max_result_rows": 10}, 396),
        ("SELECT 1", {"max_execution_time": 0}, 452),
    ):
        with pytest.raises(DatabaseError) as refused:
            analyst.query(sql, settings=settings)
        assert refused.value.code == code
    assert analyst.command("SELECT 1") == 1


def test_settings_of_one_query_do_not_reach_the_next(writer):
    assert writer.query("SELECT getSetting('max_threads')", settings={"max_threads": 1}).result_rows == [(1,)]
    assert writer.query("SELECT getSetting('max_threads')").result_rows == [(2,)]


# curl


def test_curl_asks_by_url_and_by_body(process):
    assert curl(process, f"{process.url}/?query=SELECT%201") == b"1\n"
    assert curl(
        process, f"{process.url}/?param_x=2", "--data-binary", "@-", data=b"SELECT {x:UInt8} FORMAT JSONEachRow"
    )
    assert curl(process, f"{process.url}/ping") == b"Ok.\n" == curl(process, process.url)


def test_curl_inserts_gzip_in_and_out(process, table):
    key = f"writer:{process.settings.clickhouse_key}"
    data = gzip.compress(b'{"a":1,"s":"one"}\n{"a":2,"s":"two"}\n')
    url = f"{process.url}/?query=INSERT%20INTO%20t%20FORMAT%20JSONEachRow"
    chunked = ("-H", "Transfer-Encoding: chunked", "-H", "Content-Encoding: gzip", "--data-binary", "@-")
    assert curl(process, "-u", key, url, *chunked, data=data) == b""
    asked = (
        f"{process.url}/?enable_http_compression=1&default_format=CSV&query=SELECT%20a,s%20FROM%20t%20ORDER%20BY%20a"
    )
    assert curl(process, "--compressed", asked) == b'1,"one"\n2,"two"\n'


def test_an_error_has_its_status_code_and_text(process):
    answer = httpx.get(process.url, params={"query": "SELECT * FROM nosuch"})
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (404, "60")
    assert answer.text.startswith("Code: 60. DB::Exception: ")
    assert httpx.get(process.url, params={"query": "SELECT 1; SELECT 2"}).status_code == 400


def test_an_error_is_told_once_and_of_the_statement_as_it_was_sent(process):
    unknown = httpx.get(process.url, params={"query": "SELECT 1 FORMAT Nope"}).text
    assert (unknown.count("(UNKNOWN_FORMAT)"), unknown.count("Code: 73")) == (1, 1)
    slip = httpx.post(process.url, content="SELEC 1").text
    assert slip.startswith("Code: 62. DB::Exception: Syntax error: failed at position 7 (1): 1.")


def test_a_post_without_a_statement_is_an_error(process):
    answer = httpx.post(process.url)
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (400, "62")
    assert "Empty query" in answer.text


def test_formats_are_passed_through(process):
    for name, head in (("Parquet", b"PAR1"), ("Arrow", b"ARROW1"), ("JSON", b"{"), ("Native", b"\x01\x01")):
        answer = httpx.get(process.url, params={"query": f"SELECT 1 AS x FORMAT {name}"})
        assert answer.headers["x-clickhouse-format"] == name
        assert answer.content.startswith(head)


def test_it_says_how_it_is(process):
    assert httpx.get(f"{process.url}/healthz").status_code in (200, 503)
    assert "foryou_analytics_queries_total" in httpx.get(f"{process.url}/metrics").text


def test_data_outlive_a_kill(tmp_path):
    running = Process(tmp_path)
    try:
        writer = running.client("writer")
        writer.command("CREATE TABLE kept (a UInt64) ORDER BY a")
        writer.command("INSERT INTO kept SELECT number FROM numbers(1000)")
        running.kill()
        running.start()
        assert running.client().command("SELECT sum(a) FROM kept") == 499_500
        assert (running.settings.home / "secrets" / "clickhouse.key").stat().st_mode & 0o777 == 0o600
    finally:
        running.kill()


# both engines


@pytest.fixture(scope="module", params=["embedded", "remote"])
def engine(request, tmp_path_factory):
    if request.param == "remote":
        process = request.getfixturevalue("process")
        opened = Remote(f"http://writer:{process.settings.clickhouse_key}@127.0.0.1:{process.port}")
    else:
        opened = Embedded(tmp_path_factory.mktemp("embedded"))
    opened.query("CREATE TABLE both (a UInt64, t DateTime64(3, 'UTC')) ORDER BY a")
    yield opened
    opened.query("DROP TABLE both")
    opened.close()


def arrow_stream(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def test_an_engine_inserts_arrow_and_answers(engine):
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    rows = pa.table({"a": pa.array([1, 2], pa.uint64()), "t": pa.array([moment] * 2, pa.timestamp("ms", "UTC"))})
    assert engine.insert("INSERT INTO both (a, t)", arrow_stream(rows), format="ArrowStream").written_rows == 2
    found = engine.query("SELECT a, t FROM both WHERE a > {more:UInt64}", params={"more": "1"}, format="CSV")
    assert found.text == '2,"2026-01-02 03:04:05.678"\n'
    engine.query("TRUNCATE TABLE both")


def test_an_engine_inserts_nothing(engine):
    assert engine.insert("INSERT INTO both (a)", b"", format="CSV").written_rows == 0


def test_an_engine_says_errors_by_code(engine):
    for call, code in (
        (lambda: engine.query("SELECT * FROM nosuch"), 60),
        (lambda: engine.query("SELECT 1", settings={"nosuch": "1"}), 115),
        (lambda: engine.query("DROP TABLE both", settings={"readonly": "2"}), 164),
        (lambda: engine.query("SELECT 1", database="nosuch"), 81),
        (lambda: engine.insert("INSERT INTO both (a)", b"not a number\n", format="CSV"), 117),
    ):
        with pytest.raises(QueryError) as refused:
            call()
        assert refused.value.code == code


def test_an_insert_with_a_token_counts_once(engine):
    engine.query("CREATE TABLE once (a UInt64) ORDER BY a SETTINGS non_replicated_deduplication_window = 10")
    for _ in range(2):
        engine.query("INSERT INTO once SELECT number FROM numbers(9)", settings={"insert_deduplication_token": "x"})
    assert engine.query("SELECT count() FROM once").text == "9\n"
    engine.query("DROP TABLE once")


def test_a_server_that_is_not_there_is_an_error():
    with pytest.raises(QueryError) as refused:
        Remote(f"http://127.0.0.1:{free_port()}").query("SELECT 1")
    assert refused.value.name == "NETWORK_ERROR"


# the process itself


def test_a_published_day_is_replaced_by_command(process, analyst):
    day = process.settings.home / "lake" / "publish" / "clickhouse" / "trends" / "day=2026-11-20"
    day.mkdir(parents=True)
    row = {"app_id": "demo", "period": "day", "dimension": "video", "key": "", "subject": "v1", "kind": "rising"}
    row |= {"rank": 1, "score": 2.5, "events": 9, "people": 3, "before": 1, "confidence": 0.9}
    pq.write_table(pa.Table.from_pylist([row]), day / "part.parquet")
    argv = [sys.executable, "-m", "foryou.analytics.replace", "--day", "2026-11-20", "--cut-off", "1795200000000"]
    for _ in range(2):
        done = subprocess.run(argv, env=process.environ, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["rows"] == {"trends": 1}
    assert analyst.query("SELECT subject, confidence FROM top_trends").result_rows == [("v1", 0.9)]
    missing = subprocess.run(
        [*argv[:-3], "2026-01-01", *argv[-2:]], env=process.environ, capture_output=True, text=True
    )
    assert (missing.returncode, "not_published" in missing.stderr) == (1, True)


def test_only_the_writer_replaces_and_hashes(process):
    key = {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": process.settings.clickhouse_key}
    for path in ("hash?day=2026-11-20", "replace?day=2026-11-20&cut_off=1"):
        method = "GET" if path.startswith("hash") else "POST"
        assert httpx.request(method, f"{process.url}/admin/{path}").status_code == 403
    found = httpx.get(f"{process.url}/admin/hash?day=2026-11-20", headers=key).json()
    assert set(found) == {"events", "per_minute", "per_hour", "per_day", "trends", "parity", "served"}
    assert httpx.get(f"{process.url}/admin/hash?day=x", headers=key).status_code == 400


def test_it_waits_for_kafka_and_says_so_and_answers_meanwhile(process, analyst):
    deadline = time.monotonic() + 20
    while "Kafka" not in (said := httpx.get(f"{process.url}/healthz").text) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert "Kafka" in said
    assert analyst.command("SELECT 1") == 1


def test_a_server_takes_the_place_of_the_embedded_engine_by_one_url(process, tmp_path):
    server = f"http://writer:{process.settings.clickhouse_key}@127.0.0.1:{process.port}"
    running = Process(tmp_path, server)
    try:
        running.client("writer").command("CREATE TABLE there (a UInt64) ORDER BY a")
        running.client("writer").insert("there", [[7]], column_names=["a"])
        assert process.client().command("SELECT a FROM there") == 7
        assert not (tmp_path / "analytics" / "data").exists()
        with pytest.raises(DatabaseError):
            running.client().command("DROP TABLE there")
        process.client("writer").command("DROP TABLE there")
    finally:
        running.kill()
