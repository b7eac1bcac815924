"""Transforms: NumPy arrays, Tensors and jitted batches give the same values, and those are torch's, Pillow's or colorsys's."""

import colorsys
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import pequegrad as pg
from pequegrad import ArgumentError, ShapeError, TracerError
from pequegrad.data import ArrayDataset, DataLoader, randomness, transforms
from pequegrad.data.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    EvalAndDetach,
    JitCompose,
    Normalize,
    PermuteFromTo,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    ToTensor,
    Transform,
)
from pequegrad.tensor import Tensor

CASES = {
    "centre": CenterCrop((5, 4)),
    "crop": RandomCrop((6, 9)),
    "padded crop": RandomCrop(8, padding=(1, 3)),
    "flip": RandomHorizontalFlip(),
    "flip with a seed": RandomHorizontalFlip(0.3, seed=5),
    "colours": ColorJitter(0.4, (0.5, 2.0), 0.9, 0.2),
    "brightness": ColorJitter(brightness=0.9),
    "bilinear": Resize((5, 12)),
    "not antialiased": Resize((5, 4), antialias=False),
    "nearest": Resize((3, 20), "nearest"),
    "shorter side": Resize(4),
    "normal": Normalize((1, 2, 3), (4, 5, 6)),
    "axes": PermuteFromTo("chw", "hwc"),
    "all": Compose([RandomCrop(8, 2), RandomHorizontalFlip(), ColorJitter(0.2, 0.2, 0.2, 0.1), Normalize(9, 2), EvalAndDetach()]),
}  # fmt: skip


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 3, 8, 9), np.uint8)


def in_loader(function, x, epoch=2):
    """What a loader with seed 1 would let `function` make of the batch."""
    with randomness.samples(1, epoch, np.arange(10, 10 + len(x))):
        return function(x)


def one_by_one(transform, x):
    def each(x):
        made = []
        for i, image in enumerate(x):
            randomness.begin_sample(10 + i)
            made.append(transform(image))
        return np.stack(made)

    return in_loader(each, x)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("floats", [False, True])
def test_arrays_tensors_batches_and_jit_agree(case, floats, images, device):
    transform = CASES[case]
    x = (images / 255).astype(np.float32) if floats else images
    expected = in_loader(transform, x)
    assert isinstance(expected, np.ndarray)
    results = [one_by_one(transform, x)]
    for function in (transform, JitCompose([transform]), JitCompose([transform], enabled=False)):
        tensor = in_loader(function, pg.Tensor(x, device=device))
        assert isinstance(tensor, Tensor)
        results.append(tensor.numpy())
    for result in results:
        assert result.dtype == expected.dtype and result.shape == expected.shape
        # float32 sums in other orders; of bytes, one that lies at a half may round to either side
        np.testing.assert_allclose(
            result.astype(float), expected.astype(float), rtol=1e-5, atol=1e-5 if floats else 1.001
        )
    assert x.flags.writeable and (x == ((images / 255).astype(np.float32) if floats else images)).all()


@pytest.mark.parametrize("case", ["crop", "flip", "flip with a seed", "colours"])
def test_random_numbers_follow_from_seed_epoch_and_index(case, images):
    transform = CASES[case]
    twice = np.concatenate([images] * 8)  # enough that no two epochs agree by chance
    a, b, c = (in_loader(transform, twice, epoch) for epoch in (2, 2, 3))
    assert np.array_equal(a, b) and not np.array_equal(a, c)
    with randomness.samples(1, 2, np.arange(10, 10 + len(twice))[::-1]):  # the samples in another order
        np.testing.assert_array_equal(transform(twice[::-1])[::-1], a)


def test_outside_of_a_loader_the_own_seed_decides(images):
    many = np.concatenate([images] * 8)
    first, same, other = (RandomHorizontalFlip(seed=seed) for seed in (3, 3, 4))
    a, b = first(many), first(many)
    assert np.array_equal(a, same(many)) and np.array_equal(b, same(many))
    assert not np.array_equal(a, b) and not np.array_equal(a, other(many))


