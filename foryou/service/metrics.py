"""Every metric of every process, once, each with its sentence. A name that is not in this table cannot be counted."""

from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter that nobody reads

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REQUEST_S = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FRESHNESS_S = (0.02, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
READ_S = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)


class Kind(StrEnum):
    """What a number means: it only grows, it goes up and down, or it is a distribution."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """A metric's name, kind, sentence and labels; buckets of a histogram in its own unit."""

    name: str
    kind: Kind
    doc: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = REQUEST_S


def _counter(name: str, doc: str, *labels: str) -> Metric:
    return Metric(name, Kind.COUNTER, doc, labels)


def _gauge(name: str, doc: str, *labels: str) -> Metric:
    return Metric(name, Kind.GAUGE, doc, labels)


def _histogram(name: str, buckets: tuple[float, ...], doc: str, *labels: str) -> Metric:
    return Metric(name, Kind.HISTOGRAM, doc, labels, buckets)


_EVERY_PROCESS = (
    _counter("foryou_http_requests_total", "Requests answered.", "route", "status"),
    _histogram("foryou_http_request_seconds", REQUEST_S, "From the first byte to the answer.", "route"),
    _counter("foryou_http_overloaded_total", "Requests answered 503 at once: too many were under way."),
    _counter("foryou_http_limited_total", "Requests answered 429 before their events were looked at.", "by"),
    _gauge("foryou_http_requests_in_flight", "Requests being answered now."),
    _gauge("foryou_http_body_bytes_in_flight", "Bytes of the bodies of requests being answered now."),
    _gauge("foryou_up", "1 when this process has all that it waits for, else 0."),
)
_COLLECTOR = (
    _counter("foryou_collector_received_total", "Events that got a verdict: accepted + rejected + limited.", "lane"),
    _counter("foryou_collector_accepted_total", "Events in the log, synced, and the client was told so.", "lane"),
    _counter("foryou_collector_rejected_total", "Events refused at the door.", "lane"),
    _counter("foryou_collector_limited_total", "Events refused for their number; the client keeps them.", "lane"),
    _counter(
        "foryou_collector_dead_letters_total",
        "Dead letters in the log: one for each refused event, one for a whole post that could not be split.",
    ),
    _counter("foryou_collector_flagged_total", "Accepted events that were kept apart, by rule.", "flag"),
    _counter("foryou_collector_removed_properties_total", "Properties that are never stored, by the rule.", "rule"),
    _counter("foryou_collector_refusals_total", "Refused events by reason.", "reason"),
    _counter("foryou_collector_turned_away_total", "Posts answered 503: no verdict, the client sends them again."),
    _counter(
        "foryou_collector_unauthorized_total", "Posts without a known write key, or whose key may post no events."
    ),
    _histogram("foryou_collector_ack_seconds", REQUEST_S, "From the verdicts to the sync of the log."),
    _gauge("foryou_collector_log_bytes", "Bytes in the log's folder."),
    _gauge("foryou_collector_log_quota_bytes", "Bytes that the log may have; then posts get 503."),
    _gauge("foryou_collector_log_alarm", "1 while the log has 80 % of its quota or more, else 0."),
    _counter("foryou_collector_log_syncs_total", "Syncs of the log; each may acknowledge many posts."),
    _counter("foryou_collector_log_torn_total", "Torn ends of the log that a start has set aside."),
)
_FORWARDER = (
    _counter("foryou_forwarder_sent_total", "Records of the log that Kafka has, acks=all.", "topic"),
    _counter("foryou_forwarder_unwanted_total", "Records that fit no schema or no topic; set aside.", "topic"),
    _counter("foryou_forwarder_bad_bytes_total", "Bytes of the log that no frame is in; set aside."),
    _counter("foryou_forwarder_lost_frames_total", "Frames of the log (posts) that went bad: acknowledged, and lost."),
    _gauge("foryou_forwarder_behind_bytes", "Bytes of the log that Kafka does not have yet, accounts apart."),
    _gauge("foryou_forwarder_kafka_up", "1 while Kafka answers, else 0."),
    _gauge(
        "foryou_forwarder_residence_behind_bytes",
        "The same of who carries a residence elsewhere, or accounts.",
        "residence",
    ),
    _gauge("foryou_forwarder_residence_kafka_up", "1 while their Kafka answers, else 0.", "residence"),
)
_STORE = (
    _counter("foryou_store_tiles_total", "Tile records read from the feature topics.", "view"),
    _counter("foryou_store_applied_total", "Tiles written: newer than what was stored.", "view"),
    _counter(
        "foryou_store_refused_total", "Tiles refused as replays: fewer events of the same or an older epoch.", "view"
    ),
    _counter("foryou_store_undecodable_total", "Records that are not in the wire format; skipped.", "topic"),
    _counter("foryou_store_expired_total", "Tiles dropped because their view no longer keeps them.", "view"),
    _histogram("foryou_store_batch_seconds", REQUEST_S, "One write batch, values and offsets together."),
    _histogram(
        "foryou_store_freshness_seconds", FRESHNESS_S, "From the newest event in a tile to the tile's write.", "view"
    ),
    _histogram("foryou_store_read_seconds", READ_S, "One online read, by view.", "view"),
    _gauge("foryou_store_rows", "Entities stored.", "view"),
    _gauge("foryou_store_lag_records", "Records between the writer and the end of the topic.", "topic", "partition"),
    _gauge("foryou_store_offset", "Next offset to read, as stored with the values.", "topic", "partition"),
)
_RANKER = (
    _counter("foryou_ranker_feeds_total", "Feeds answered, by fallback step (none: the full pipeline).", "fallback"),
    _counter("foryou_ranker_candidates_total", "Candidates brought.", "source"),
    _counter("foryou_ranker_removed_total", "Candidates removed, by the filter's name.", "filter"),
    _counter("foryou_ranker_served_total", "Items served.", "source"),
    _counter("foryou_ranker_feature_misses_total", "Feeds whose features could not be read, by view.", "view"),
    _counter("foryou_ranker_relaxed_total", "Items that broke a cap of diversity because a page would not be full."),
    _counter("foryou_ranker_served_log_errors_total", "Feeds that Kafka did not take into feed.served."),
    _counter("foryou_ranker_consumed_total", "Records read into the ranker's memory.", "topic"),
    _histogram("foryou_ranker_stage_seconds", READ_S, "One stage of the pipeline.", "stage"),
    _histogram("foryou_ranker_feed_seconds", REQUEST_S, "One feed, from request to answer."),
    _histogram("foryou_ranker_freshness_seconds", FRESHNESS_S, "Age of the newest tile that a feed was scored on."),
    _gauge("foryou_ranker_catalogue_videos", "Videos that can be candidates now."),
    _gauge("foryou_ranker_vectors", "Videos with a vector of the night, by which two sources find candidates."),
    _counter("foryou_ranker_broken_vectors_total", "Versions of vectors that could not be used; the one before stays."),
    _gauge("foryou_ranker_lag_records", "Records between the ranker's memory and the end of the topic.", "topic"),
)
_SUPERVISOR = (
    _counter("foryou_supervisor_starts_total", "Starts of a process, the first one included.", "process"),
    _counter("foryou_supervisor_job_submissions_total", "Submissions of a Flink job.", "job"),
    _counter("foryou_supervisor_health_failures_total", "Health checks that failed.", "process"),
    _gauge("foryou_supervisor_process_up", "1 while the process is healthy.", "process"),
    _gauge("foryou_supervisor_process_memory_bytes", "Resident memory of a process and its children.", "process"),
    _gauge("foryou_supervisor_disk_bytes", "Bytes under FORYOU_HOME, by folder.", "folder"),
    _gauge("foryou_supervisor_job_checkpoint_age_seconds", "Age of the newest complete checkpoint.", "job"),
)

