"""Stages that add what is known: about the viewer to the query, about videos to the candidates."""
