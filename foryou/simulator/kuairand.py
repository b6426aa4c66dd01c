"""KuaiRand-Pure as columns: the real videos and people that the catalogue is grown from (CC BY-SA 4.0)."""

import csv
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foryou.simulator.words import GENRE_OF_TAG, GENRES, UNTAGGED

FOLDER = Path(__file__).resolve().parents[2] / "data" / "kuairand_pure"

# How often somebody of a degree opens the app, beside a fully active person. Our reading of the degree's name.
ACTIVITY = {"full_active": 1.0, "high_active": 0.6, "2_14_day_new": 0.5, "middle_active": 0.35, "low_active": 0.15}


@dataclass(frozen=True)
class RealVideos:
    """7,583 rows. `duration_ms` is 0 where the table has none."""

    video_id: list[str]
    author: NDArray[np.int64]
    advert: NDArray[np.bool_]
    upload_day_ms: NDArray[np.int64]
    duration_ms: NDArray[np.int64]
    music: list[str]
    genre: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.video_id)


@dataclass(frozen=True)
class RealPeople:
    """27,285 rows; a person's id is the row number, as in the table."""

    activity: NDArray[np.float64]
    author: NDArray[np.bool_]
    follows: NDArray[np.int64]
    fans: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.activity)


def _columns(path: Path) -> dict[str, list[str]]:
    with gzip.open(path, "rb") as packed:
        rows = csv.reader(io.TextIOWrapper(packed, "utf-8", newline=""))
        header = next(rows)
        return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


def _day_ms(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1_000)


def _each(column: list[str], read: Callable[[str], int]) -> NDArray[np.int64]:
    known = {word: read(word) for word in set(column)}
    return np.array([known[word] for word in column], dtype=np.int64)


def _genre(tags: str) -> int:
    first = tags.split(",")[0]  # comma-joined tags: the first is the main one
    return GENRES.index(GENRE_OF_TAG[int(first)] if first else UNTAGGED)


def real_videos(folder: Path = FOLDER) -> RealVideos:
    """Reads the video table. Raises FileNotFoundError where the repository's data folder is missing."""
    table = _columns(folder / "video_features_basic_pure.csv.gz")
    return RealVideos(
        video_id=table["video_id"],
        author=_each(table["author_id"], int),
        advert=np.array(table["video_type"]) == "AD",
        upload_day_ms=_each(table["upload_dt"], _day_ms),
        duration_ms=_each(table["video_duration"], lambda text: int(float(text or 0))),
        music=table["music_id"],
        genre=_each(table["tag"], _genre),
    )


def real_people(folder: Path = FOLDER) -> RealPeople:
    """Reads the user table; people whose degree is unknown count as middling."""
    table = _columns(folder / "user_features_pure.csv.gz")
    return RealPeople(
        activity=np.array([ACTIVITY.get(degree, 0.35) for degree in table["user_active_degree"]]),
        author=np.array(table["is_video_author"]) == "1",
        follows=_each(table["follow_user_num"], int),
        fans=_each(table["fans_user_num"], int),
    )
