import pytest

from foryou.service.metrics import METRICS, Kind, Metrics


def test_every_metric_is_ours_has_a_sentence_and_says_its_kind_in_its_name():
    for metric in METRICS.values():
        assert metric.name.startswith("foryou_") and metric.doc.endswith(".")
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)


def test_every_metric_can_be_made_and_is_rendered():
    metrics = Metrics()
    for metric in METRICS.values():
        getattr(metrics, metric.kind)(metric.name, **dict.fromkeys(metric.labels, "x"))

    text = metrics.render().decode()
    assert all(f"# TYPE {name} " in text for name in METRICS)


def test_a_name_outside_the_table_or_of_another_kind_is_refused():
    with pytest.raises(KeyError):
        Metrics().counter("foryou_made_up_total")
    with pytest.raises(KeyError):
        Metrics().gauge("foryou_collector_received_total")


def test_two_metrics_in_one_interpreter_do_not_share_numbers():
    one, other = Metrics(), Metrics()
    one.counter("foryou_collector_received_total", lane="a").inc()

    assert one.value("foryou_collector_received_total", lane="a") == 1
    assert other.value("foryou_collector_received_total", lane="a") == 0
