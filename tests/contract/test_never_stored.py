"""Properties that are never stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foryou.contract.never_stored import NeverStored
from foryou.service.gate_settings import load

SAID = load().never_stored
LIST = NeverStored(SAID.names, SAID.containing)


@pytest.mark.parametrize(
    "name",
    [
        "email",
        "E-Mail",
        "e_mail",
        "EMAIL ",
        "ip",
        "client.ip",
        "Latitude",
        "user_password",
        "PASSWORD2",
        "authToken",
        "İban-iban",
    ],
)
def test_what_people_send_by_mistake_is_taken_out_however_it_is_written(name):
    assert LIST.split({name: "x", "genre": "cats"})[0] == {"genre": "cats"}


@pytest.mark.parametrize("name", ["genre", "ship", "zip", "recipe", "emails_sent", "landing", "class_name", "", "数字"])
def test_a_name_that_only_looks_alike_stays(name):
    assert LIST.split({name: "x"}) == ({name: "x"}, ())


def test_what_took_a_property_is_told_by_the_lists_word():
    assert LIST.split({"My-Password-Is": "x", "E-Mail": "y"})[1] == ("password", "email")


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=5)))
def test_every_property_is_kept_or_counted(properties):
    kept, rules = LIST.split(properties)
    assert len(kept) + len(rules) == len(properties)
    assert kept.items() <= properties.items()


def test_an_empty_list_takes_nothing():
    assert NeverStored().split({"password": "x"}) == ({"password": "x"}, ())
