import socket
import sys
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from foryou.local import install
from foryou.local.install import CannotInstall, Step, pinned, steps
from foryou.local.jdk import JavaMissing, Jdk, find_jdk, passed_over
from foryou.local.ports import PortTaken, check_free, taken
from foryou.service.settings import REPO, Settings

LIST = r"""a==1 \
    --hash=sha256:aa
setuptools==84.2.1 \
    --hash=sha256:bb \
    --hash=sha256:cc
    # via x
z==2
"""


def jdk(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").write_text("")
    (folder / "release").write_text(f'IMPLEMENTOR="someone"\nJAVA_VERSION="{version}"\n')
    return folder


def test_java_home_comes_first(tmp_path):
    first, other = jdk(tmp_path / "first", "21.0.4"), jdk(tmp_path / "jvm" / "other", "17.0.1")
    assert find_jdk({"JAVA_HOME": str(first), "PATH": ""}, (other.parent,)) == Jdk(first, 21)


def test_a_java_home_of_the_wrong_version_is_passed_over(tmp_path):
    wrong, right = jdk(tmp_path / "wrong", "25"), jdk(tmp_path / "jvm" / "right", "17.0.15")
    assert find_jdk({"JAVA_HOME": str(wrong), "PATH": ""}, (right.parent,)) == Jdk(right, 17)


@pytest.mark.parametrize("java_home", ["nowhere", "wrong"])
def test_a_java_home_that_is_passed_over_is_said_with_what_is_used(tmp_path, java_home):
    jdk(tmp_path / "wrong", "25")
    right, environ = jdk(tmp_path / "jvm" / "right", "17"), {"JAVA_HOME": str(tmp_path / java_home), "PATH": ""}
    assert passed_over(environ, find_jdk(environ, (right.parent,))) == (
        f"JAVA_HOME is {tmp_path / java_home}, where there is no JDK 17 or 21: {right} is used."
    )


def test_a_java_home_that_is_used_or_not_set_needs_no_word(tmp_path):
    right = jdk(tmp_path / "right", "21")
    (tmp_path / "link").symlink_to(right)
    for environ in ({}, {"JAVA_HOME": ""}, {"JAVA_HOME": str(right)}, {"JAVA_HOME": str(tmp_path / "link")}):
        assert passed_over(environ, Jdk(right, 21)) is None


def test_the_installation_says_that_java_home_is_passed_over(tmp_path, monkeypatch, capsys):
    one = replace(step(tmp_path), target=tmp_path / "lib")
    one.target.mkdir()
    monkeypatch.setattr(install, "REPO", tmp_path)
    monkeypatch.setattr(install, "steps", lambda repo: (one,))
    monkeypatch.setattr(install, "check_needs", lambda missing: Jdk(tmp_path / "right", 17))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    assert install.main([]) == 0
    assert f"JAVA_HOME is {tmp_path / 'nowhere'}, where there is no JDK" in capsys.readouterr().out


def test_what_an_installation_leaves_among_temporary_files_goes_with_it(tmp_path, monkeypatch):
    left, said = tmp_path / ".venv" / "tmp" / "of an interrupted one", tmp_path / "said"

    def leaves_something(step, progress):
        assert not left.exists()
        program = "import os, sys, tempfile; tempfile.mkdtemp(); open(sys.argv[1], 'w').write(os.environ['TMPDIR'])"
        progress.run([sys.executable, "-c", program, str(said)], "leaving something")

    one = replace(step(tmp_path), target=tmp_path / "lib", install=leaves_something)
    one.target.mkdir()
    left.mkdir(parents=True)
    monkeypatch.setattr(install, "REPO", tmp_path)
    monkeypatch.setattr(install, "steps", lambda repo: (one,))
    monkeypatch.setattr(install, "check_needs", lambda missing: None)
    assert install.main([]) == 0
    assert said.read_text() == str(left.parent)
    assert not left.parent.exists()


@pytest.fixture
def installing(tmp_path, monkeypatch):
    """Installs steps of which the functions are given; returns the exit status."""

    def install_all(**functions):
        made = tuple(replace(step(tmp_path, name), install=function) for name, function in functions.items())
        monkeypatch.setattr(install, "REPO", tmp_path)
        monkeypatch.setattr(install, "steps", lambda repo: made)
        monkeypatch.setattr(install, "check_needs", lambda missing: None)
        return install.main([])

    return install_all


def test_two_steps_are_installed_at_once(installing, capsys):
    both = Barrier(2)

    def meets_the_other(step, progress):
        both.wait(10)

    assert installing(one=meets_the_other, other=meets_the_other) == 0
    assert {"one: installed in 0 s", "other: installed in 0 s"} <= set(capsys.readouterr().out.splitlines())


def test_a_step_that_fails_ends_the_other_and_says_what_was_wrong(installing, capsys):
    both = Barrier(2)

    def runs_for_ever(step, progress):
        both.wait(10)
        progress.run([sys.executable, "-c", "import time; time.sleep(600)"], "waiting")

    def fails(step, progress):
        both.wait(10)
        progress.run([sys.executable, "-c", "raise SystemExit('no room')"], "trying")

    assert installing(one=runs_for_ever, other=fails, third=lambda step, progress: None) == 1
    said = capsys.readouterr()
    assert "no room" in said.err and "other: `" in said.err
    assert "installed" not in said.out.replace("third: installed", "")


def test_only_a_wrong_version_is_said_with_its_place(tmp_path):
    wrong = jdk(tmp_path / "jvm" / "old", "11.0.2")
    with pytest.raises(JavaMissing, match=f"17 or 21 is needed, and there is only 11 in {wrong}"):
        find_jdk({"PATH": ""}, (wrong.parent,))


def test_no_jdk_at_all_is_said_in_one_sentence(tmp_path):
    with pytest.raises(JavaMissing, match="No JDK was found: install JDK 17 or 21"):
        find_jdk({"PATH": "", "JAVA_HOME": str(tmp_path)}, ())


@pytest.fixture
def held():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_in_use_names_the_port_and_the_setting(tmp_path, held):
    settings = replace(Settings(tmp_path), ports={"kafka_controller": held})
    with pytest.raises(PortTaken, match=f"Port {held} .*kafka controller.* is in use: .*FORYOU_PORT_KAFKA_CONTROLLER"):
        check_free(settings, patience_s=0.0)


def test_a_port_that_was_just_let_go_of_is_free(held):
    assert taken("127.0.0.1", held)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert not taken("127.0.0.1", port)


def test_an_address_of_another_machine_is_said(tmp_path):
    with pytest.raises(PortTaken, match=r"192\.0\.2\.1 is not an address of this machine"):
        check_free(replace(Settings(tmp_path, host="192.0.2.1"), ports={"kafka": 9_999}), patience_s=0.0)


def step(folder: Path, name: str = "jars") -> Step:
    (folder / "list").write_text("one")
    target = folder / name
    target.mkdir()
    return Step(name, 1, (folder / "list",), target, lambda step, progress: None)


def test_a_step_is_done_when_its_stamp_is_that_of_its_lists(tmp_path):
    one = step(tmp_path)
    assert not one.done()
    one.stamp.write_text(one.fingerprint())
    assert one.done()
    (tmp_path / "list").write_text("two")
    assert not one.done()


def test_an_environment_for_another_python_is_not_done(tmp_path, monkeypatch):
    (tmp_path / ".venv").mkdir()
    one = replace(step(tmp_path), target=tmp_path / ".venv" / "main")
    one.target.mkdir()
    one.stamp.write_text(one.fingerprint())
    monkeypatch.setattr(install.sys, "version_info", (3, 99, 0))
    assert not one.done()


def test_the_pinned_lines_of_one_package_are_cut_out_with_their_hashes():
    assert pinned(LIST, "setuptools") == "setuptools==84.2.1 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    with pytest.raises(CannotInstall, match="setup is not pinned"):
        pinned(LIST, "setup")


def test_both_lists_pin_the_setuptools_that_builds_their_source_packages():
    for name in ("main", "streaming"):
        assert "--hash=sha256:" in pinned((REPO / "requirements" / f"{name}.txt").read_text(), "setuptools")


def test_every_step_follows_a_list_that_is_in_the_tree():
    assert all(path.is_file() for one in steps(REPO) for path in one.lists)


def test_without_maven_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    with pytest.raises(CannotInstall, match="Maven was not found: install it"):
        install.check_needs([step(tmp_path)])


def test_without_the_venv_module_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CannotInstall, match=r"install its venv module \(python3\.\d+-venv"):
        install.check_needs([step(tmp_path)])


def test_another_python_is_refused_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(install.sys, "version_info", (3, 13, 0))
    with pytest.raises(CannotInstall, match=r"Python 3\.11 or 3\.12 is needed"):
        install.check_needs([step(tmp_path)])