_ANALYTICS = (
    _counter("foryou_analytics_queries_total", "Statements answered.", "user"),
    _counter(
        "foryou_analytics_query_errors_total", "Statements answered with a ClickHouse error, by its name.", "error"
    ),
    _histogram("foryou_analytics_query_seconds", REQUEST_S, "One statement in the engine.", "user"),
    _counter("foryou_analytics_read_total", "Records read from Kafka.", "topic"),
    _counter("foryou_analytics_loaded_total", "Rows added from Kafka.", "table"),
    _counter(
        "foryou_analytics_dropped_total", "Records of Kafka that added no row: copies, or days of the night.", "table"
    ),
    _counter(
        "foryou_analytics_undecodable_total", "Records of Kafka that are not in the wire format; skipped.", "topic"
    ),
    _histogram("foryou_analytics_load_seconds", REQUEST_S, "One planned offset range, from plan to done.", "topic"),
    _gauge("foryou_analytics_lag_records", "Records between the loader and the end of the topic.", "topic"),
    _counter("foryou_analytics_consumed_total", "Records read into memory: what people consent to.", "topic"),
    _counter("foryou_analytics_hidden_total", "Hidings of people in rows that were there before, by table.", "table"),
    _histogram("foryou_analytics_hide_seconds", REQUEST_S, "From a withdrawn consent to its last old row."),
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (*_EVERY_PROCESS, *_COLLECTOR, *_FORWARDER, *_STORE, *_RANKER, *_SUPERVISOR, *_ANALYTICS)
}


