"""`foryou keys` and `foryou token`, on a folder without a stack."""

import json
import time

import pytest
from rich.console import Console
from typer.testing import CliRunner

from foryou.cli.app import app
from foryou.cli.keys import table
from foryou.contract.seal import secret_of
from foryou.service.keys import SERVICE, KeyRing, Scope, key_of
from foryou.service.settings import Settings
from foryou.service.tokens import FEED, BadToken


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("FORYOU_HOME", str(tmp_path))
    return Settings(home=tmp_path)


def foryou(*arguments):
    return CliRunner().invoke(app, list(arguments), prog_name="foryou")


def found(settings, text):
    return settings.secrets().keys.ring.find(text, time.time_ns() // 1_000_000)


def test_a_new_key_is_alone_on_stdout_and_may_post_events_only(settings):
    made = foryou("keys", "new", "--app", "shop", "--quota", "1000", "--label", "ios")
    caller = found(settings, made.stdout.strip())
    assert (caller.app_id, caller.scopes, caller.quota_per_day) == ("shop", {Scope.EVENTS_WRITE}, 1_000)


def test_a_services_key_has_a_services_rights(settings):
    assert found(settings, foryou("keys", "new", "--service").stdout.strip()).scopes == SERVICE


def test_the_list_has_every_key_and_no_secret(settings):
    text = foryou("keys", "new", "--label", "ios").stdout.strip()
    said = foryou("keys", "list").output
    assert found(settings, text).key_id in said and "ios" in said
    assert text not in said and next(iter(settings.secrets().write_keys)) not in said


def test_after_a_rotation_both_open_and_after_none_only_the_new_one(settings):
    old = foryou("keys", "new").stdout.strip()
    new = foryou("keys", "rotate", found(settings, old).key_id).stdout.strip()
    assert found(settings, old) and found(settings, new)
    last = foryou("keys", "rotate", found(settings, new).key_id, "--overlap", "0s").stdout.strip()
    assert found(settings, last) and not found(settings, new)


def test_a_revoked_key_opens_nothing(settings):
    text = foryou("keys", "new").stdout.strip()
    assert foryou("keys", "revoke", found(settings, text).key_id).exit_code == 0
    assert not found(settings, text)


def test_the_development_key_is_rotated_where_up_and_status_show_it(settings):
    before = next(iter(settings.secrets().write_keys))
    after = foryou("keys", "rotate", found(settings, before).key_id).stdout.strip()
    assert after.startswith("fy_dev_")
    assert json.loads(foryou("status", "--json").output)["write_key"] == after


def test_a_revoked_development_key_is_shown_no_more_and_another_can_be_made(settings):
    text = next(iter(settings.secrets().write_keys))
    foryou("keys", "revoke", found(settings, text).key_id)
    assert json.loads(foryou("status", "--json").output)["write_key"] is None
    other = foryou("keys", "new", "--development").stdout.strip()
    assert json.loads(foryou("status", "--json").output)["write_key"] == other


@pytest.mark.parametrize(
    "arguments",
    [("revoke", "wk_nobody"), ("rotate", "wk_nobody"), ("new", "--expires", "soon"), ("new", "--app", "a|b")],
)
def test_what_cannot_be_is_said_in_a_sentence(settings, arguments):
    said = foryou("keys", *arguments)
    assert said.exit_code == 2 and "Traceback" not in said.output


def test_a_token_of_the_command_line_is_for_that_person(settings):
    secrets = settings.secrets()
    caller = secrets.tokens.read(foryou("token", "anna").stdout.strip(), FEED, int(time.time()))
    assert caller.user_key == secrets.identity.user_key("demo", "anna")
    device = secrets.tokens.read(foryou("token", "phone", "--device").stdout.strip(), FEED, int(time.time()))
    assert device.user_key == secrets.identity.device_key("demo", "phone")


def test_after_a_new_secret_for_letters_the_old_ones_open_and_new_ones_are_under_it(settings):
    seal = settings.secrets().seal
    old = seal(b"old")
    assert foryou("keys", "rotate-secret", "letters").exit_code == 0
    seal = settings.secrets().seal
    assert seal.open(old) == b"old"
    assert secret_of(seal(b"new")) != secret_of(old)


def test_a_token_still_opens_after_one_new_secret(settings):
    text = foryou("token", "anna").stdout.strip()
    foryou("keys", "rotate-secret", "tokens")
    assert settings.secrets().tokens.read(text, FEED, int(time.time())).app_id == "demo"
    foryou("keys", "rotate-secret", "tokens")
    with pytest.raises(BadToken):
        settings.secrets().tokens.read(text, FEED, int(time.time()))


def test_80_columns_cut_no_right_and_no_time():
    words = [(scope, 1_000_000) for scope in Scope] + [(Scope.EVENTS_WRITE, None)]
    now_ms = 1_796_034_091_527
    made = [
        key_of(f"fy_key_{n}", "demo", {*SERVICE, scope}, now_ms, expires_at=now_ms - n, quota_per_day=quota)
        for n, (scope, quota) in enumerate(words)
    ]
    for ring in (KeyRing(made), KeyRing(made[-1:])):
        console = Console(width=80)
        with console.capture() as said:
            console.print(table(ring, now_ms, console.width))
        lines = said.get().splitlines()
        found = {word.rstrip(",") for line in lines for word in line.split()}
        assert max(map(len, lines)) <= 80 and "…" not in said.get()
        rights = {scope for key in ring for scope in key.scopes}
        assert {*rights, "demo", "2026-11-30", "ended", *(key.key_id for key in ring)} <= found


def test_on_a_wide_terminal_a_keys_rights_are_on_one_line():
    key = key_of("fy_key_1", "demo", SERVICE, 0, label="ios")
    console = Console(width=160)
    with console.capture() as said:
        console.print(table(KeyRing([key]), 0, console.width))
    assert "events:write, features:read, feed:read, tokens:issue" in said.get() and len(said.get().splitlines()) == 2
