"""Vectors of users, videos and creators, learnt from what people did in the last weeks.

The result is a pure function of the rows: ids are numbered in order, the ratings come in one sorted partition, blocks
and seeds are fixed, and vectors are rounded to `DIGITS` decimals.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.ml.feature import Word2Vec
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from foryou.lake.embedding_rules import EmbeddingRules
from foryou.lake.signal_strengths import CONDITIONS

DIGITS = 5
USER, VIDEO, CREATOR = ("app_id", "user_key"), ("app_id", "video_id"), ("app_id", "creator_key")
_THOUSANDTHS = 1000
Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """The days that are learnt from; those after `cut` are held out when figures are measured."""

    first: date
    cut: date
    last: date

    @classmethod
    def of(cls, day: date, rules: EmbeddingRules) -> Window:
        """The window that ends with `day`."""
        return cls(day - timedelta(days=rules.days - 1), day - timedelta(days=rules.held_out_days), day)


@dataclass(frozen=True)
class Liked:
    """Who liked what how much: `pairs` has user and video (numbers of the two tables' rows), strength and time.

    `users` (app_id, user_key) and `videos` (app_id, video_id, creator_key, people) are sorted by their keys.
    """

    users: pa.Table
    videos: pa.Table
    pairs: pa.Table


@dataclass(frozen=True)
class Vectors:
    """One float32 row per row of `Liked.users` and of `Liked.videos`; zeros where nothing was learnt."""

    users: Matrix
    videos: Matrix


def strengths(clean: DataFrame, window: Window, rules: EmbeddingRules) -> pa.Table:
    """What people cared for in the window, once per (app_id, user_key, video_id, held_out, creator_key) and sorted by
    these: a creator is a word on the video, and who has heard two has two rows.

    Also `weight` (thousandths) and `time` of the newest such event (UTC ms). Flagged rows count for nothing.
    """
    weight = f.lit(0.0)
    for name, value in rules.weights.items():
        weight = weight + f.when(f.expr(CONDITIONS[name]), value).otherwise(0.0)
    within = f.col("day").between(f.lit(window.first), f.lit(window.last))
    keys = ("app_id", "user_key", "video_id", "held_out", "creator_key")
    found: pa.Table = (
        clean.where(within & ~f.col("flagged") & f.col("video_id").isNotNull())
        .withColumn("held_out", f.col("day") > f.lit(window.cut))
        .withColumn("weight", f.round(weight * _THOUSANDTHS).cast("bigint"))
        .where("weight > 0")
        .groupBy(*keys)
        .agg(f.sum("weight").alias("weight"), f.max("time").alias("time"))
        .sort(*keys)
        .toArrow()
    )
    return found.combine_chunks()


def liked(found: pa.Table, rules: EmbeddingRules) -> Liked:
    """Strengths as numbers. Videos of fewer than `least_people` are left out, and who liked nothing else."""
    user, video = numbers(found, USER), numbers(found, VIDEO)
    first = np.flatnonzero(_changes(user, video))  # a pair may have rows from before the cut and from after
    people = np.bincount(video[first])
    kept = people[video] >= rules.least_people if len(video) else np.zeros(0, np.bool_)
    found, time = found.filter(pa.array(kept)), found["time"].to_numpy()[kept]
    user, video = numbers(found, USER), numbers(found, VIDEO)
    first = np.flatnonzero(_changes(user, video))
    weight = np.add.reduceat(found["weight"].to_numpy(), first) if len(first) else np.zeros(0)
    strength = np.minimum(weight / _THOUSANDTHS, rules.most_strength)
    pairs = {
        "user": user[first],
        "video": video[first],
        "strength": strength.astype(np.float32),
        "time": np.maximum.reduceat(time, first) if len(first) else time,
    }
    videos = _newest_words(found, video, time)
    videos = videos.append_column(
        "people", pa.array(np.bincount(pairs["video"], minlength=videos.num_rows), pa.int64())
    )
    return Liked(found.select(USER).take(_firsts(user)), videos, pa.table(pairs))


def numbers(rows: pa.Table, columns: tuple[str, str]) -> NDArray[np.int32]:
    """The number of each row's key among the different ones, in order of their sorting."""
    codes, words = zip(*(_coded(rows[name]) for name in columns), strict=True)
    merged = codes[0].astype(np.int64) * max(1, len(words[1])) + codes[1]
    return np.unique(merged, return_inverse=True)[1].astype(np.int32)


def _coded(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], pa.Array]:
    """Codes in the order of the sorted words."""
    coded = pc.dictionary_encode(column).combine_chunks()
    order = pc.sort_indices(coded.dictionary).to_numpy()
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return place[coded.indices.to_numpy()] if len(order) else np.zeros(0, np.int32), coded.dictionary


