"""`foryou simulate`: the commands that it prints can be copied."""

import shlex
from pathlib import Path

from foryou.cli.simulate import imports_of


def test_a_history_in_a_folder_with_spaces_is_imported_by_the_line_that_is_printed():
    line = imports_of(Path("/my home/past"))
    videos, people, events = (f"/my home/past/{name}.parquet" for name in ("videos", "people", "events-*"))
    assert shlex.split(line) == ["foryou", "import", videos, people, "&&", "foryou", "import", events]
    assert line.endswith("'/events-*.parquet")  # the shell's to unfold
