"""Reads the log in order, encodes, hands over to Kafka, remembers, and deletes what has been kept long enough.

Each round sends what is there and waits until Kafka has it. A round that breaks off is sent again from its beginning
in a new session: Kafka then has some records twice, in an order whose first occurrences are the log's.
"""

import logging
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from foryou.collector.forward import checkpoint as checkpoints
from foryou.collector.forward.checkpoint import Checkpoint
from foryou.collector.forward.sender import Away, Sender, Unwanted
from foryou.collector.log import event_log
from foryou.collector.log.disk_log import QUOTA_BYTES
from foryou.collector.log.event_log import LogRecord
from foryou.collector.log.frames import Bad, Frame
from foryou.collector.log.segments import ASIDE, Position, Segment, bytes_in, segments, set_aside, size_of
from foryou.collector.log.tail import WINDOW_BYTES, Piece, Tail
from foryou.contract.codec import Encoder, Record
from foryou.contract.residence import HOME
from foryou.service.metrics import Metrics

log = logging.getLogger(__name__)

KEEP_S = 600.0
CROWDED = 0.5  # of the quota: from there on, what Kafka has goes before its time, so that new events have room
ASIDE_KEEP_S = 7 * 86_400.0
SAVE_S = 0.1
TIDY_S = 1.0
RETRY_S = 0.5
# Between two rounds: thrice what the last one took, within these. A request costs Kafka as much as some hundred records
# in it, and what is saved here is Flink's and the collector's.
ROUND_S, ROUND_MOST_S = 0.01, 0.05
MANY = 200  # posts in a round, or half a window of bytes: there is more behind them, and nothing to wait for


