"""The notebook tells a day on the stack, from the first cell to the last."""

from dataclasses import replace

import clickhouse_connect
import nbformat
import pytest
from nbclient import NotebookClient

from foryou.service.settings import REPO, Settings

from ..lanes import until
from .test_feed import App

NOTEBOOK = REPO / "notebooks" / "a_day_in_the_feed.ipynb"
VIDEOS = range(12)
VIEWERS = range(5)


def executed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """The notebook after a run in a fresh kernel, in its own folder, on the stack of `settings`. A cell that raises
    raises here."""
    for name, value in settings.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MPLBACKEND", raising=False)  # a kernel draws into the notebook
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    here = {"metadata": {"path": str(NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=here).execute()
    return notebook


def figures(notebook: nbformat.NotebookNode) -> int:
    return sum(
        "image/png" in output.get("data", {})
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )


def printed(notebook: nbformat.NotebookNode) -> str:
    return "".join(
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )


@pytest.fixture
def app(stack) -> App:
    """An app whose day is in ClickHouse: some people watched some videos of known categories, in sessions."""
    app = App(stack.settings)
    app.publish(VIDEOS)
    videos = [app.video(number) for number in VIDEOS]
    until("the videos are blended", lambda: app.blended(videos))
    app.post(*(event for viewer in VIEWERS for video in videos for event in watched(app, viewer, video)))
    analyst = clickhouse_connect.get_client(host=stack.settings.host, port=stack.settings.ports["analytics"])
    question = "SELECT count() FROM events WHERE event_type = 'view_end' AND startsWith(video_id, {tag:String})"
    until(
        "ClickHouse has the views",
        lambda: analyst.query(question, parameters={"tag": app.tag}).result_rows == [(len(VIEWERS) * len(videos),)],
    )
    return app


def watched(app: App, viewer: int, video: str) -> list[dict[str, object]]:
    who = {"user_id": f"{app.tag}-n{viewer}", "session_id": f"{app.tag}-s{viewer}", "video_id": video}
    long = {"watch_ms": 1_000 + 3_500 * viewer, "duration_ms": 15_000}
    return [who | {"event_type": "play_start"}, who | long | {"event_type": "view_end"}, who | {"event_type": "like"}]


def test_the_notebook_tells_a_day_of_the_stack(app, stack, monkeypatch):
    told = executed(stack.settings, monkeypatch)
    assert figures(told) >= 4
    assert f"stack: {stack.settings.home}" in printed(told)
    assert "events on this day" in printed(told)


def test_for_an_app_without_an_event_every_part_says_so(stack, tmp_path, monkeypatch):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "write_keys.json").write_text('{"fy_dev_nobody": {"app_id": "nobody"}}', "utf-8")
    (tmp_path / "store").symlink_to(stack.settings.home / "store")
    told = executed(replace(stack.settings, home=tmp_path), monkeypatch)
    assert figures(told) == 0
    assert printed(told).lower().count("nothing yet") >= 8