def test_the_same_transform_twice_draws_other_numbers(images):
    flip = RandomHorizontalFlip()
    x = np.concatenate([images] * 20)
    twice = in_loader(Compose([flip, flip]), x)
    assert 0.3 < np.mean([np.array_equal(a, b) for a, b in zip(twice, x)]) < 0.7


def test_uniform_numbers_are_uniform():
    with randomness.samples(0, 0, np.arange(20000)):
        u = randomness.uniforms(3, (20000,), None, None)
        more = randomness.uniforms(1, (20000,), None, None)
    u = np.concatenate([u, more], 1)
    assert u.dtype == np.float32 and u.min() >= 0 and u.max() < 1
    for column in u.T:  # 6 standard deviations
        counts = np.histogram(column, 20, (0, 1))[0]
        assert np.abs(counts - 1000).max() < 6 * 31
    assert np.abs(np.corrcoef(u.T) - np.eye(4)).max() < 6 / np.sqrt(20000)
    assert np.abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 6 / np.sqrt(20000)


def test_every_place_of_a_crop_is_taken():
    x = np.arange(9 * 9).reshape(1, 9, 9)
    crop = RandomCrop((7, 8), seed=0)
    corners = {int(crop(x)[0, 0, 0]) for _ in range(200)}
    assert corners == {9 * top + left for top in range(3) for left in range(2)}


def test_flips_with_probability(images):
    assert np.array_equal(RandomHorizontalFlip(1.0)(images), images[..., ::-1])
    assert np.array_equal(RandomHorizontalFlip(0.0)(images), images)


def test_in_data_loaders(images):
    """Datasets transform single images, the loader whole batches; workers change nothing."""
    x = np.concatenate([images] * 4)
    pipeline = Compose([RandomCrop(8, 2), RandomHorizontalFlip(), ColorJitter(0.3)])
    data = ArrayDataset(x, np.arange(24), transform=pipeline)
    options = {"batch_size": 5, "shuffle": True, "seed": 3}
    here = [a for _ in range(2) for a, _ in DataLoader(data, **options)]
    for workers in ({"num_workers": 2}, {"num_workers": 2, "worker_kind": "thread"}):
        with DataLoader(data, **options, **workers) as loader:
            for a, (b, _) in zip(here, loader):
                np.testing.assert_array_equal(a, b)
    jitted = JitCompose([PermuteFromTo((0, 1, 2), (0, 1, 2)), RandomHorizontalFlip(), Normalize(0.5, 0.5)])
    whole = [
        DataLoader(ArrayDataset(x, np.arange(24)), transform=t, **options) for t in (jitted, Compose(jitted.transforms))
    ]
    for (a, _), (b, _) in zip(*whole):
        assert isinstance(a, Tensor) and isinstance(b, np.ndarray)
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-5)
    with pytest.raises(ShapeError, match="got one image where the loader makes 5"):
        list(DataLoader(ArrayDataset(x), transform=lambda batch: RandomHorizontalFlip()(batch[0]), **options))


def test_jit_compose_is_one_program(images):
    compose = JitCompose([Normalize(0.5, 0.5), JitCompose([RandomHorizontalFlip()]), lambda x: x * 2, EvalAndDetach()])
    for _ in range(3):
        result = compose(images)
    assert compose.jitted.traces == 1 and result.evaled and result.shape == images.shape
    assert not JitCompose([Normalize(0.5, 0.5)], enabled=False)(images).evaled
    again = pickle.loads(pickle.dumps(JitCompose([Normalize(0.5, 0.5)])))
    assert again(images).shape == images.shape


def test_random_numbers_are_not_drawn_in_a_trace(images):
    flip = RandomHorizontalFlip()
    with pytest.raises(TracerError, match="RandomHorizontalFlip inside a traced function[^$]*JitCompose"):
        pg.jit(lambda x: flip(x))(Tensor(images))


