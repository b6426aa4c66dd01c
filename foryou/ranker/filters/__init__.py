"""Stages that remove what must not be shown. The laws of the feed live here."""
