"""What the documents say is there: links, tests, fields, types and reasons of events, examples that pass the gate."""

import io
import re
import shlex
import time
from datetime import date
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from typer.main import get_command

from foryou.cli.app import app
from foryou.cli.parity import Report, show
from foryou.collector.protocols import PROTOCOLS, cloudevents, posthog, segment, snowplow
from foryou.contract.events import TYPES, ClientEvent
from foryou.contract.gate import Accepted, Gate
from foryou.contract.identity import Identity
from foryou.contract.reasons import REASONS
from foryou.contract.topics import TOPICS
from foryou.features.definitions import VIEWS
from foryou.lake.parity_causes import CAUSES, WRONG
from foryou.simulator.kuairand import real_videos

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
EVENTS = (ROOT / "docs" / "events.md").read_text("utf-8")
CURL_BODY = re.compile(r"""-d '(.+?)'(?=\n|$)""", re.DOTALL)


def anchors(path):
    """Headings as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    text = document.read_text("utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'href="([^"]+)"', text):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), f"{document.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{document.name}: {link}"


def test_every_test_that_a_law_names_exists():
    file = ""
    for found in re.finditer(r"`([\w/]*test_\w+\.py)?(?:::(\w+))?`", (ROOT / "docs" / "laws.md").read_text("utf-8")):
        file = found[1] or file
        text = (ROOT / "tests" / file).read_text("utf-8")
        assert not found[2] or f"def {found[2]}(" in text, f"{file}::{found[2]}"


def test_every_field_and_every_type_is_in_the_reference():
    assert [name for name in (*ClientEvent.__struct_fields__, *TYPES, *TOPICS) if f"`{name}`" not in EVENTS] == []


def reasons_in(*sources):
    given = re.compile(r'(?:reason="|_No\("|Refused\("|_bad\("|refused_whole\(")(\w+)"')
    return {reason for source in sources for reason in given.findall(source.read_text("utf-8"))}


COLLECTOR = [*(ROOT / "foryou" / "collector").rglob("*.py"), ROOT / "foryou/contract/gate.py"]


def test_every_reason_that_the_collector_gives_is_in_the_reference():
    reasons = reasons_in(*COLLECTOR, ROOT / "foryou/service/web.py", ROOT / "foryou/service/problem.py")
    assert {reason for reason in reasons if f"`{reason}`" not in EVENTS} == set()


def test_every_reason_of_a_dead_letter_is_known_to_those_who_look_for_letters():
    assert reasons_in(*COLLECTOR) == set(REASONS)


def test_the_cloudevent_in_an_example_passes_the_gate():
    now_ms = time.time_ns() // 1_000_000
    (body,) = re.findall(r"--data '(.+?)'\n", (ROOT / "docs" / "protocols.md").read_text("utf-8"))
    event = cloudevents.again(body.encode(), now_ms)
    assert isinstance(event, bytes) and isinstance(Gate(Identity(b"d" * 32)).check(event, "demo", now_ms), Accepted)


def test_every_path_of_a_protocol_and_every_name_that_is_mapped_is_in_the_reference():
    text = (ROOT / "docs" / "protocols.md").read_text("utf-8")
    assert [path for protocol in PROTOCOLS for _, path in protocol.paths if path.rstrip("/") not in text] == []
    kinds = {kind for names in (segment.NAMES, posthog.NAMES, snowplow.NAMES) for kind in names.values()}
    assert [kind for kind in kinds if f"`{kind}`" not in text] == []


@pytest.mark.parametrize("document", ["README.md", "docs/events.md"])
def test_every_event_in_an_example_passes_the_gate(document):
    gate, now_ms = Gate(Identity(b"d" * 32)), time.time_ns() // 1_000_000
    bodies = [body for body in CURL_BODY.findall((ROOT / document).read_text("utf-8")) if "feature_service" not in body]
    assert bodies
    for body in bodies:
        said = msgspec.json.decode(body.replace("'$NOW'", str(now_ms)))
        for event in said if isinstance(said, list) else [said]:
            if "event_type" not in event:
                event |= {"event_type": "video_published", "event_time": now_ms}
            assert isinstance(gate.check(msgspec.json.encode(event), "demo", now_ms), Accepted), event


README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("said", sorted(set(re.findall(r"^(foryou .+)$", README, re.MULTILINE))))
def test_every_command_in_the_readme_has_the_options_that_it_is_given(said):
    for one in said.split(" && "):
        command, words = get_command(app), shlex.split(one, comments=True)[1:]
        while hasattr(command, "resolve_command") and words and not words[0].startswith("-"):
            _, command, words = command.resolve_command(command.context_class(command), words)
        known = {option for each in command.params for option in each.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= known


def test_the_first_history_of_the_readme_is_a_small_one():
    words = shlex.split(re.search(r"^foryou simulate history (.+)$", README, re.MULTILINE)[1])
    said = dict(zip(words[::2], words[1::2], strict=True))
    assert (said["--weeks"], said["--people"], said["--videos"]) == ("1", "100", str(len(real_videos())))


def test_what_the_readme_shows_of_a_screen_fits_on_one():
    shown = re.findall(r"^```text\n(.+?)^```$", README, re.MULTILINE | re.DOTALL)
    assert shown
    assert [line for each in shown for line in each.splitlines() if len(line) > 80] == []


def views_in(sample):
    """The rows of a printed table of parity, as gold/parity_summary has them."""
    views = []
    for line in sample.splitlines():
        if not line.startswith("│"):
            continue
        name, compared, different, because = (cell.strip().replace(",", "") for cell in line.strip("│").split("│"))
        if name:
            view = {"view": name, "compared": int(compared), "different": int(different)}
            views.append(view | dict.fromkeys(CAUSES, 0))
        if because:
            count, cause = because.split()
            views[-1][cause] = int(count)
    return tuple(view for view in views if view["view"] != "all")


def test_what_the_readme_shows_of_parity_is_what_the_command_prints():
    (sample,) = re.findall(r"^```text\n(Parity of .+?)^```$", README, re.MULTILINE | re.DOTALL)
    views, out = views_in(sample), io.StringIO()
    day = date.fromisoformat(re.match(r"Parity of (\S+):", sample)[1])
    show(Report(day, views, ()), Console(file=out, width=80))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == sample.splitlines()
    assert [view["view"] for view in views] == sorted(VIEWS)
    assert not any(view[cause] for view in views for cause in WRONG)
    assert all(f"`{cause}`" in README for cause in WRONG)


def test_what_the_readme_writes_into_the_repository_is_ignored_by_git():
    folders = set(re.findall(r"^foryou .+ --out ([a-z]+)$", README, re.MULTILINE))
    assert folders == {"past", "weeks"}
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {f"/{folder}/" for folder in folders} <= set(ignored)


def test_the_readme_says_what_the_night_needs_after_a_demo_that_ended():
    before = README.partition("\nforyou simulate --people")[0].rpartition("**Run the night**")[2]
    assert "`make demo ARGS=--once`" in before and "`foryou up`" in before
