"""Where a stack listens, and what is refused without a word."""

import pytest

from foryou.service.settings import Settings


@pytest.fixture
def pem(tmp_path):
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("")
    return {"FORYOU_TLS_CERT": str(tmp_path / "cert.pem"), "FORYOU_TLS_KEY": str(tmp_path / "key.pem")}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "example.org"])
def test_plaintext_off_loopback_is_refused_unless_it_is_said(host):
    with pytest.raises(ValueError, match="FORYOU_PLAINTEXT"):
        Settings.load({"FORYOU_HOST": host})
    assert Settings.load({"FORYOU_HOST": host, "FORYOU_PLAINTEXT": "yes"}).host == host


def test_only_a_plain_yes_is_a_yes():
    with pytest.raises(ValueError, match="FORYOU_PLAINTEXT"):
        Settings.load({"FORYOU_HOST": "0.0.0.0", "FORYOU_PLAINTEXT": "0"})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_loopback_needs_no_word(host):
    assert Settings.load({"FORYOU_HOST": host}).host == host


def test_with_a_certificate_the_doors_listen_off_loopback_and_kafka_does_not(pem):
    settings = Settings.load({**pem, "FORYOU_TLS_HOST": "0.0.0.0", "FORYOU_PORT_OFFSET": "100"})
    tls = settings.listening("collector").tls
    assert (tls.host, tls.port, settings.kafka) == ("0.0.0.0", 8543, "127.0.0.1:9192")
    assert settings.listening("ranker").tls.port == 8553


@pytest.mark.parametrize("lacks", ["FORYOU_TLS_CERT", "FORYOU_TLS_KEY"])
def test_half_a_certificate_is_refused(pem, lacks):
    with pytest.raises(ValueError, match="go together"):
        Settings.load({name: path for name, path in pem.items() if name != lacks})
    with pytest.raises(ValueError, match="is no file"):
        Settings.load({**pem, lacks: "/nowhere.pem"})


def test_a_host_for_tls_without_a_certificate_is_refused():
    with pytest.raises(ValueError, match="certificate"):
        Settings.load({"FORYOU_TLS_HOST": "0.0.0.0"})


def test_a_child_process_loads_the_same_settings(pem, tmp_path):
    settings = Settings.load({**pem, "FORYOU_TLS_HOST": "0.0.0.0", "FORYOU_HOME": str(tmp_path)})
    assert Settings.load(settings.environ()) == settings
    off = Settings.load({"FORYOU_HOST": "0.0.0.0", "FORYOU_PLAINTEXT": "yes", "FORYOU_HOME": str(tmp_path)})
    assert Settings.load(off.environ()) == off


def test_without_a_certificate_there_is_no_tls():
    assert Settings.load({}).listening("collector").tls is None


def test_without_a_certificate_nothing_asks_for_its_ports():
    assert not [name for name in Settings.load({}).ports if name.endswith("_tls")]
