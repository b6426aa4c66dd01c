"""Where people live is a setting; one that is wrong says what, where, and how to mend it."""

import re

import pytest

from foryou.contract.residence import HOME
from foryou.service.gate_settings import load


def said(folder, text):
    path = folder / "gate.toml"
    path.write_text(text)
    return load(path).residency


def test_nobody_lives_elsewhere_unless_it_is_said(tmp_path):
    residency = said(tmp_path, "[key]\nper_s = 5\n")
    assert (residency.to, residency.fingerprint) == ({}, "")
    assert residency.rules().of({"app_id": "demo", "region": "DE"}) == HOME


def test_regions_and_apps_live_where_the_settings_say(tmp_path):
    text = '[residency]\nregions = {de = "eu"}\napps = {shop = "us"}\n[residency.to.eu]\nsuffix = ".eu"\n'
    residency = said(tmp_path, text + '[residency.to.us]\nkafka = "a.example:9092,b.example:9092"\n')
    assert (residency.to["eu"].suffix, residency.to["eu"].kafka) == (".eu", None)
    assert (residency.to["us"].suffix, residency.to["us"].kafka) == ("", "a.example:9092,b.example:9092")
    assert residency.rules().of({"app_id": "demo", "region": "DE"}) == "eu"
    other = said(tmp_path, text.replace("de =", "fr =") + '[residency.to.us]\nkafka = "a.example:9092"\n')
    assert other.fingerprint != residency.fingerprint


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[residency]\nregions = {DE = "eu"}', "regions.DE lives in 'eu', and there is no [residency.to.eu]: add it"),
        ('[residency]\napps = {shop = "eu"}', "apps.shop lives in 'eu', and there is no [residency.to.eu]: add it"),
        ("[residency.to.eu]", 'it says neither kafka nor suffix: say kafka = "host:port", suffix = ".eu", or both'),
        ('[residency.to.eu]\nkafka = "broker"', "kafka = 'broker' is no address: say \"host:port\""),
        ('[residency.to.eu]\nsuffix = "eu|1"', "suffix = 'eu|1' cannot end a topic's name"),
        ('[residency.to.eu]\nsuffix = ".eu"\nregistry = "x"', "registry = 'x' is no URL: say"),
        ('[residency.to.home]\nsuffix = ".eu"', "[residency.to.home] is no name"),
        ('[residency.to."E U"]\nsuffix = ".eu"', "[residency.to.E U] is no name"),
        ('[residency.to.eu]\nsufix = ".eu"', "sufix"),
    ],
)
def test_a_wrong_setting_says_what_where_and_how_to_mend_it(tmp_path, text, told):
    with pytest.raises(ValueError, match=r"gate\.toml: .*" + re.escape(told) + ".*residency"):
        said(tmp_path, text)
