"""What the night's vectors are worth to a viewer: simulated enjoyment of the next pages, with them and without.

    python -m bench.night_enjoyment --seeds 1 2 3

A made-up past (bench/history.py) gives the ranker, in this process, its catalogue, rates and features, and Spark
its rows to learn from. Then each person gets `--pages` pages at the end of the last day, by the same weights: once with
no vectors, once with. Joy is the simulator's truth, fatigue included; nothing of it is known to the ranker.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from bench.history import APP, Past, lived
from foryou.contract.schemas import field_names
from foryou.features import oracle
from foryou.features.definitions import VIEWS
from foryou.features.operations import DAY
from foryou.lake.embedding_night import learn
from foryou.lake.embedding_rules import EmbeddingRules
from foryou.lake.session import session
from foryou.lake.vector_version import publish
from foryou.ranker.pipeline import rank
from foryou.ranker.query import FeedRequest, Query
from foryou.ranker.rates import ENGAGEMENT
from foryou.ranker.user_features import UserFeatures
from foryou.ranker.vectors import Shown, load
from foryou.ranker.weights import Weights
from foryou.ranker.world import World
from foryou.simulator.words import HOMES

LAST = date(2026, 11, 20)
END_MS = ((LAST - date(1970, 1, 1)).days + 1) * DAY
PERSONS_VIEWS = (VIEWS["user_activity_v1"], VIEWS["user_category_v1"])
Row = dict[str, Any]


@dataclass(frozen=True)
class Joy:
    """Mean joy per person of one arm, and which sources the places came from."""

    each: dict[int, float]
    sources: dict[str, int]

    @property
    def mean(self) -> float:
        """Everybody counts once."""
        return float(np.mean(list(self.each.values())))


def world_of(past: Past, rows: Sequence[Row]) -> World:
    """The ranker's world at the end of the last day."""
    world, catalogue = World(), past.catalogue
    for row in range(len(catalogue)):
        event = catalogue.published(row)
        event["creator_key"] = f"uk_{event.pop('creator_id')}"
        world.catalogue.apply({"app_id": APP, "received_at": event["event_time"], **event})
    world.rates.advance(END_MS)
    today = [row for row in rows if row["time"] > END_MS - DAY]
    for entity, tiles in oracle.tiles(ENGAGEMENT, today).items():
        for (_, tile_ms, tile_start, salt), state in tiles.items():
            head = {"app_id": entity[0], "video_id": entity[1], "salt": salt, "tile_ms": tile_ms}
            version = {"epoch": 1, "n": state.n, "last_ms": state.last_ms, "tile_start": tile_start}
            measures = {m.name: value for m, value in zip(ENGAGEMENT.measures, state.measures, strict=True)}
            world.rates.apply(head | version | measures)
    world.restock(Weights.load(), END_MS)
    return world


def features_of(rows: Sequence[Row], user_key: str) -> UserFeatures:
    """What the store would say of a person."""
    values: dict[str, Any] = {}
    for view in PERSONS_VIEWS:
        found = oracle.features(view, rows, (APP, user_key), END_MS - 1)
        values |= {name: value for name, value in found.items() if value is not None}
    return UserFeatures(END_MS, values)


def live(past: Past, world: World, by_person: dict[int, UserFeatures], weights: Weights, pages: int) -> Joy:
    """Everybody's next pages."""
    joys, sources = {}, dict[str, int]()
    for person, features in by_person.items():
        region, language, _ = HOMES[past.population.home[person]]
        shown: list[int] = []
        key = f"uk_{past.population.user_id(person)}"
        for page in range(pages):
            request = FeedRequest(APP, key, 10, f"{person}-{page}", END_MS, region, language)
            items = rank(Query(request, world, weights, features, world.vectors)).items
            rows = [past.catalogue.row_of(item.video_id) for item in items]
            world.viewers.mark_served(key, [world.catalogue.find(item.video_id) for item in items])
            shown += [row for row in rows if row is not None]
            for item in items:
                sources[item.source] = sources.get(item.source, 0) + 1
        joys[person] = float(np.mean(past.truth.of_sequence(person, shown)))
    return Joy(joys, sources)


def one_seed(spark: SparkSession, seed: int, asked: argparse.Namespace) -> dict[str, Joy]:
    """Every arm for one seed's people."""
    past = lived(seed, LAST, people=asked.people, videos=asked.videos, a_day=asked.a_day)
    everything = dict.fromkeys(field_names("clean"))
    rows = [everything | row for row in past.clean.to_pylist()]
    with TemporaryDirectory() as folder:
        pq.write_table(past.clean, Path(folder) / "clean.parquet")
        learnt = learn(spark, spark.read.parquet(folder), LAST, EmbeddingRules.load())
        assert learnt is not None
        models = Path(folder) / "models"
        version = publish(models, learnt.tables, learnt.metrics, learnt.inputs)
        vectors = load(models, version)[APP]
    asking = sorted(past.people.tolist())[: asked.viewers]
    mine: dict[str, list[Row]] = {f"uk_{past.population.user_id(person)}": [] for person in asking}
    for row in rows:
        if row["user_key"] in mine:
            mine[row["user_key"]].append(row)
    by_person = {person: features_of(rows, key) for person, (key, rows) in zip(asking, mine.items(), strict=True)}
    plain, found = Weights.load(), {}
    world = world_of(past, rows)
    for arm in ("without", *(f"taste {weight:g}" for weight in asked.taste)):
        world.viewers = type(world.viewers)()
        for key, seen in mine.items():
            world.viewers.mark_served(key, sorted({world.catalogue.find(row["video_id"]) for row in seen}))
        world.vectors = None if arm == "without" else Shown.beside(vectors, world.catalogue)
        taste = 0.0 if arm == "without" else float(arm.split()[1])
        found[arm] = live(past, world, by_person, replace(plain, terms=replace(plain.terms, taste=taste)), asked.pages)
    return found


def main() -> int:
    """Prints a table; 1 unless the published weights with vectors are worth more than without, over all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--viewers", type=int, default=120, help="of the people, who ask for pages")
    parser.add_argument("--videos", type=int, default=12_000)
    parser.add_argument("--a-day", type=float, default=15, help="videos that a person saw on a day of the past")
    parser.add_argument("--pages", type=int, default=3)
    parser.add_argument("--taste", type=float, nargs="+", default=[Weights.load().terms.taste], help="weights to try")
    asked = parser.parse_args()
    spark = session("bench night enjoyment")
    found = [one_seed(spark, seed, asked) for seed in asked.seeds]
    for arm in found[0]:
        leads = [[each[arm].each[person] - joy for person, joy in each["without"].each.items()] for each in found]
        lead = np.concatenate([np.array(of_seed) for of_seed in leads])
        half = 1.96 * lead.std(ddof=1) / np.sqrt(len(lead))
        means = "  ".join(f"{each[arm].mean:.4f}" for each in found)
        print(f"{arm:<12} {means}   lead {lead.mean():+.4f} ± {half:.4f}   {found[0][arm].sources}")
    last = f"taste {asked.taste[-1]:g}"
    return int(np.mean([each[last].mean - each["without"].mean for each in found]) <= 0)


if __name__ == "__main__":
    raise SystemExit(main())
