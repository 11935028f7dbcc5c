"""Batches on the device: torchvision's crop and flip, every image once a pass, a pure function of (seed, step)."""

import pytest
import torch
from torchvision.transforms import RandomCrop, ToTensor
from torchvision.transforms import functional as T
from torchvision.transforms.functional import to_pil_image

from mngac.data import batches
from mngac.data.batches import Batches, crop, flip
from mngac.data.pixels import to_unit
from mngac.data.store import Split


def images(count=20, channels=3, size=32):
    return torch.randint(256, (count, channels, size, size), dtype=torch.uint8)


def part(count=20, **more):
    return Split(images(count, **more), torch.arange(count), torch.arange(count))


@pytest.mark.parametrize(("channels", "size", "pad"), [(3, 32, 4), (1, 8, 1), (3, 64, 4)])
def test_crop_is_torchvisions_image_by_image_at_every_offset(channels, size, pad):
    offsets = torch.cartesian_prod(torch.arange(2 * pad + 1), torch.arange(2 * pad + 1))
    given = images(len(offsets), channels, size)
    cut = crop(given, pad, offsets[:, 0], offsets[:, 1])
    for image, (row, column), found in zip(given, offsets.tolist(), cut, strict=True):
        assert torch.equal(found, T.crop(T.pad(image, [pad] * 4), row, column, size, size))


def test_a_batch_is_random_crop_flip_and_to_tensor_of_pil_images(monkeypatch):
    given, augmented = images(64), []
    rows, columns = torch.randint(9, (2, 64))
    mirrored = torch.rand(64) < 0.5
    for image, row, column, chosen in zip(given, rows, columns, mirrored, strict=True):
        monkeypatch.setattr(RandomCrop, "get_params", lambda *_, r=row, c=column: (int(r), int(c), 32, 32))
        picture = RandomCrop(32, padding=4)(to_pil_image(image))
        augmented.append(ToTensor()(T.hflip(picture) if chosen else picture))
    ours = to_unit(flip(crop(given, 4, rows, columns), mirrored))
    assert torch.equal(ours, torch.stack(augmented))
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_every_image_is_seen_once_a_pass_whatever_the_batch_size():
    made = Batches(part(20), 7, seed=0, name="train", device="cpu")
    seen = torch.cat([made.indices(step) for step in range(20)])
    for first in range(0, 140, 20):
        assert seen[first : first + 20].sort().values.tolist() == list(range(20))


def test_a_batch_depends_on_seed_and_step_alone():
    def make(seed=0):
        return Batches(data, 7, seed=seed, name="train", device="cpu", augment=("crop", "flip"), pad=4)

    data = part(20)
    ran, fresh = make(), make()
    for step in range(9):
        ran(step)
    for a, b in zip(ran(9), fresh(9), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(make(1)(9)[0], fresh(9)[0])


def test_without_augmentation_a_batch_is_the_images():
    data = part(20)
    made = Batches(data, 6, seed=0, name="train", device="cpu")
    x, y = made(4)
    index = made.indices(4)
    assert torch.equal(x, data.images[index].float() / 255) and torch.equal(y, data.labels[index])


def test_offsets_and_flips_are_drawn_evenly():
    ramp = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).expand(4000, 1, 8, 8) + 1
    made = Batches(Split(ramp, torch.zeros(4000), torch.arange(4000)), 4000, 0, "train", "cpu", ("crop",), 1)
    centre = (made(0)[0][:, 0, 3, 3] * 255).round().long()
    counts = torch.bincount(centre)
    assert (counts > 0).sum() == 9 and counts[counts > 0].min() > 350


def test_too_large_a_data_set_stays_on_the_host_with_a_warning_and_gives_the_same_batches(monkeypatch):
    data = part(20)
    plain = Batches(data, 7, 0, "train", "cpu", ("crop", "flip"), 4)
    with pytest.warns(UserWarning, match=r"train: 0\.00 GB of images, 0\.00 GB free on cpu; they stay in pinned host"):
        spilled = Batches(data, 7, 0, "train", "cpu", ("crop", "flip"), 4, free=1000)
    assert spilled.home == "cpu"
    assert torch.equal(plain(3)[0], spilled(3)[0])


def test_half_of_the_free_memory_is_left_to_the_network(recwarn):
    data = part(10)
    assert Batches(data, 5, 0, "train", "cpu", free=2 * data.images.numel()).home == "cpu"
    assert not recwarn.list
    assert batches.free_memory("cpu") is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_keeps_the_images_or_copies_each_batch_from_pinned_memory():
    data = part(20)
    kept = Batches(data, 7, 0, "train", "cuda", ("crop", "flip"), 4)
    with pytest.warns(UserWarning, match="pinned"):
        copied = Batches(data, 7, 0, "train", "cuda", ("crop", "flip"), 4, free=1000)
    assert kept.images.is_cuda and copied.images.is_pinned() and not copied.images.is_cuda
    for a, b in zip(kept(3), copied(3), strict=True):
        assert a.is_cuda and torch.equal(a, b)
