"""The door of the feed: who asks, for whom, how much; a page or a problem. And what that person consents to."""

import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

import msgspec

from foryou.contract.consent import Purpose
from foryou.contract.identity import Identity
from foryou.contract.ids import uuid7
from foryou.ranker.pipeline import IMPERSONAL, PIPELINE, Page, Pipeline, rank
from foryou.ranker.query import FeedRequest, Query
from foryou.ranker.side_effects.served_log import ServedLog
from foryou.ranker.side_effects.served_record import served_record
from foryou.ranker.user_features import FeatureReader, FeaturesUnavailable, UserFeatures
from foryou.ranker.weights import Weights
from foryou.ranker.world import Worlds
from foryou.service.callers import Callers, require
from foryou.service.keys import Caller, Scope
from foryou.service.metrics import Metrics
from foryou.service.problem import Problem
from foryou.service.tokens import DEFAULT_TTL_S, FEED, MAX_TTL_S, Tokens
from foryou.service.web import Request, Response, json_response

MAX_LIMIT = 50
DEFAULT_LIMIT = 10
CONTEXT = ("network", "device", "os", "app_version", "locale", "region", "language")  # may be said; logged as said
TRENDING = "trending"  # the fallback: the viewer's features could not be read
NOT_PERSONALISED = "not_personalised"  # the viewer has not agreed to it: trends, uploads, chance; no features are read
_ID = re.compile(r"[^\x00-\x1f\x7f|\ufffd]{1,128}")
_WORD = re.compile(r"[^\x00-\x1f\x7f\ufffd]{0,64}")
MAX_TOKEN_BODY = 4_096


