"""What the stack would start, without starting it."""

import base64
import uuid
from pathlib import Path

import yaml

from foryou.features.definitions import VIEWS
from foryou.local import probe
from foryou.local.flink import Flink, flatten
from foryou.local.home import Home
from foryou.local.jdk import Jdk
from foryou.local.kafka import all_topics, cluster_id, server_properties, topic_config
from foryou.local.registry import subjects
from foryou.local.stack import whole_stack
from foryou.service.settings import PORTS, Settings

JDK = Jdk(Path("/jdk"), 17)


def flink(tmp_path, offset=0):
    """A Flink whose wheel holds nothing but its settings."""
    settings = Settings.load({"FORYOU_HOME": str(tmp_path / "home"), "FORYOU_PORT_OFFSET": str(offset)})
    dist = tmp_path / "env" / "lib" / "python3.11" / "site-packages" / "pyflink"
    (dist / "conf").mkdir(parents=True, exist_ok=True)
    (dist / "conf" / "config.yaml").write_text(
        "env:\n  java:\n    opts:\n      all: --add-opens=x\nrest:\n  address: localhost\n"
    )
    return Flink(settings, Home(settings.home), JDK, tmp_path / "jars", tmp_path / "env" / "bin" / "python")


def test_every_port_of_a_stack_moves_with_the_offset(tmp_path):
    settings = Settings.load({"FORYOU_HOME": str(tmp_path), "FORYOU_PORT_OFFSET": "1000"})
    kafka = server_properties(settings, Home(tmp_path))
    config = flink(tmp_path, 1000).config()
    said = kafka + "".join(f"{value}\n" for value in config.values())
    for name in (
        "kafka",
        "kafka_controller",
        "flink",
        "flink_jobmanager",
        "flink_blob",
        "flink_taskmanager",
        "flink_data",
    ):
        assert str(PORTS[name] + 1000) in said
        assert f"{PORTS[name]}\n" not in said


def test_two_stacks_share_no_port():
    first = set(Settings.load({}).ports.values())
    assert len(first) == len(PORTS)
    assert not first & set(Settings.load({"FORYOU_PORT_OFFSET": "1000"}).ports.values())


def test_everything_listens_on_the_host_of_the_settings_only(tmp_path):
    config = flink(tmp_path).config()
    for name in ("rest.bind-address", "jobmanager.bind-host", "taskmanager.bind-host", "taskmanager.host"):
        assert config[name] == "127.0.0.1"
    listeners = [
        line for line in server_properties(Settings(tmp_path), Home(tmp_path)).splitlines() if "listeners=" in line
    ]
    assert listeners and all("//127.0.0.1:" in line for line in listeners)


def test_every_part_that_is_java_has_its_temporary_files_in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("foryou.local.stack.flink_of", lambda settings, jdk: flink(tmp_path))
    settings = Settings.load({"FORYOU_HOME": str(tmp_path / "home")})
    stack, tmp = whole_stack(settings, JDK), Home(settings.home).tmp
    said = {part.name: " ".join((*part.argv, part.env.get("JVM_ARGS", ""))).split() for part in stack.parts}
    said |= {job.name: job.env["JVM_ARGS"].split() for job in stack.jobs}
    for name in ("kafka", "registry", "jobmanager", "taskmanager", "features"):
        assert f"-Djava.io.tmpdir={tmp / name}" in said[name]


def test_what_clickhouse_says_of_its_memory_lies_with_its_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("foryou.local.stack.flink_of", lambda settings, jdk: flink(tmp_path))
    parts = {part.name: part for part in whole_stack(Settings(tmp_path), JDK).parts}
    assert parts["analytics"].env == {"JE_MALLOC_CONF": f"prof_prefix:{tmp_path}/tmp/analytics/jemalloc"}


def test_flinks_temporary_files_follow_the_jvms_and_its_checkpoints_do_not(tmp_path):
    one = flink(tmp_path)
    assert "io.tmp.dirs" not in one.config()
    unnamed = Path(one.config()["execution.checkpointing.dir"].removeprefix("file:"))
    assert not any(folder.is_relative_to(one.home.tmp) for folder in (one.checkpoints("features"), unnamed))


def test_flinks_own_options_are_kept_under_ours(tmp_path):
    config = flink(tmp_path).config()
    assert config["env.java.opts.all"] == "--add-opens=x"
    assert config["rest.address"] == "127.0.0.1"
    assert config["execution.checkpointing.mode"] == "EXACTLY_ONCE"
    assert config["execution.checkpointing.externalized-checkpoint-retention"] == "RETAIN_ON_CANCELLATION"