# ---- values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(4, 5), (16, 3), (8, 9), (20, 31)])
@pytest.mark.parametrize("antialias", [False, True])
def test_resize_is_torchs(size, antialias, rng):
    x = rng.random((2, 3, 8, 9), np.float32)
    expected = torch.nn.functional.interpolate(torch.tensor(x), size, mode="bilinear", antialias=antialias).numpy()
    np.testing.assert_allclose(Resize(size, antialias=antialias)(x), expected, rtol=1e-5, atol=1e-6)
    nearest = torch.nn.functional.interpolate(torch.tensor(x), size, mode="nearest-exact").numpy()
    np.testing.assert_array_equal(Resize(size, "nearest")(x[0]), nearest[0])


def test_resize_of_bytes_is_pillows(rng):
    x = rng.integers(0, 256, (20, 30), np.uint8)
    expected = np.asarray(Image.fromarray(x).resize((11, 7), Image.Resampling.BILINEAR))
    # Pillow rounds between its two passes, too
    assert np.abs(Resize((7, 11))(x[None])[0].astype(int) - expected.astype(int)).max() <= 1
    assert Resize(10)(np.zeros((3, 20, 31), np.float64)).shape == (3, 10, 15)
    assert Resize(10)(np.zeros((3, 31, 20), np.float16)).dtype == np.float16


def test_normalize_and_to_tensor_are_torchs(images, device):
    x = ToTensor(device)(images)
    assert x.device == device and x.dtype == np.float32
    np.testing.assert_array_equal(x.numpy(), (torch.tensor(images).float() / 255).numpy())
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)
    m, s = (torch.tensor(value).reshape(3, 1, 1) for value in (mean, std))
    expected = ((torch.tensor(images).float() / 255 - m) / s).numpy()
    np.testing.assert_allclose(Normalize(mean, std)(x).numpy(), expected, rtol=1e-6)
    assert Normalize(mean, std)(images.astype(np.float16)).dtype == np.float16
    assert Normalize(0.5, 2.0)(images).dtype == np.float32
    for kept in (np.float64, np.int32, np.bool_):
        assert ToTensor()(np.ones(3, kept)).dtype == kept
    picture = ToTensor()(Image.fromarray(images[0, 0]))
    np.testing.assert_array_equal(picture.numpy(), x.numpy()[0, 0])


FACTORS = {"brightness": 1.5, "contrast": 0.3, "saturation": 1.8}


