"""Write keys: found by their hash, valid between two moments, changed beside running readers."""

import json
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foryou.service.key_file import LOOK_S, KeyFile, open_keys
from foryou.service.keys import EVERY_SCOPE, KeyRing, Scope, decode, digest, encode, key_of, new_text, successor
from foryou.service.settings import Settings

NOW = 1_790_000_000_000
WRITE = frozenset((Scope.EVENTS_WRITE,))


def test_a_key_is_found_by_what_a_client_sends_and_only_until_it_ends():
    ring = KeyRing((key_of("one", "demo", WRITE, NOW, expires_at=NOW + 10, quota_per_day=5),))
    caller = ring.find("one", NOW + 9)
    assert (caller.app_id, caller.scopes, caller.quota_per_day, caller.user_key) == ("demo", WRITE, 5, None)
    assert [ring.find("one", NOW + 10), ring.find("two", NOW), ring.find("", NOW)] == [None, None, None]


def test_at_a_rotation_both_keys_open_until_the_overlap_is_over():
    old = key_of("old", "demo", WRITE, NOW, quota_per_day=7, label="ios")
    new = successor("new", old, NOW)
    ring = KeyRing((old,)).with_key(new).ending(old.key_id, NOW + 100)
    assert (new.scopes, new.app_id, new.quota_per_day, new.label) == (old.scopes, "demo", 7, "ios")
    assert [bool(ring.find(text, at)) for at in (NOW + 99, NOW + 100) for text in ("old", "new")] == [
        True,
        True,
        False,
        True,
    ]


def test_a_key_that_is_to_end_is_not_made_to_live_longer():
    key = key_of("k", "demo", WRITE, NOW, expires_at=NOW + 5)
    assert KeyRing((key,)).ending(key.key_id, NOW + 50)[key.key_id].expires_at == NOW + 5


def test_admin_may_all_and_a_phones_key_only_what_it_says():
    admin, phone = (
        KeyRing((key_of("k", "demo", scopes, NOW),)).find("k", NOW) for scopes in ([Scope.ADMIN], [Scope.EVENTS_WRITE])
    )
    assert [admin.may(scope) for scope in Scope] == [True] * len(Scope)
    assert [scope for scope in Scope if phone.may(scope)] == [Scope.EVENTS_WRITE]


@given(st.text(max_size=50), st.sets(st.sampled_from(list(Scope))), st.none() | st.integers(0, 2**50))
def test_what_is_written_is_what_is_read_and_has_no_key_in_it(text, scopes, expires_at):
    ring = KeyRing((key_of("fy_key_" + text, "demo", scopes, NOW, expires_at=expires_at, label="w"),))
    written = encode(ring)
    assert decode(written) == ring
    assert ("fy_key_" + text).encode("utf-8") not in written


def test_two_new_keys_differ_and_say_what_they_are():
    assert new_text() != new_text()
    assert new_text().startswith("fy_key_") and new_text(development=True).startswith("fy_dev_")


def test_a_fresh_stack_has_one_development_key_that_opens_everything(tmp_path):
    secrets = Settings(home=tmp_path).secrets()
    ((text, app_id),) = secrets.write_keys.items()
    caller = secrets.keys.ring.find(text, NOW)
    assert (app_id, caller.app_id, caller.scopes) == ("demo", "demo", EVERY_SCOPE)
    assert text.encode() not in (tmp_path / "secrets" / "keys.json").read_bytes()
    assert Settings(home=tmp_path).secrets().write_keys == secrets.write_keys


def test_no_secret_is_read_by_others_or_shown_by_repr(tmp_path):
    secrets = Settings(home=tmp_path).secrets()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "secrets").iterdir()}
    assert set(modes.values()) == {0o600}, modes
    texts = [next(iter(secrets.write_keys)), *secrets.tokens.ring().secrets.values()]
    assert not [text for text in texts if text in repr(secrets)]