def _changes(user: NDArray[np.int32], video: NDArray[np.int32]) -> NDArray[np.bool_]:
    new = np.ones(len(user), np.bool_)
    new[1:] = (user[1:] != user[:-1]) | (video[1:] != video[:-1])
    return new


def _firsts(number: NDArray[np.int32]) -> NDArray[np.intp]:
    """The first row of each number."""
    return np.unique(number, return_index=True)[1]


def _newest_words(found: pa.Table, video: NDArray[np.int32], time: NDArray[np.int64]) -> pa.Table:
    """(app_id, video_id, creator_key) per video number: the newest creator that anyone's row names."""
    said = found["creator_key"].is_valid().to_numpy(zero_copy_only=False)
    order = np.lexsort((time, said, video))  # a row that says nothing counts least, then the oldest
    last = np.append(np.flatnonzero(np.diff(video[order])), len(order) - 1) if len(order) else order
    return found.select([*VIDEO, "creator_key"]).take(order[last])


def by_als(liking: Liked, rules: EmbeddingRules, spark_frame: DataFrame) -> Vectors:
    """Implicit ALS (Hu, Koren, Volinsky 2008): user · video is near 1 where liking is likely.

    `spark_frame` is `liking.pairs` as a DataFrame.
    """
    als = ALS(
        rank=rules.dims,
        maxIter=rules.als.iterations,
        regParam=rules.als.regularisation,
        alpha=rules.als.alpha,
        numUserBlocks=rules.als.blocks,
        numItemBlocks=rules.als.blocks,
        implicitPrefs=True,
        userCol="user",
        itemCol="video",
        ratingCol="strength",
        seed=rules.seed,
    )
    model = als.fit(spark_frame.coalesce(1).sortWithinPartitions("user", "video"))
    users = _dense(model.userFactors.toArrow(), liking.users.num_rows, rules.dims)
    return Vectors(users, _dense(model.itemFactors.toArrow(), liking.videos.num_rows, rules.dims))


def _dense(factors: pa.Table, rows: int, dims: int) -> Matrix:
    matrix = np.zeros((rows, dims), np.float32)
    values = factors["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    matrix[factors["id"].to_numpy()] = values.reshape(-1, dims)
    return np.round(matrix, DIGITS) + np.float32(0.0)  # no −0


def by_item2vec(liking: Liked, rules: EmbeddingRules, spark_frame: DataFrame) -> Vectors:
    """Word2Vec over each person's liked videos in order of time; a person is the mean of theirs. All of length 1."""
    words = f.transform(f.array_sort(f.collect_list(f.struct("time", "video"))), lambda at: at["video"].cast("string"))
    enough = spark_frame.where(f.col("strength") >= rules.item2vec.least)
    sentences = enough.groupBy("user").agg(words.alias("words")).coalesce(1).sortWithinPartitions("user")
    word2vec = Word2Vec(
        vectorSize=rules.dims,
        minCount=1,
        numPartitions=1,
        windowSize=rules.item2vec.window,
        maxIter=rules.item2vec.iterations,
        maxSentenceLength=10_000,
        seed=rules.seed,
        inputCol="words",
        outputCol="vector",
    )
    learnt = word2vec.fit(sentences).getVectors().collect()
    videos = np.zeros((liking.videos.num_rows, rules.dims), np.float32)
    for row in learnt:
        videos[int(row["word"])] = row["vector"].toArray()
    videos = np.round(unit(videos), DIGITS)
    users = np.zeros((liking.users.num_rows, rules.dims), np.float64)
    columns = {name: liking.pairs[name].to_numpy() for name in ("user", "video", "strength")}
    np.add.at(users, columns["user"], videos[columns["video"]] * columns["strength"][:, None])
    return Vectors(np.round(unit(users), DIGITS), videos)


def unit(matrix: NDArray[np.floating]) -> Matrix:
    """Rows scaled to length 1; zeros stay zeros."""
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    return (matrix / np.where(length > 0, length, 1)).astype(np.float32)


def creators_of(liking: Liked, videos: Matrix) -> tuple[pa.Table, Matrix]:
    """(app_id, creator_key) sorted, and the mean of their videos' vectors weighted by people, scaled to length 1."""
    known = liking.videos["creator_key"].is_valid().to_numpy(zero_copy_only=False)
    mine = liking.videos.filter(pa.array(known))
    creator = numbers(mine, CREATOR)
    creators = mine.select(CREATOR).take(_firsts(creator))
    sums = np.zeros((creators.num_rows, videos.shape[1]), np.float64)
    np.add.at(sums, creator, videos[known].astype(np.float64) * mine["people"].to_numpy()[:, None])
    return creators, np.round(unit(sums), DIGITS)
