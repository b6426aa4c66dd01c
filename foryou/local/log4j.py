"""Log settings for the JVMs: one file each, rolled by size, bounded in number."""

from collections.abc import Mapping
from pathlib import Path

SIZE = "10MB"
KEPT = 3


def log4j_file(target: Path, quiet: Mapping[str, str] | None = None) -> str:
    """log4j2's settings that write to `target`; `quiet` maps logger names to levels."""
    lines = [
        "status = error",
        "rootLogger.level = INFO",
        "rootLogger.appenderRef.file.ref = file",
        "appender.file.name = file",
        "appender.file.type = RollingFile",
        f"appender.file.fileName = {target}",
        f"appender.file.filePattern = {target}.%i",
        "appender.file.layout.type = PatternLayout",
        "appender.file.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS}{UTC}Z %-5p %c{1.} - %m%n",
        "appender.file.policies.type = Policies",
        "appender.file.policies.size.type = SizeBasedTriggeringPolicy",
        f"appender.file.policies.size.size = {SIZE}",
        "appender.file.strategy.type = DefaultRolloverStrategy",
        f"appender.file.strategy.max = {KEPT}",
    ]
    for number, (name, level) in enumerate((quiet or {}).items()):
        lines += [f"logger.q{number}.name = {name}", f"logger.q{number}.level = {level}"]
    return "\n".join(lines) + "\n"
