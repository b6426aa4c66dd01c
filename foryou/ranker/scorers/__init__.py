"""Stages that score."""