def test_flinks_settings_are_written_as_yaml_that_reads_back(tmp_path):
    one = flink(tmp_path)
    one.home.open()
    (one.home.flink / "tmp" / "tm_1").mkdir(parents=True)  # of an older version
    (one.dist / "lib").mkdir()
    (one.dist / "lib" / "flink-dist.jar").write_text("")
    (tmp_path / "jars" / "flink").mkdir(parents=True)
    (tmp_path / "jars" / "flink" / "connector.jar").write_text("")
    one.prepare()
    one.prepare()
    written = yaml.safe_load((one.home.flink / "conf" / "jobmanager" / "config.yaml").read_text())
    assert written == one.config()
    assert not (one.home.flink / "tmp").exists()
    assert {path.name for path in (one.home.flink / "lib").iterdir()} == {"flink-dist.jar", "connector.jar"}
    assert "flink-taskmanager.log" in (one.home.flink / "conf" / "taskmanager" / "log4j-console.properties").read_text()


def test_a_dead_taskmanager_that_flink_still_names_is_not_taken_for_ours(tmp_path, monkeypatch):
    known = ["127.0.0.1:9083-dead00"]
    monkeypatch.setattr(probe, "get_json", lambda url: {"taskmanagers": [{"id": each} for each in known]})
    _, taskmanager = flink(tmp_path).parts()
    taskmanager.prepare()
    assert taskmanager.check() == "its registration with the JobManager"
    known.append("127.0.0.1:9083-new000")
    assert taskmanager.check() is None


def test_a_jobmanager_that_does_not_answer_yet_knows_no_taskmanager(tmp_path, monkeypatch):
    def no_answer(url):
        raise OSError(url)

    _, taskmanager = flink(tmp_path).parts()
    monkeypatch.setattr(probe, "get_json", no_answer)
    taskmanager.prepare()
    assert taskmanager.check() == "the JobManager"
    monkeypatch.setattr(probe, "get_json", lambda url: {"taskmanagers": [{"id": "127.0.0.1:9083-new000"}]})
    assert taskmanager.check() is None


def test_nested_settings_are_flattened():
    assert flatten({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}


def test_a_first_submission_is_from_nothing_in_the_first_epoch(tmp_path):
    command = flink(tmp_path).submission("features", tmp_path / "features.py")
    assert "-s" not in command
    assert command[command.index("--epoch") + 1] == "1"


def test_a_restored_job_keeps_its_epoch_and_one_from_nothing_gets_a_new_one(tmp_path):
    one = flink(tmp_path)
    one.submission("features", tmp_path / "features.py")
    checkpoint = one.checkpoints("features") / ("a" * 32) / "chk-4"
    checkpoint.mkdir(parents=True)
    (checkpoint / "_metadata").write_text("state")
    restored = one.submission("features", tmp_path / "features.py")
    assert restored[restored.index("-s") + 1] == checkpoint.as_uri()
    assert restored[restored.index("--epoch") + 1] == "1"
    (checkpoint / "_metadata").unlink()
    fresh = one.submission("features", tmp_path / "features.py")
    assert fresh[fresh.index("--epoch") + 1] == "2"


def test_every_view_has_a_topic_kept_as_long_as_its_tiles_and_a_subject():
    topics = all_topics()
    for view in VIEWS.values():
        config = topic_config(topics[view.topic])
        assert config["cleanup.policy"] == "compact,delete"
        assert int(config["retention.ms"]) >= view.keep
        assert f"{view.topic}-value" in subjects()


def test_every_topic_has_its_schema_under_its_own_subject():
    assert set(subjects()) == {f"{name}-value" for name in all_topics()}


def test_topics_that_are_kept_for_ever_have_no_bound_in_bytes():
    topics = all_topics()
    assert "retention.bytes" not in topic_config(topics["events.content.v1"])
    assert "retention.bytes" in topic_config(topics["events.action.v1"])


def test_every_need_is_a_part_of_the_stack(tmp_path, monkeypatch):
    monkeypatch.setattr("foryou.local.stack.flink_of", lambda settings, jdk: flink(tmp_path))
    stack = whole_stack(Settings(tmp_path), JDK)
    names = {unit.name for unit in stack.units}
    assert all(set(unit.needs) <= names for unit in stack.units)
    assert {part.name for part in stack.parts} >= {
        "kafka",
        "registry",
        "jobmanager",
        "taskmanager",
        "collector",
        "forwarder",
        "store",
        "ranker",
        "analytics",
    }


def test_people_wait_for_what_answers_them_and_for_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr("foryou.local.stack.flink_of", lambda settings, jdk: flink(tmp_path))  # needs no environment
    parts = whole_stack(Settings(tmp_path), JDK).parts
    assert {each.name for each in parts if each.waited_for} == {"collector", "store", "ranker", "analytics"}


def test_no_cluster_id_looks_like_an_option():
    for made in (uuid.UUID(int=62 << 122), uuid.UUID(int=(1 << 128) - 1), uuid.uuid4()):
        text = cluster_id(made)
        assert len(base64.urlsafe_b64decode(f"{text}==")) == 16 and text[0] != "-"
