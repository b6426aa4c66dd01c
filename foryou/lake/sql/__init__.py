"""The night's SQL, as files."""

from pathlib import Path

FOLDER = Path(__file__).parent