@dataclass(frozen=True, slots=True)
class Share:
    """What of the log a forwarder carries: the records for which `mine` holds (None: all), under their topic's name
    with `suffix`; `only` those of one topic (a post that does not name it is not decoded), or all `but` those of one.
    `rules` tells one way of dividing the log from another; `beside` are the names of all others who share it, `tells`
    of those who send again all that is kept when this one is asked to.

    The one called home looks after the log: it deletes what all have, and keeps what is in no record at all.
    """

    name: str = HOME
    only: str = ""
    but: str = ""
    mine: Callable[[Record], bool] | None = None
    suffix: str = ""
    rules: str = ""
    beside: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name of its checkpoint."""
        return checkpoints.NAME if self.name == HOME else checkpoints.name_of(self.name)

    @property
    def resend(self) -> str:
        """The name of the file that asks for everything once more."""
        return checkpoints.RESEND if self.name == HOME else f"{checkpoints.RESEND}.{self.name}"


class Forwarder:
    """One log, one Kafka; several share a log, each with its own `share`. `connect` opens a session (raises Away);
    `encoders` is None until the registry answers.
    """

    def __init__(
        self,
        folder: Path,
        connect: Callable[[], Sender],
        encoders: Callable[[], Mapping[str, Encoder] | None],
        metrics: Metrics,
        *,
        keep_s: float = KEEP_S,
        quota_bytes: int = QUOTA_BYTES,
        boot: str = "",
        clock_s: Callable[[], float] = time.time,
        share: Share | None = None,
    ) -> None:
        self._share = share or Share()
        self._folder, self._connect, self._encoders = folder, connect, encoders
        self._keep_s, self._clock_s = keep_s, clock_s
        self._crowded_bytes = int(CROWDED * quota_bytes)
        self._metrics = metrics
        self._at_home = self._share.name == HOME
        told = {} if self._at_home else {"residence": self._share.name}
        kind = "" if self._at_home else "residence_"
        self._behind = metrics.gauge(f"foryou_forwarder_{kind}behind_bytes", **told)
        self._up = metrics.gauge(f"foryou_forwarder_{kind}kafka_up", **told)
        self._checkpoint = checkpoints.load(folder, self._share.file)
        self._divided_anew = self._checkpoint.rules != self._share.rules
        self._rebooted = self._checkpoint.boot not in ("", boot)
        self._boot = boot  # into the checkpoint once that was acted upon: a kill before must not forget it
        self._saved_s = self._tidied_s = 0.0
        self._disk_full = False
        self._done_s: dict[int, float] = {}  # segment → when this process first saw that Kafka has all of it
        self._expected: tuple[int, int] | None = None  # (segment, number) of the frame that comes next
        self._lacks: list[str] = ["kafka"]
        self._stop = threading.Event()
        self._said = ""
        self._told: dict[str, str] = told

    def waiting_for(self) -> list[str]:
        """What the forwarder lacks to go on."""
        return list(self._lacks)

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stop.set()

    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def run(self) -> None:
        """Sessions, one after another, until `stop`."""
        while not self._stop.is_set():
            encoders = self._encoders()
            if encoders is None:
                self._wait_for("registry")
            else:
                self.session(encoders, until=self._stop.is_set)
        self._save(force=True)

    def session(self, encoders: Mapping[str, Encoder], until: Callable[[], bool]) -> None:
        """One session: from connecting to the moment at which Kafka is away, or `until()` holds between two rounds."""
        sender = None
        try:
            sender = self._connect()
            names = sorted(name + self._share.suffix for name in encoders)
            self._meet(sender.topic_ids(names), names)
            self._forward(sender, encoders, until)
        except Away as away:
            if not self._stop.is_set():
                if str(away) != self._said:
                    log.warning("kafka is away", extra={"error": str(away), **self._told})
                    self._said = str(away)
                self._wait_for("kafka")
        finally:
            if sender is not None:
                sender.close()

    def _meet(self, found: Mapping[str, str], wanted: Collection[str]) -> None:
        """Is it the Kafka that took what the checkpoint says? A new one gets all that is kept."""
        missing = sorted(set(wanted) - set(found))
        if missing:
            raise Away(f"it has no topic {missing[0]}")
        known = self._checkpoint.topics
        new = sorted(name for name, number in found.items() if known.get(name, number) != number)
        if new:
            log.warning("these topics are new: all that is kept is sent again", extra={"topics": new})
            self._again()
        elif self._rebooted:
            log.warning("the machine was started anew: all that is kept is sent again")  # a broker acks before it syncs
            self._again()
        elif self._divided_anew:
            log.warning("residency is another than before: all that is kept is sent again", extra=self._told)
            self._again()
        self._rebooted = self._divided_anew = False
        topics, rules = dict(found), self._share.rules
        self._checkpoint = replace(self._checkpoint, topics=topics, boot=self._boot, rules=rules)
        self._lacks, self._said = [], ""
        self._up.set(1)
        log.info(
            "kafka is there",
            extra={"segment": self._checkpoint.segment, "offset": self._checkpoint.offset, **self._told},
        )

    def _again(self) -> None:
        self._checkpoint = replace(self._checkpoint, segment="", offset=0)
        self._done_s.clear()
        self._save(force=True)  # whoever deletes what all have goes by it

    def _forward(self, sender: Sender, encoders: Mapping[str, Encoder], until: Callable[[], bool]) -> None:
        tail = Tail(self._folder, self._start())
        self._expected = None
        try:
            while not until():
                begun_s, begun_at = time.monotonic(), tail.position
                piece = tail.read()
                if piece is not None:
                    self._send(piece, sender, encoders)
                else:
                    sender.idle()
                self._reached(tail)
                if self._tidy():
                    return
                if piece is None or not _more_behind(piece, begun_at):
                    self._stop.wait(min(ROUND_MOST_S, max(ROUND_S, 3 * (time.monotonic() - begun_s))))
        finally:
            tail.close()

    def _start(self) -> Position:
        """The checkpoint's position. Where its segment is gone the log is another: all of it, from its beginning."""
        place = self._place(segments(self._folder))
        if place is None:
            log.warning("the checkpoint's segment is gone", extra={"segment": self._checkpoint.segment})
            self._again()
        return place or Position()

    def _place(self, there: list[Segment], told: Checkpoint | None = None) -> Position | None:
        told = told or self._checkpoint
        if not told.segment:
            return Position()
        at = [each.number for each in there if each.path.name == told.segment]
        return Position(at[0], told.offset) if at else None

    def _send(self, piece: Piece, sender: Sender, encoders: Mapping[str, Encoder]) -> None:
        """Sends a piece of a segment, waits until Kafka has it, and remembers that."""
        only, but, mine, suffix = self._share.only, self._share.but, self._share.mine, self._share.suffix
        named = only.encode()
        sent: dict[str, int] = {}
        for found in piece.found:
            if isinstance(found, Bad):
                self._keep_bad(piece.segment, found)
                continue
            self._count_missing(piece.segment, found)
            if named not in found.payload:
                continue
            for record in self._records(piece.segment, found):
                if record.topic == but or (only and record.topic != only):
                    continue
                if mine is not None and not mine(record.record):
                    continue
                value = self._encode(record, encoders)
                if value is not None:
                    topic = record.topic + suffix if suffix else record.topic
                    sender.send(topic, record.key, value)
                    sent[topic] = sent.get(topic, 0) + 1
        for unwanted in sender.flush():
            self._keep_unwanted(unwanted)
        for topic, count in sent.items():
            self._metrics.counter("foryou_forwarder_sent_total", topic=topic).inc(count)

    def _reached(self, tail: Tail) -> None:
        if tail.segment is not None:
            self._checkpoint = replace(self._checkpoint, segment=tail.segment.path.name, offset=tail.position.offset)
        self._save()

    def _encode(self, record: LogRecord, encoders: Mapping[str, Encoder]) -> bytes | None:
        """The record in Avro; None when it does not fit its schema, which no second try mends."""
        try:
            return encoders[record.topic](record.record)
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            why = f"{type(error).__name__}: {error}"
            self._keep_unwanted(Unwanted(record.topic, record.key.encode(), event_log.encode(record), why))
            return None

    def _records(self, segment: Segment, frame: Frame) -> list[LogRecord]:
        """The frame's records; none when it holds something else, which is set aside."""
        try:
            return event_log.decode(frame.payload)
        except msgspec.DecodeError:
            self._keep_bad(segment, Bad(frame.at, frame.end))
            return []

    def _keep_bad(self, segment: Segment, bad: Bad) -> None:
        if not self._at_home:
            return
        self._metrics.counter("foryou_forwarder_bad_bytes_total").inc(bad.end - bad.at)
        with segment.path.open("rb") as file:
            file.seek(bad.at)
            data = file.read(bad.end - bad.at)
        kept = self._aside(f"{segment.path.stem}.{bad.at}.bad", data)
        told = {"segment": segment.path.name, "offset": bad.at, "bytes": len(data), "kept": kept}
        log.error("bytes in the log are no frame and are set aside", extra=told)

    def _count_missing(self, segment: Segment, frame: Frame) -> None:
        if not self._at_home:
            return
        if self._expected is not None and self._expected[0] == segment.number and frame.number > self._expected[1]:
            missing = frame.number - self._expected[1]
            self._metrics.counter("foryou_forwarder_lost_frames_total").inc(missing)
            log.error("frames of the log are lost", extra={"segment": segment.path.name, "frames": missing})
        self._expected = (segment.number, frame.number + 1)

    def _keep_unwanted(self, unwanted: Unwanted) -> None:
        self._metrics.counter("foryou_forwarder_unwanted_total", topic=unwanted.topic).inc()
        name = f"{unwanted.topic}.{int(self._clock_s() * 1000)}.{zlib.crc32(unwanted.value):08x}.unwanted"
        kept = self._aside(name, unwanted.value)
        log.error("kafka will never take this record", extra={"topic": unwanted.topic, "kept": kept})

    def _aside(self, name: str, data: bytes) -> str:
        try:
            return str(set_aside(self._folder, name, data))
        except OSError as error:  # a full disk must not hold up the events that are well
            return f"nowhere: {error}"

    def _wait_for(self, what: str) -> None:
        self._lacks = [what]
        self._up.set(0)
        self._save(force=True)
        self._tidy()
        self._stop.wait(RETRY_S)

    def _save(self, *, force: bool = False) -> None:
        now_s = self._clock_s()
        if not force and 0 <= now_s - self._saved_s < SAVE_S:
            return
        self._saved_s = now_s
        told = replace(self._checkpoint, waiting_for=self._lacks, at_ms=int(now_s * 1000))
        try:
            checkpoints.save(self._folder, told, self._share.file)
        except OSError as error:  # a full disk: going on is what makes room
            log.warning("the checkpoint cannot be written", extra={"error": str(error)})
            self._disk_full = True
        else:
            self._disk_full = False

    def _tidy(self) -> bool:
        """Deletes what was kept long enough, once a second. True when somebody asks to send all of it again."""
        now_s = self._clock_s()
        if 0 <= now_s - self._tidied_s < TIDY_S:
            return False
        self._tidied_s = now_s
        there = segments(self._folder)
        place = self._place(there) or Position()
        self._behind.set(sum(size_of(each.path) for each in there if each.number >= place.segment) - place.offset)
        if self._at_home:
            self._delete(there, min(self._needed(there), default=place.segment), now_s)
        if not (self._folder / self._share.resend).exists():
            return False
        for name in self._share.tells:  # before the word is taken away: a kill must not lose it
            (self._folder / f"{checkpoints.RESEND}.{name}").touch()
        (self._folder / self._share.resend).unlink()
        log.warning("asked to send all that is kept once more", extra=self._told)
        self._again()
        return True

    def _needed(self, there: list[Segment]) -> Iterator[int]:
        """The first segment that each of those who share the log may still have to read."""
        for name in (HOME, *self._share.beside):
            told = self._checkpoint if name == HOME else checkpoints.load(self._folder, checkpoints.name_of(name))
            begins_anew = told.boot != self._boot or self._asked(name)
            place = self._place(there, told) if told.rules == self._share.rules and not begins_anew else None
            yield place.segment if place is not None else 0

    def _asked(self, name: str) -> bool:
        """Whether another one has still to hear that it shall send all once more."""
        return name != HOME and (self._folder / f"{checkpoints.RESEND}.{name}").exists()

    def _delete(self, there: list[Segment], needed: int, now_s: float) -> None:
        too_many = bytes_in(self._folder) - self._crowded_bytes
        for segment in there[:-1]:
            if segment.number >= needed:
                break
            kept_s = now_s - self._done_s.setdefault(segment.number, now_s)
            if kept_s >= self._keep_s or too_many > 0 or self._disk_full:
                too_many -= size_of(segment.path)
                segment.path.unlink(missing_ok=True)
                self._done_s.pop(segment.number)
        for path in (self._folder / ASIDE).glob("*"):
            if now_s - path.stat().st_mtime > ASIDE_KEEP_S:
                path.unlink(missing_ok=True)


def _more_behind(piece: Piece, begun_at: Position) -> bool:
    same = begun_at.segment == piece.until.segment
    return len(piece.found) >= MANY or piece.until.offset - (begun_at.offset if same else 0) >= WINDOW_BYTES // 2