@pytest.mark.parametrize("name", FACTORS)
def test_colours_follow_their_formulas(name, rng):
    x = rng.random((3, 4, 5))
    f = FACTORS[name]
    grey = 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2]
    base = {"brightness": 0, "contrast": grey.mean(), "saturation": grey}[name]
    result = ColorJitter(**{name: (f, f)})(x)
    np.testing.assert_allclose(result, np.clip(base + f * (x - base), 0, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shift", [-0.5, -0.2, 0.1, 0.5])
def test_hue_is_that_of_colorsys(shift, rng):
    x = rng.random((3, 4, 5)).astype(np.float32)
    x[:, 0, 0] = 0.3  # grey has no hue
    x[:, 0, 1], x[:, 0, 2] = 0, (1, 0, 0)
    result = ColorJitter(hue=(shift, shift))(x)
    for i in np.ndindex(4, 5):
        h, s, v = colorsys.rgb_to_hsv(*x[:, *i])
        np.testing.assert_allclose(result[:, *i], colorsys.hsv_to_rgb((h + shift) % 1, s, v), atol=1e-5)


def test_jitter_stays_in_its_range():
    x = np.full((500, 1, 1, 1), 0.1)
    y = ColorJitter(brightness=0.5, seed=0)(x).ravel() * 10
    assert 0.4999 < y.min() < 0.52 and 1.48 < y.max() < 1.5001
    assert ColorJitter()(x) is not None and np.array_equal(ColorJitter()(x), x)


def test_permute_and_crop_places():
    x = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    np.testing.assert_array_equal(PermuteFromTo((0, 1, 2), (2, 0, 1))(x), x.transpose(2, 0, 1))
    np.testing.assert_array_equal(PermuteFromTo("hwc", "chw")(x[None])[0], x.transpose(2, 0, 1))
    np.testing.assert_array_equal(PermuteFromTo((0, 3, 1, 2), (0, 1, 2, 3))(x[None]), x[None].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(CenterCrop((1, 2))(x), x[:, 1:2, 1:3])
    assert CenterCrop(3)(x[..., :3]).shape == (2, 3, 3)


def test_eval_and_detach(device):
    x = pg.Tensor([1.0, 2.0], device=device) * 2
    y = EvalAndDetach()(x)
    assert y.evaled and y.numpy().tolist() == [2, 4]
    with pytest.raises(pg.GradientError):
        pg.grads([x], y.sum())
    array = np.ones(2)
    assert EvalAndDetach()(array) is array


def test_own_transforms(images):
    class Darker(Transform):
        """x times a random number."""

        count = 1

        def apply(self, x, numbers):
            return x * numbers[..., 0, None, None, None]

    x = images.astype(np.float32)
    result = in_loader(Darker(), x)
    np.testing.assert_allclose(in_loader(JitCompose([Darker()]), x).numpy(), result, rtol=1e-6)
    assert repr(Darker()) == "Darker()" and "size=(3, 3)" in repr(CenterCrop(3))


BAD = [
    (lambda: RandomCrop(0), ArgumentError, "size=0"),
    (lambda: RandomCrop((3, 4, 5)), ArgumentError, "size"),
    (lambda: RandomCrop(3, padding=-1), ArgumentError, "padding=-1"),
    (lambda: RandomCrop(3, seed=-1), ArgumentError, "seed=-1"),
    (lambda: CenterCrop(2.5), ArgumentError, "size=2.5"),
    (lambda: RandomHorizontalFlip(1.5), ArgumentError, "p=1.5"),
    (lambda: Resize(3, "cubic"), ArgumentError, "cubic"),
    (lambda: Normalize(0, 0), ArgumentError, "std=0"),
    (lambda: PermuteFromTo((0, 1), (1, 2)), ArgumentError, "order"),
    (lambda: ColorJitter(-1), ArgumentError, "negative"),
    (lambda: ColorJitter(contrast=(2, 1)), ArgumentError, "contrast"),
    (lambda: ColorJitter(hue=0.6), ArgumentError, "hue=0.6"),
    (lambda: Compose(3), ArgumentError, "list of transforms"),
    (lambda: JitCompose([3]), ArgumentError, "list of transforms"),
    (lambda: CenterCrop(9)(np.zeros((3, 8, 9))), ShapeError, "8 x 9 pixels"),
    (lambda: CenterCrop(2)(np.zeros((8, 9))), ShapeError, r"shape \[8, 9\]"),
    (lambda: RandomCrop(2)([1]), ShapeError, "list"),
    (lambda: Normalize((1, 2), (1, 2))(np.zeros((3, 2, 2))), ShapeError, "2 means"),
    (lambda: ColorJitter(saturation=1)(np.zeros((1, 2, 2))), ShapeError, "3, H, W"),
    (lambda: Resize(3)(np.zeros((3, 0, 4))), ShapeError, "without pixels"),
    (lambda: PermuteFromTo("hwc", "chw")(np.zeros((3, 4))), ShapeError, "shape"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(BAD)))
def test_bad_use(case):
    call, kind, words = BAD[case]
    with pytest.raises(kind, match=words):
        call()


def test_names():
    assert {"Compose", "ToTensor", "JitCompose", "EvalAndDetach"} <= set(transforms.__all__)
    assert all(getattr(transforms, name).__doc__ for name in transforms.__all__)
