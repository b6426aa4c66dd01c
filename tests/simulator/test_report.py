import io
import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from foryou.cli.demonstration import Evening, trouble, warnings
from foryou.cli.probes import Shown, TenLikes
from foryou.cli.report import WIDTH, Latencies, Report, counts_of, save, show
from foryou.cli.topic_ends import Ends
from foryou.simulator.arms import Arms, Enjoyment
from foryou.simulator.people import Diary
from foryou.simulator.percentiles import percentiles
from foryou.simulator.tally import Counted, Lanes, Others, Tally, equations

COUNTED = Counted(received=12_345_678, accepted=12_345_670, rejected=8, limited=0, letters=8)


def page(category: str) -> tuple[Shown, ...]:
    return tuple(Shown("a very long title that no column of this table can hold", category, "fresh") for _ in range(20))


@pytest.fixture
def report() -> Report:
    tally = Tally(sent=12_345_678, accepted=12_345_670, rejected=8, broken_made=8, late_made=70, duplicates_made=600)
    lanes = Lanes(accepted=12_345_670, rejected=8, clean=12_345_000, duplicate=600, late=70)
    joy = Enjoyment(0.5, 0.01, 200)
    return Report(
        command="foryou demo",
        began="2026-11-21T12:00:00+00:00",
        seconds={"people live": 75.0},
        videos=200_000,
        people=200,
        visits=12_345,
        pages=123_456,
        watched=1_234_567,
        counts=counts_of(tally, lanes),
        books=equations(tally, COUNTED, lanes),
        others=Others.beside(tally, COUNTED),
        latencies=Latencies(percentiles([1.0, 12_345.6]), percentiles([math.inf]), percentiles([])),
        fallbacks={},
        ten_likes=TenLikes("street-food", page("calm"), page("street-food"), 97.0, 106.0),
        arms=Arms(joy, joy, joy, joy, joy),
        memory_mb={"kafka": 300.0},
        addresses={"registry": "http://127.0.0.1:8081/apis/ccompat/v7", "kafka": "127.0.0.1:9092"},
        trouble=[],
        warnings=[],
        warm_up_s=15.0,
    )


def shown(report: Report) -> str:
    out = io.StringIO()
    show(report, Console(file=out, width=WIDTH))
    return out.getvalue()


def test_a_good_report_fits_a_hundred_columns_and_cuts_no_number(report):
    text = shown(report)
    assert max(map(len, text.splitlines())) <= WIDTH
    for number in ("12,345,678", "12,345,670", "12,345,000", "1,234,567", "0 → 20 of 20", "12,345.6"):
        assert number in text
    assert "✓ every equation holds" in text and "street-food" in text
    assert report.good


def test_a_hole_in_the_books_is_shown_and_the_report_is_not_good(report):
    lanes = Lanes(accepted=12_345_670, rejected=8, clean=12_344_999, duplicate=600, late=70)
    tally = Tally(sent=12_345_678, accepted=12_345_670, rejected=8, broken_made=8, late_made=70, duplicates_made=600)
    holed = replace(report, books=equations(tally, COUNTED, lanes))
    assert not holed.good
    assert "off by 1" in shown(holed) and "every equation holds" not in shown(holed)


def test_trouble_spoils_a_report_and_a_warning_does_not(report):
    assert not replace(report, trouble=["a feed was not answered"]).good
    warned = replace(report, warnings=["slow"])
    assert warned.good and "! slow" in shown(warned)


def test_events_of_others_have_a_line_of_their_own_and_the_report_says_so(report, tmp_path):
    assert "of others" not in shown(report)
    theirs = replace(report, others=Others(accepted=67, rejected=1_001))
    told = "1,068 events of others came in meanwhile (67 accepted, 1,001 rejected)"
    assert theirs.good
    assert told in " ".join(shown(theirs).split())
    assert told in save(theirs, tmp_path).read_text("utf-8")
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["others"] == {"accepted": 67, "rejected": 1_001}
    assert "1 event of others came in" in shown(replace(report, others=Others(1, 0)))


def test_a_report_is_saved_as_text_and_as_valid_json(report, tmp_path):
    text = save(report, tmp_path / "report").read_text("utf-8")
    assert "| accepted = clean + duplicate + late | 12,345,670 | 12,345,670 | ✓ holds |" in text
    saved = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert saved["good"] is True
    assert saved["latencies"]["freshness"]["p99"] is None, "JSON knows no infinity"
    assert all(each["holds"] for each in saved["books"])


def test_only_what_a_run_added_counts():
    topics = ("events.action.v1", "events.context.v1", "events.flagged.v1", "events.rejected.v1", "events.clean.v1")
    before = Ends(dict.fromkeys((*topics, "events.duplicate.v1", "events.late.v1"), 100))
    more = {"events.action.v1": 110, "events.context.v1": 103, "events.flagged.v1": 101, "events.clean.v1": 113}
    after = Ends({**before.records, **more})
    assert after.since(before) == Lanes(accepted=14, rejected=0, clean=13, duplicate=0, late=0, flagged=1)


def test_a_page_by_a_fallback_promised_nothing_and_is_told():
    same = page("calm")
    for fallback, wrong in ((None, True), ("features_late", False)):
        likes = TenLikes("street-food", same, same, 97.0, 106.0, fallback)
        evening = Evening(Diary(), [20.0], likes)
        assert any("ten likes" in each for each in trouble(Tally(), evening)) == wrong
        assert any("features_late" in each for each in warnings(Tally(), evening)) == (not wrong)
