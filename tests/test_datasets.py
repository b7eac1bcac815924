"""The readers of the examples' data: what they return, and what they say about missing and broken files."""

import gzip
import struct

import numpy as np
import pytest

import pequegrad as pg
from examples import datasets

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = datasets.MNIST_PARTS


def idx(array, code=8):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def mnist(tmp_path, rng):
    """A folder with MNIST's four files, 50 and 20 random images."""
    for images, labels, n in ((IMAGES, LABELS, 50), (TEST_IMAGES, TEST_LABELS, 20)):
        (tmp_path / images).write_bytes(idx(rng.integers(0, 256, (n, 28, 28), np.uint8)))
        (tmp_path / labels).write_bytes(idx((np.arange(n) % 10).astype(np.uint8)))
    return tmp_path


def test_digits_are_split_the_same_way_each_time_and_every_class_is_in_both_parts():
    x, y, test_x, test_y = datasets.load_digits()
    assert (x.shape, y.shape, test_x.shape, test_y.shape) == ((1437, 64), (1437,), (360, 64), (360,))
    assert x.dtype == test_x.dtype == np.float32 and y.dtype == test_y.dtype == np.int32
    assert x.min() == test_x.min() == 0 and x.max() == test_x.max() == 1
    # an odd number of a class may give one part one more
    assert np.abs(np.bincount(y) - 4 * np.bincount(test_y)).max() <= 4
    known = {image.tobytes() for image in x}
    assert not any(image.tobytes() in known for image in test_x)
    assert all(np.array_equal(a, b) for a, b in zip((x, y, test_x, test_y), datasets.load_digits()))


def test_digits_are_those_that_scikit_learn_carries():
    source = pytest.importorskip("sklearn.datasets").load_digits()
    with np.load(datasets.DIGITS, allow_pickle=False) as file:
        assert file["images"].dtype == file["labels"].dtype == np.uint8
        np.testing.assert_array_equal(file["images"], source.images)
        np.testing.assert_array_equal(file["labels"], source.target)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 and no more"])
def test_missing_or_broken_digits(content, tmp_path, monkeypatch):
    path = tmp_path / "digits.npz"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(datasets, "DIGITS", str(path))
    with pytest.raises(pg.DataFileError, match=r"cannot be read[^$]*digits.npz\n  fix: +git checkout"):
        datasets.load_digits()


def test_mnist(mnist):
    x, y, test_x, test_y = datasets.load_mnist(mnist)
    assert (x.shape, y.shape, test_x.shape, test_y.shape) == ((50, 784), (50,), (20, 784), (20,))
    assert x.dtype == np.float32 and y.dtype == np.int32
    raw = np.frombuffer((mnist / IMAGES).read_bytes(), np.uint8, offset=16)
    np.testing.assert_allclose(x.ravel(), raw / 255, rtol=1e-6)  # one float32 rounding
    np.testing.assert_array_equal(y, np.arange(50) % 10)


def test_mnist_gzipped_and_with_dots_in_the_names(mnist):
    raw = datasets.load_mnist(mnist)
    for name in datasets.MNIST_PARTS:
        path = mnist / name
        (mnist / (name.replace("-idx", ".idx") + ".gz")).write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert all(np.array_equal(a, b) for a, b in zip(raw, datasets.load_mnist(str(mnist))))


def test_missing_files_are_named_with_a_place_to_get_them(mnist):
    (mnist / LABELS).unlink()
    (mnist / TEST_IMAGES).unlink()
    with pytest.raises(pg.DataFileError) as e:
        datasets.load_mnist(mnist)
    what, where, *_ = str(e.value).splitlines()
    assert str(mnist) in where and LABELS in what and TEST_IMAGES in what and TEST_LABELS not in what
    assert "fix:" in str(e.value) and "yann.lecun.com" in str(e.value)
    with pytest.raises(OSError, match="missing"):  # which DataFileError is
        datasets.load_mnist(mnist / "nowhere")


BROKEN = {
    "truncated": (IMAGES, lambda data: data[:-1], "bytes"),
    "too long": (IMAGES, lambda data: data + b"\0", "bytes"),
    "truncated header": (IMAGES, lambda data: data[:10], "sizes"),
    "empty file": (TEST_LABELS, lambda data: b"", "nothing"),
    "wrong magic": (LABELS, lambda data: b"\x89PNG" + data[4:], "89504e47"),
    "wrong dtype": (LABELS, lambda data: b"\0\0\x0d\x01" + data[4:], "00000d01"),
    "labels as images": (IMAGES, lambda data: idx(np.zeros(50, np.uint8)), "00000803"),
    "wrong image size": (IMAGES, lambda data: idx(np.zeros((50, 8, 8), np.uint8)), "[50, 8, 8]"),
    "huge size": (IMAGES, lambda data: data[:4] + b"\xff" * 4 + data[8:], "4294967295"),
    "no images": (IMAGES, lambda data: idx(np.zeros((0, 28, 28), np.uint8)), "[0, 28, 28]"),
    "mismatched counts": (LABELS, lambda data: idx(np.zeros(49, np.uint8)), "49 labels for the 50 images"),
    "label out of range": (TEST_LABELS, lambda data: idx(np.full(20, 11, np.uint8)), "label 11"),
    "truncated gzip": (IMAGES, lambda data: gzip.compress(data)[:-9], "gzip"),
    "damaged gzip": (IMAGES, lambda data: gzip.compress(data)[:30] + b"\xff" * 40, "gzip"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(case, mnist):
    name, damage, word = BROKEN[case]
    (mnist / name).write_bytes(damage((mnist / name).read_bytes()))
    with pytest.raises(pg.DataFileError) as e:
        datasets.load_mnist(mnist)
    what, where, *_ = str(e.value).splitlines()
    assert where.endswith(str(mnist / name)) and word in what, what
    assert "fix:" in str(e.value)
