"""A teacher labels on a card as on the host, and is waited for once a chunk."""

from card import Card, card
from evaluation_helpers import digits, trained

from mngac.data.pseudo_labels import posteriors


def test_posteriors_are_the_hosts_and_are_read_once(monkeypatch):
    images = (255 * digits()[0]).round().byte()
    host = posteriors(trained(), images, "cpu")
    with card(Card, monkeypatch) as watched:
        teacher = trained().to("lazy")
        watched.waits.clear()
        there = posteriors(teacher, images, "lazy")
    assert there.equal(host) and len(watched.waits) == 2, watched.waits  # the images there, the posteriors back
