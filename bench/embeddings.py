"""Which vectors find what people went on to like: ALS, item2vec, and what needs no vectors.

    python -m bench.embeddings --people 1000 --videos 10000 --seeds 1 2

Four weeks of the simulator's people (bench/history.py); the last day is held out. All models see the same days before.
"""

import argparse
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from bench.history import lived
from foryou.lake.embedding_evaluation import HeldOut, hold_out
from foryou.lake.embedding_rules import EmbeddingRules
from foryou.lake.embeddings import Liked, Vectors, Window, by_als, by_item2vec, strengths
from foryou.lake.recommendation_metrics import Quality, Score, quality
from foryou.lake.session import session

LAST = date(2026, 11, 20)


def rows_of(liking: Liked, past: pa.Table) -> NDArray[np.int32]:
    """The category of each video, as a number."""
    words = dict(zip(past["video_id"].to_pylist(), past["category"].to_pylist(), strict=True))
    names = [words[video] for video in liking.videos["video_id"].to_pylist()]
    return np.unique(names, return_inverse=True)[1].astype(np.int32)


def by_category(held: HeldOut, category: NDArray[np.int32]) -> Score:
    """What is popular in the categories that a person liked: how far one comes without vectors."""
    pairs = held.liking.pairs
    liked = np.zeros((held.liking.users.num_rows, int(category.max()) + 1))
    np.add.at(liked, (pairs["user"].to_numpy(), category[pairs["video"].to_numpy()]), pairs["strength"].to_numpy())
    people = held.liking.videos["people"].to_numpy()
    return lambda user: liked[user][category] * people


def one_seed(spark: SparkSession, seed: int, people: int, videos: int, rules: EmbeddingRules) -> dict[str, Quality]:
    """Every model on one seed's past, with the seconds that it took."""
    with TemporaryDirectory() as folder:
        past = lived(seed, LAST, people=people, videos=videos).clean
        pq.write_table(past, Path(folder) / "clean.parquet")
        held = hold_out(strengths(spark.read.parquet(folder), Window.of(LAST, rules), rules), rules)
    print(
        f"seed {seed}: {past.num_rows:,} events, {held.liking.pairs.num_rows:,} likings of "
        f"{held.liking.users.num_rows:,} people on {held.liking.videos.num_rows:,} videos"
    )
    frame = spark.createDataFrame(held.liking.pairs)
    found = {
        "random": quality(held.at_random(rules.seed), held.before, held.then, rules.k),
        "popular": quality(held.popular(), held.before, held.then, rules.k),
        "popular in liked categories": quality(
            by_category(held, rows_of(held.liking, past)), held.before, held.then, rules.k
        ),
    }
    learners: dict[str, Callable[[], Vectors]] = {
        "item2vec": lambda: by_item2vec(held.liking, rules, frame),
        "ALS": lambda: by_als(held.liking, rules, frame),
    }
    for name, learn in learners.items():
        started = time.perf_counter()
        vectors = learn()
        print(f"  {name}: {time.perf_counter() - started:.1f} s")
        found[name] = quality(held.of(vectors), held.before, held.then, rules.k)
    return found


def main() -> int:
    """Prints the table; 1 unless ALS beats popularity in every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    rules, spark = EmbeddingRules.load(), session("bench embeddings")
    found = [one_seed(spark, seed, asked.people, asked.videos, rules) for seed in asked.seeds]
    print(f"{'':<28}" + "".join(f"   recall@{rules.k}  NDCG@{rules.k}" for _ in asked.seeds))
    for name in found[0]:
        print(f"{name:<28}" + "".join(f"   {each[name].recall:9.4f}  {each[name].ndcg:7.4f}" for each in found))
    return int(any(each["ALS"].recall <= each["popular"].recall for each in found))


if __name__ == "__main__":
    raise SystemExit(main())
