"""`python -m foryou.analytics.replace --home H --day D --cut-off MS`; the last line says what it wrote, as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import date

import httpx

from foryou.analytics.access import WRITER
from foryou.service.settings import Settings

TIMEOUT_S = 3_600.0


def main() -> int:
    """Returns the exit status: 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="foryou.analytics.replace", description=__doc__)
    parser.add_argument("--home", help="FORYOU_HOME of the stack")
    parser.add_argument("--day", required=True, type=date.fromisoformat, help="the day to replace, YYYY-MM-DD (UTC)")
    parser.add_argument("--cut-off", required=True, type=int, help="batch has all that was received before, UTC ms")
    options = parser.parse_args()
    settings = Settings.load({**os.environ, **({"FORYOU_HOME": options.home} if options.home else {})})
    asked = {"day": options.day.isoformat(), "cut_off": str(options.cut_off)}
    key = {"X-ClickHouse-User": WRITER, "X-ClickHouse-Key": settings.clickhouse_key}
    try:
        url = f"{settings.url('analytics')}/admin/replace"
        answer = httpx.post(url, params=asked, headers=key, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        print(f"{settings.url('analytics')} does not answer: {error!r}", file=sys.stderr)
        return 1
    if answer.status_code != 200:
        print(answer.text, file=sys.stderr)
        return 1
    print(json.dumps(answer.json()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
