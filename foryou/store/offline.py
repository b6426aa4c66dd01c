"""Feast's offline store over the lake: `get_historical_features` of the tile views, from gold's tiles, as of each row.

What was known at a moment is said in `foryou.features.point_in_time`. A plain view (pushed by an app's backend) has a
file as its source and is Feast's own file store's matter: this class is that store, with the tile views on top.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from feast import FeatureView, RepoConfig
from feast.infra.offline_stores.dask import DaskOfflineStore, DaskOfflineStoreConfig
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.infra.registry.base_registry import BaseRegistry

from foryou.features.definitions import VIEWS
from foryou.features.spec import View
from foryou.lake.delta_files import DeltaUnreadable
from foryou.lake.past_features import features_at
from foryou.lake.tables import Lake

_TYPES = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "list_string": pa.list_(pa.string()),
    "list_float64": pa.list_(pa.float64()),
}


class TileOfflineStoreConfig(DaskOfflineStoreConfig):  # type: ignore[misc]
    """`offline_store:` in feature_store.yaml."""

    type: Literal["foryou.store.offline.TileOfflineStore"] = "foryou.store.offline.TileOfflineStore"
    lake: str  # the lake's folder, FORYOU_HOME/lake; a relative one is seen from the repository of features


class TileRetrievalJob(RetrievalJob):  # type: ignore[misc]
    """Reads when it is asked for the result."""

    def __init__(
        self, entity_df: pd.DataFrame, asked: list[_Asked], others: RetrievalJob | None, full_feature_names: bool
    ) -> None:
        self._entity_df = entity_df
        self._asked = asked
        self._others = others
        self._full_feature_names = full_feature_names
        names = [f"{one.view.full_name}:{name}" for one in asked for name in one.features]
        moments = entity_df[asked[0].time_column] if len(entity_df) else pd.Series([], dtype="datetime64[ns, UTC]")
        self._metadata = RetrievalMetadata(
            features=names,
            keys=[str(name) for name in entity_df.columns],
            min_event_timestamp=moments.min() if len(moments) else None,
            max_event_timestamp=moments.max() if len(moments) else None,
        )

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[Any]:
        return []

    @property
    def metadata(self) -> RetrievalMetadata:
        return self._metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        table = pa.Table.from_pandas(self._entity_df, preserve_index=False)
        for one in self._asked:
            for name, values in one.columns(self._entity_df).items():
                table = table.append_column(name, values)
        if self._others is not None:
            found = self._others.to_arrow()
            order = np.argsort(found[_ROW].to_numpy(), kind="stable")  # Feast's file store sorts by time
            found = found.take(pa.array(order))
            for name in found.column_names:
                if name not in table.column_names:
                    table = table.append_column(name, found[name])
        return table.drop_columns([_ROW]) if _ROW in table.column_names else table

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()


class TileOfflineStore(DaskOfflineStore):  # type: ignore[misc]
    """Tile views from the lake, everything else as Feast's file store does it."""

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **kwargs: Any,
    ) -> RetrievalJob:
        """A job whose rows are those of `entity_df`, in its order, with a column per feature.

        Raises ValueError when the rows are no data frame, lack a key, or the view has no tiles yet.
        """
        tiled = [view for view in feature_views if view.name in VIEWS]
        plain = [view for view in feature_views if view.name not in VIEWS]
        ours, theirs = _refs_of(tiled, feature_refs), _refs_of(plain, feature_refs)
        if not tiled:
            job: RetrievalJob = DaskOfflineStore.get_historical_features(
                config, plain, feature_refs, entity_df, registry, project, full_feature_names, **kwargs
            )
            return job
        if not isinstance(entity_df, pd.DataFrame):
            raise ValueError("tile views are read for rows of a data frame: keys and an event_timestamp")
        time_column = infer_event_timestamp_from_entity_df(dict(zip(entity_df.columns, entity_df.dtypes, strict=True)))
        lake = Lake(_folder(config))
        asked = [
            _Asked(lake, VIEWS[view.name], view, time_column, ours[view.name], full_feature_names) for view in tiled
        ]
        others = None
        if plain:
            entity_df = entity_df.assign(**{_ROW: range(len(entity_df))})
            refs = [ref for view in plain for ref in _full(view, theirs)]
            others = DaskOfflineStore.get_historical_features(
                config, plain, refs, entity_df, registry, project, full_feature_names, **kwargs
            )
        for one in asked:
            one.check(entity_df)
        return TileRetrievalJob(entity_df, asked, others, full_feature_names)


class _Asked:
    """The features of one view that are asked for."""

    def __init__(
        self, lake: Lake, view: View, seen: FeatureView, time_column: str, features: list[str], full_names: bool
    ) -> None:
        self.view = view
        self.features = features
        self.time_column = time_column
        self._lake = lake
        renamed = seen.projection.join_key_map
        self._keys = [renamed.get(key, key) for key in ("app_id", view.entity)]
        self._prefix = f"{seen.projection.name_to_use()}__" if full_names else ""

    def check(self, entity_df: pd.DataFrame) -> None:
        lacking = [key for key in self._keys if key not in entity_df.columns]
        if lacking:
            raise ValueError(f"{self.view.full_name} is read by {' and '.join(self._keys)}: {lacking[0]} is missing")

    def columns(self, entity_df: pd.DataFrame) -> dict[str, pa.Array]:
        """A column per feature, in the order of the rows. Null for an empty list, as the online store gives it."""
        moments = pd.to_datetime(entity_df[self.time_column], utc=True).astype("datetime64[ms, UTC]").astype("int64")
        rows = list(zip(*(entity_df[key].tolist() for key in self._keys), moments.tolist(), strict=True))
        try:
            values = features_at(self._lake, self.view, rows, self.features)
        except DeltaUnreadable as error:
            raise ValueError(f"{self.view.full_name} has no past yet: foryou nightly makes it ({error})") from error
        kinds = {feature.name: _TYPES[feature.dtype] for feature in self.view.features}
        return {
            f"{self._prefix}{name}": pa.array(
                [None if (value := values[row][name]) == [] else value for row in rows], kinds[name]
            )
            for name in self.features
        }


_ROW = "__row"


def _folder(config: RepoConfig) -> Path:
    folder = Path(os.path.expandvars(config.offline_store.lake)).expanduser()
    return folder if folder.is_absolute() else Path(config.repo_path or ".") / folder


def _refs_of(views: Iterable[FeatureView], refs: Iterable[str]) -> dict[str, list[str]]:
    """Names of the features asked for, per view."""
    by_alias = {view.projection.name_to_use(): view.name for view in views}
    found: dict[str, list[str]] = {name: [] for name in by_alias.values()}
    for ref in refs:
        alias, _, feature = ref.partition(":")
        alias = alias.partition("@")[0]
        if alias in by_alias:
            found[by_alias[alias]].append(feature)
    return found


def _full(view: FeatureView, refs: dict[str, list[str]]) -> list[str]:
    return [f"{view.projection.name_to_use()}:{name}" for name in refs[view.name]]
