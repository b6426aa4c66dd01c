"""foryou: the open data platform behind a short-video feed, joined on one event id and one clock."""

__version__ = "0.1.0"
