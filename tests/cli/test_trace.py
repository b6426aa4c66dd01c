"""`foryou trace`: what it prints is never cut short, offsets least of all."""

import pytest
from rich.console import Console

from foryou.cli import screen
from foryou.cli.trace import Hop, Trace, show

AT = 1_795_000_000_123
TILE = {"tile_ms": 60_000, "tile_start": AT, "salt": 3, "epoch": 1, "n": 17}
HOPS = (
    Hop("accepted", AT, "events.action.v1[11]@1234567890", {"event_type": "view_end", "received_at": AT}),
    Hop("tile video_engagement_v1", AT + 700, "features.video_engagement.v1[11]@1234567890", TILE),
)
TRACE = Trace("0190f7a2-7c3b-7d1e-9a5f-1a2b3c4d5e6f", HOPS, ())


@pytest.mark.parametrize("width", [80, 100])
def test_in_a_narrow_terminal_it_is_folded(width, monkeypatch, capsys):
    monkeypatch.setattr(screen, "wide", lambda: Console(width=width))
    show(TRACE, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert "…" not in "".join(lines) and max(map(len, lines)) <= width
    begin, end = lines[1].index("where"), lines[1].index("detail")
    assert "".join(line[begin:end].strip() for line in lines[2:]) == "".join(hop.where for hop in HOPS)


def test_in_a_pipe_each_hop_is_a_line(capsys):
    show(TRACE, as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert lines == [
        ["accepted", "11:06:40.123", "0", HOPS[0].where, "event_type=view_end", f"received_at={AT}"],
        ["tile", "video_engagement_v1", "11:06:40.823", "700", HOPS[1].where, *(f"{k}={v}" for k, v in TILE.items())],
    ]
