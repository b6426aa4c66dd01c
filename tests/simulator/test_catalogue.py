import time

import msgspec
import numpy as np
import pytest

from foryou.contract.events import ClientEvent
from foryou.simulator.catalogue import DAY_MS, HOUR_MS, OLDEST_MS, SIZE, grow
from foryou.simulator.kuairand import real_people, real_videos
from foryou.simulator.population import choose, follow_edges, follows, settle
from foryou.simulator.words import GENRES

NOON = 1_790_000_000_000


def test_same_seed_grows_the_same_catalogue_and_another_seed_another():
    first, second, other = (grow(seed, NOON, 12_000) for seed in (1, 1, 2))
    published = [list(each.all_published()) for each in (first, second, other)]
    assert published[0] == published[1] != published[2]
    assert (first.quality == second.quality).all()


def test_two_hundred_thousand_videos_grow_within_ten_seconds():
    begin = time.perf_counter()
    catalogue = grow(1, NOON)
    assert len(catalogue) == SIZE == 200_000 == len(set(catalogue.video_id))
    assert time.perf_counter() - begin < 10


def test_real_videos_are_kept_as_they_are():
    real, catalogue = real_videos(), grow(1, NOON, 10_000)
    known = real.duration_ms > 0
    assert len(real) == 7_583 == catalogue.real
    assert (catalogue.duration_ms[: len(real)][known] == real.duration_ms[known]).all()
    assert (catalogue.genre[: len(real)] == real.genre).all()
    creators = [catalogue.creator_id[row] for row in catalogue.creator[: len(real)]]
    assert creators == [f"a{author}" for author in real.author]
    assert (catalogue.published_at[: len(real)] // DAY_MS == real.upload_day_ms // DAY_MS).all()


def test_grown_videos_follow_the_real_genres_and_lengths(world):
    catalogue = world.catalogue
    real, grown = slice(0, catalogue.real), slice(catalogue.real, None)
    shares = [np.bincount(catalogue.genre[part], minlength=len(GENRES)) for part in (real, grown)]
    assert np.corrcoef(*shares)[0, 1] > 0.7
    medians = [np.median(catalogue.duration_ms[part]) for part in (real, grown)]
    assert 0.7 < medians[1] / medians[0] < 1.4
    # The joint survives: genres whose real videos are long have long grown ones.
    common = np.flatnonzero(shares[0] > 60)
    by_genre = [
        [np.median(catalogue.duration_ms[part][catalogue.genre[part] == genre]) for genre in common]
        for part in (real, grown)
    ]
    assert np.corrcoef(*by_genre)[0, 1] > 0.7


def test_every_hour_of_the_last_day_has_uploads_and_nothing_is_from_the_future(world):
    ages = NOON - world.catalogue.published_at[world.catalogue.real :]
    assert ages.min() >= 0 and ages.max() <= OLDEST_MS
    assert (np.bincount((ages[ages < DAY_MS] // HOUR_MS).astype(int), minlength=24) > 0).all()


def test_a_few_creators_make_a_lot():
    made = np.sort(np.bincount(grow(1, NOON, 50_000).creator))[::-1]
    assert made[: len(made) // 100].sum() > 0.2 * made.sum()
    assert made[0] < 0.05 * made.sum()


def test_every_published_event_fits_the_contract_and_its_id_lasts(world):
    decode = msgspec.json.Decoder(ClientEvent).decode
    again = grow(1, NOON + 5, 20_000)
    for row in range(0, len(world.catalogue), 97):
        event = world.catalogue.published(row)
        decode(msgspec.json.encode(event))
        assert again.published(row)["event_id"] == event["event_id"]
        assert world.catalogue.row_of(event["video_id"]) == row


@pytest.mark.parametrize("stranger", ["g_999999", "kr_7583", "kr_01", "x_1", "nonsense", "", "g_", "g_-1"])
def test_a_strange_video_has_no_row(world, stranger):
    assert world.catalogue.row_of(stranger) is None


def test_a_catalogue_smaller_than_the_real_one_is_refused():
    with pytest.raises(ValueError, match="7,583"):
        grow(1, NOON, 100)


def test_people_are_chosen_by_seed_and_never_more_than_there_are(world):
    assert (choose(world.population, 50, 3) == choose(world.population, 50, 3)).all()
    assert set(choose(world.population, 50, 3)) != set(choose(world.population, 50, 4))
    with pytest.raises(ValueError, match="27285"):
        choose(world.population, 27_286, 1)


def test_interests_are_few(world):
    strongest = np.sort(world.population.interests, axis=1)[:, -3:].sum(axis=1)
    assert strongest.mean() > 0.6
    assert np.allclose(world.population.interests.sum(axis=1), 1)


def test_people_follow_more_when_they_really_do_and_whom_many_follow(world):
    real, population = real_people(), settle(1)
    order = np.argsort(real.follows, kind="stable")
    assert (np.diff(population.follows[order]) >= 0).all()
    people = choose(population, 200, 1)
    followed = [follow_edges(population, world.catalogue, int(person)) for person in people]
    assert all(len(each) <= population.follows[person] for each, person in zip(followed, people, strict=True))
    fame = world.catalogue.creator_fame
    assert fame[np.concatenate(followed)].mean() > 3 * fame.mean()


def test_nobody_follows_themselves_or_anybody_twice(world):
    for person in choose(world.population, 100, 2).tolist():
        targets = [event["target_user_id"] for event in follows(world.population, world.catalogue, person, NOON)]
        assert len(targets) == len(set(targets))
        assert f"p{person}" not in targets