def test_processes_that_start_at_once_agree_on_the_keys(tmp_path):
    found, start = [], threading.Barrier(8)

    def begin():
        start.wait()
        found.append(dict(Settings(home=tmp_path).secrets().write_keys))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [found[0]] * 8 and len(found[0]) == 1


def test_the_keys_of_an_earlier_version_open_what_they_opened(tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "write_keys.json").write_text(json.dumps({"fy_dev_x": {"app_id": "demo"}, "k2": {"app_id": "shop"}}))
    secrets = Settings(home=tmp_path).secrets()
    assert secrets.write_keys == {"fy_dev_x": "demo"}
    assert [secrets.keys.ring.find(text, NOW).app_id for text in ("fy_dev_x", "k2")] == ["demo", "shop"]
    assert secrets.keys.ring.find("k2", NOW).scopes == EVERY_SCOPE
    assert not (folder / "write_keys.json").exists()
    assert "k2" in (folder / "write_keys.json.old").read_text()  # nobody else may know that key: its owner deletes it


def test_an_old_file_that_held_the_development_key_alone_does_not_stay(tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "write_keys.json").write_text('{"fy_dev_x": {"app_id": "demo"}}')
    assert Settings(home=tmp_path).secrets().write_keys == {"fy_dev_x": "demo"}
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
        "development.key",
        "identity.key",
        "keys.json",
        "letters.json",
        "tokens.json",
    ]


class Hand:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def test_a_running_reader_takes_a_change_over_within_half_a_second(tmp_path):
    open_keys(tmp_path, NOW)
    clock = Hand()
    reader, writer = KeyFile(tmp_path / "keys.json", clock), KeyFile(tmp_path / "keys.json")
    assert reader.ring.find("new", NOW) is None
    made = key_of("new", "demo", WRITE, NOW)
    writer.change(lambda ring: ring.with_key(made))
    assert reader.ring.find("new", NOW) is None
    clock.now_s += LOOK_S
    assert reader.ring.find("new", NOW) is not None
    writer.change(lambda ring: ring.ending(made.key_id, NOW))
    clock.now_s += LOOK_S
    assert reader.ring.find("new", NOW) is None


@pytest.mark.parametrize("broken", [b"", b"{", b'{"keys":[{}]}', b'{"keys":[],"version":9}', b"\xff"])
def test_a_file_that_cannot_be_understood_leaves_the_keys_that_were(tmp_path, caplog, broken):
    keys = open_keys(tmp_path, NOW)
    keys.change(lambda ring: ring.with_key(key_of("k", "demo", WRITE, NOW)))
    clock = Hand()
    reader = KeyFile(tmp_path / "keys.json", clock)
    assert reader.ring.find("k", NOW)
    (tmp_path / "keys.json").write_bytes(broken)
    clock.now_s += 1
    assert reader.ring.find("k", NOW)
    assert "cannot be read" in caplog.text and digest("k") not in caplog.text


def test_changes_at_the_same_time_are_all_there(tmp_path):
    open_keys(tmp_path, NOW)
    added = [key_of(f"k{number}", "demo", WRITE, NOW) for number in range(20)]

    def add(key):
        KeyFile(tmp_path / "keys.json").change(lambda ring: ring.with_key(key))

    threads = [threading.Thread(target=add, args=(key,)) for key in added]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ring = KeyFile(tmp_path / "keys.json").ring
    assert all(ring.find(f"k{number}", NOW) for number in range(20))


def test_a_key_file_that_was_never_understood_is_said_once(tmp_path, caplog):
    (tmp_path / "keys.json").write_text("{")
    clock = Hand()
    keys = KeyFile(tmp_path / "keys.json", clock)
    for _ in range(3):
        clock.now_s += 1
        assert keys.ring.find("k", NOW) is None
    assert caplog.text.count("cannot be read") == 1


def test_a_broken_secret_stops_the_start_instead_of_being_replaced(tmp_path):
    Settings(home=tmp_path).secrets()
    (tmp_path / "secrets" / "letters.json").write_text("{}")
    with pytest.raises(ValueError, match=r"letters\.json cannot be understood"):
        Settings(home=tmp_path).secrets()