class _Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a service asks for at /v1/tokens."""

    user_id: str | None = None
    device_id: str | None = None
    ttl_s: Annotated[int, msgspec.Meta(ge=1, le=MAX_TTL_S)] = DEFAULT_TTL_S


class FeedDoor:
    """GET /v1/feed. Ranking takes milliseconds and runs in the event loop, so two pages of a viewer cannot cross."""

    def __init__(
        self,
        callers: Callers,
        tokens: Tokens,
        identity: Identity,
        worlds: Worlds,
        features: FeatureReader,
        served: ServedLog,
        weights: Weights,
        metrics: Metrics,
        waiting_for: Callable[[], list[str]] = list,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        pipeline: Pipeline = PIPELINE,
    ) -> None:
        self._callers, self._tokens, self._identity = callers, tokens, identity
        self._worlds, self._features, self._served = worlds, features, served
        self._weights, self._metrics, self._pipeline = weights, metrics, pipeline
        self._waiting_for, self._clock_ms = waiting_for, clock_ms

    async def get_feed(self, request: Request) -> Response:
        """A page of 1 to 50 items; fewer than asked for when the viewer has seen all the rest."""
        started = time.perf_counter()
        asked = self._parse(request, self._callers.authenticate(request.headers, FEED))
        self._refuse_when_waiting()
        world = self._worlds[asked.app_id]
        agreed = partial(world.consents.to, Purpose.PERSONALISATION)
        features, fallback = await self._read_features(asked) if agreed(asked.user_key) else (None, NOT_PERSONALISED)
        if not agreed(asked.user_key):  # perhaps while the features were read
            features, fallback = None, NOT_PERSONALISED
        if world.shelves is None:
            world.restock(self._weights, asked.now_ms)
        # From here to mark_served nothing awaits: the same viewer's next request sees this page as seen.
        personal = fallback != NOT_PERSONALISED
        query = Query(asked, world, self._weights, features, world.vectors if personal else None)
        page = rank(query, self._pipeline if personal else IMPERSONAL)
        world.viewers.mark_served(asked.user_key, page.rows.tolist())
        self._served.put(served_record(query, page, fallback))
        self._count(page, fallback)
        if world.rates.newest_ms:
            age_s = max(0, asked.now_ms - world.rates.newest_ms) / 1000
            self._metrics.histogram("foryou_ranker_freshness_seconds").observe(age_s)
        self._metrics.histogram("foryou_ranker_feed_seconds").observe(time.perf_counter() - started)
        return json_response(200, _answer(asked, page, fallback, query.model_version))

    async def _read_features(self, asked: FeedRequest) -> tuple[UserFeatures | None, str | None]:
        started = time.perf_counter()
        try:
            return await self._features.read(asked.app_id, asked.user_key, asked.now_ms), None
        except FeaturesUnavailable:
            self._metrics.counter("foryou_ranker_feature_misses_total", view="ranking_v1").inc()
            return None, TRENDING
        finally:
            took = time.perf_counter() - started
            self._metrics.histogram("foryou_ranker_stage_seconds", stage="user_features").observe(took)

    def _count(self, page: Page, fallback: str | None) -> None:
        metrics = self._metrics
        metrics.counter("foryou_ranker_feeds_total", fallback=fallback or "none").inc()
        for source, count in page.brought.items():
            metrics.counter("foryou_ranker_candidates_total", source=source).inc(count)
        for filter_, rows in page.removed.items():
            metrics.counter("foryou_ranker_removed_total", filter=filter_).inc(len(rows))
        for stage, seconds in page.seconds.items():
            metrics.histogram("foryou_ranker_stage_seconds", stage=stage).observe(seconds)
        for item in page.items:
            metrics.counter("foryou_ranker_served_total", source=item.source).inc()
        if page.relaxed:
            metrics.counter("foryou_ranker_relaxed_total").inc(page.relaxed)

    def _refuse_when_waiting(self) -> None:
        waiting = self._waiting_for()
        if waiting:
            raise Problem(
                503,
                "Not available",
                f"the ranker waits for {', '.join(waiting)}",
                remedy="ask again after 1 s",
                reason="unavailable",
                headers=(("retry-after", "1"),),
                waiting_for=waiting,
            )

    async def post_tokens(self, request: Request) -> Response:
        """POST /v1/tokens: a token with which one person's phone may ask for that person's feed."""
        caller = require(self._callers.authenticate(request.headers, FEED), Scope.TOKENS_ISSUE)
        try:
            wish = msgspec.json.decode(request.body, type=_Wish)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            remedy = 'send {"user_id":"…","ttl_s":3600}, or device_id for a viewer without an account'
            raise _bad("$", str(error)[:200], remedy) from None
        said = {name: text for name in ("user_id", "device_id") if (text := getattr(wish, name)) is not None}
        viewer, now_s = self._viewer(caller.app_id, said), self._clock_ms() // 1_000
        made = {"token": self._tokens.issue(caller.app_id, viewer, FEED, now_s, wish.ttl_s)}
        return json_response(200, {**made, "expires_at": (now_s + wish.ttl_s) * 1_000})

    async def get_consent(self, request: Request) -> Response:
        """GET /v1/consent: what one person lets their data be used for, for whoever has to ask before using it."""
        caller = self._callers.authenticate(request.headers, FEED)
        viewer = self._allowed_viewer(caller, request.query())
        self._refuse_when_waiting()
        return json_response(200, self._worlds[caller.app_id].consents.standing(viewer))

    def _parse(self, request: Request, caller: Caller) -> FeedRequest:
        said = request.query()
        now_ms = self._clock_ms()
        context = {name: _word(name, said[name]) for name in CONTEXT if said.get(name)}
        return FeedRequest(
            app_id=caller.app_id,
            user_key=self._allowed_viewer(caller, said),
            limit=_limit(said.get("limit")),
            request_id=uuid7(now_ms),  # ours, not the client's x-request-id: it seeds chance and joins the log
            now_ms=now_ms,
            region=context.get("region"),
            language=context.get("language") or re.split("[-_]", context.get("locale", ""))[0] or None,
            context=context,
        )

    def _allowed_viewer(self, caller: Caller, said: Mapping[str, str]) -> str:
        """Whose feed it is. A token reads its own person's and names nobody else; a key needs the right to read all."""
        if caller.user_key is None:
            require(caller, Scope.FEED_READ)
            return self._viewer(caller.app_id, said)
        if "user_id" not in said and "device_id" not in said:
            return caller.user_key
        if self._viewer(caller.app_id, said) != caller.user_key:
            field = "user_id" if "user_id" in said else "device_id"
            remedy = f"leave {field} out, or ask with a token of that person's"
            told = "this token is for somebody else"
            raise Problem(403, "Not allowed", told, field, remedy, reason="another_user")
        return caller.user_key

    def _viewer(self, app_id: str, said: Mapping[str, str]) -> str:
        if "user_id" in said:
            return self._identity.user_key(app_id, _id("user_id", said["user_id"]))
        if "device_id" in said:
            return self._identity.device_key(app_id, _id("device_id", said["device_id"]))
        raise _bad("user_id", "there is no user_id", "send user_id=…, or device_id=… for a viewer without an account")


def _answer(asked: FeedRequest, page: Page, fallback: str | None, version: str) -> dict[str, Any]:
    items = [
        {
            "video_id": item.video_id,
            "impression_id": item.impression_id,
            "position": item.position,
            "creator_id": item.creator_key,
            "duration_ms": item.duration_ms,
            "category": item.category,
            "source": item.source,
            "score": round(item.score, 6),
        }
        for item in page.items
    ]
    return {"request_id": asked.request_id, "items": items, "fallback": fallback, "model_version": version}


def _bad(field: str, detail: str, remedy: str) -> Problem:
    return Problem(400, "Bad request", detail, field, remedy, reason="bad_parameter")


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= MAX_LIMIT:
        raise _bad("limit", f"limit is not a whole number from 1 to {MAX_LIMIT}", f"send limit=1 to limit={MAX_LIMIT}")
    return int(text)


def _id(name: str, text: str) -> str:
    if not _ID.fullmatch(text):
        told = f"{name} is empty, longer than 128 characters, or holds a control character, a '|' or broken UTF-8"
        raise _bad(name, told, f"send {name} as your events do: 1 to 128 printable characters, percent-encoded")
    return text


def _word(name: str, text: str) -> str:
    if not _WORD.fullmatch(text):
        told = f"{name} is longer than 64 characters, or holds a control character or broken UTF-8"
        raise _bad(name, told, f"leave {name} out, or send at most 64 characters")
    return text
