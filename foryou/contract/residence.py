"""Where a record lives: decided from the record alone, by its app, else by its region, else at home."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from foryou.contract.events import Lane
from foryou.contract.topics import FLAGGED, REJECTED, TOPICS, Topic

HOME = "home"
INTAKE = (*(lane.value for lane in Lane), FLAGGED, REJECTED)  # what the collector writes


def elsewhere(suffix: str) -> dict[str, Topic]:
    """The collector's topics under the names that they have for a residence with that suffix."""
    return {name + suffix: replace(TOPICS[name], name=name + suffix) for name in INTAKE}


@dataclass(frozen=True, slots=True)
class Residency:
    """Residence by app, and by region (ISO 3166, upper case). The app goes before: of it everything is told, of a
    region only what names one, which dead letters and some account events do not.
    """

    apps: Mapping[str, str] = field(default_factory=dict)
    regions: Mapping[str, str] = field(default_factory=dict)

    def of(self, record: Mapping[str, Any]) -> str:
        """The residence of a record of any of the collector's topics."""
        found = self.apps.get(record.get("app_id", ""))
        if found is not None:
            return found
        region = record.get("region")
        if region is None or not self.regions:
            return HOME
        return self.regions.get(region.partition("-")[0].upper(), HOME)  # DE, de, DE-BY
