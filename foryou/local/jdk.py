"""Finds a Java that everything here runs on. Standard library only: the installer uses it too."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SUPPORTED = (17, 21)
USUAL_FOLDERS = (Path("/usr/lib/jvm"), Path("/opt/java"), Path("/Library/Java/JavaVirtualMachines"))


class JavaMissing(Exception):
    """No JDK 17 or 21; the message is the one sentence to show."""


@dataclass(frozen=True)
class Jdk:
    """A JDK: its folder (JAVA_HOME) and major version."""

    home: Path
    major: int

    @property
    def java(self) -> Path:
        """The launcher."""
        return self.home / "bin" / "java"


def find_jdk(environ: Mapping[str, str], folders: tuple[Path, ...] = USUAL_FOLDERS) -> Jdk:
    """The first JDK 17 or 21 of JAVA_HOME, `java` on the PATH, the usual folders. Raises JavaMissing."""
    seen: dict[Path, int] = {}
    for home in _candidates(environ, folders):
        if home in seen:
            continue
        major = version_of(home)
        if major is None:
            continue
        if major in SUPPORTED:
            return Jdk(home, major)
        seen[home] = major
    if not seen:
        raise JavaMissing("No JDK was found: install JDK 17 or 21 (openjdk-17-jdk-headless), or set JAVA_HOME to one.")
    found = ", ".join(f"{major} in {home}" for home, major in seen.items())
    raise JavaMissing(f"A JDK 17 or 21 is needed, and there is only {found}: install one, or set JAVA_HOME to one.")


def passed_over(environ: Mapping[str, str], jdk: Jdk) -> str | None:
    """The one sentence to show when JAVA_HOME is set and `jdk`, which was found, is not there; else None."""
    said = environ.get("JAVA_HOME")
    if not said or Path(said).resolve() == jdk.home:
        return None
    return f"JAVA_HOME is {said}, where there is no JDK 17 or 21: {jdk.home} is used."


def version_of(home: Path) -> int | None:
    """Major version of the JDK in a folder, None where there is none. Reads `release`, else asks `java -version`."""
    if not (home / "bin" / "java").is_file():
        return None
    release = home / "release"
    text = release.read_text("utf-8", "replace") if release.is_file() else ""
    version = re.search(r'^JAVA_VERSION="?(\d+)', text, re.MULTILINE)
    if version is None:
        try:
            said = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            return None
        version = re.search(r'version "(\d+)', said.stderr + said.stdout)
    return int(version[1]) if version else None


def _candidates(environ: Mapping[str, str], folders: tuple[Path, ...]) -> Iterator[Path]:
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"]).resolve()
    java = shutil.which("java", path=environ.get("PATH"))
    if java:
        yield Path(java).resolve().parents[1]
    for folder in folders:
        if folder.is_dir():
            yield from (home.resolve() for home in sorted(folder.iterdir()) if home.is_dir())