class Metrics:
    """The metrics of one process, made from the table at first use; two in one interpreter do not share numbers."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._made: dict[str, Counter | Gauge | Histogram] = {}
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def counter(self, name: str, **labels: str) -> Counter:
        """The counter with these labels; keep it when it is used per event. Raises KeyError when not in the table."""
        made = self._get(name, Kind.COUNTER)
        assert isinstance(made, Counter)
        return made.labels(**labels) if labels else made

    def gauge(self, name: str, **labels: str) -> Gauge:
        """The gauge with these labels. Raises KeyError when not in the table."""
        made = self._get(name, Kind.GAUGE)
        assert isinstance(made, Gauge)
        return made.labels(**labels) if labels else made

    def histogram(self, name: str, **labels: str) -> Histogram:
        """The histogram with these labels. Raises KeyError when not in the table."""
        made = self._get(name, Kind.HISTOGRAM)
        assert isinstance(made, Histogram)
        return made.labels(**labels) if labels else made

    def value(self, name: str, **labels: str) -> float:
        """The number now (of a histogram: how many were observed), 0 when never counted. Raises KeyError as above."""
        sample = f"{name}_count" if METRICS[name].kind is Kind.HISTOGRAM else name
        made = self._made.get(name)  # the registry would look through all of them
        found = (each for family in made.collect() for each in family.samples) if made is not None else ()
        return next((float(each.value) for each in found if (each.name, each.labels) == (sample, labels)), 0.0)

    def render(self) -> bytes:
        """The answer to GET /metrics, in Prometheus's text format."""
        text: bytes = generate_latest(self._registry)
        return text

    def _get(self, name: str, kind: Kind) -> Counter | Gauge | Histogram:
        made = self._made.get(name)
        if made is not None:
            return made
        metric = METRICS[name]
        if metric.kind is not kind:
            raise KeyError(f"{name} is a {metric.kind}, not a {kind}")
        if kind is Kind.COUNTER:
            made = Counter(name, metric.doc, metric.labels, registry=self._registry)
        elif kind is Kind.GAUGE:
            made = Gauge(name, metric.doc, metric.labels, registry=self._registry)
        else:
            made = Histogram(name, metric.doc, metric.labels, buckets=metric.buckets, registry=self._registry)
        self._made[name] = made
        return made
