"""Where a record lives: decided from the record alone, by its app, else by its region, else at home."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HOME = "home"


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
