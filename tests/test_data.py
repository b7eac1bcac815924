"""Datasets, collating, downloads and readers of files (MNIST: test_datasets.py)."""

import doctest
import hashlib
import http.server
import importlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections import namedtuple

import numpy as np
import pytest
from PIL import Image

import pequegrad as pg
from pequegrad import ArgumentError, DataFileError, IndexingError, ShapeError, data
from pequegrad.core.errors import MissingPackageError
from pequegrad.data import (
    CIFAR10,
    CIFAR100,
    MNIST,
    ArrayDataset,
    Bytes,
    Characters,
    ConcatDataset,
    DataLoader,
    Dataset,
    ImageFolder,
    Subset,
    TensorDataset,
    TokenWindows,
    cifar,
    default_collate,
    download,
    mnist,
    random_split,
    read_cifar,
    read_idx,
    read_image,
    read_text,
)
from pequegrad.tensor import Tensor

MODULES = """batches cifar crews datasets downloads images loader mnist processes randomness text wire worker transforms.arrays
    transforms.base transforms.color transforms.compose transforms.geometry""".split()


@pytest.mark.parametrize("name", ["", *MODULES])
def test_examples_in_docstrings(name):
    module = importlib.import_module(f"pequegrad.data{'.' * bool(name)}{name}")
    names = {n: getattr(data, n) for n in dir(data) if n in data.__all__}
    names |= {n: getattr(data.transforms, n) for n in data.transforms.__all__} | {"np": np, "Tensor": Tensor}
    assert not doctest.testmod(module, extraglobs=names).failed


def test_importing_the_package_loads_none_of_it():
    code = "import sys, pequegrad.data, pequegrad; print([m for m in sys.modules if m.startswith('pequegrad.data.')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    assert set(data.__all__) <= set(dir(data)) and pg.data is data
    with pytest.raises(AttributeError, match="nothing"):
        data.nothing  # noqa: B018


# ---- datasets --------------------------------------------------------------------------------------------


def test_array_datasets(rng):
    x, y = rng.random((6, 2)), np.arange(6)
    pairs = ArrayDataset(x, y)
    assert len(pairs) == 6 and np.array_equal(pairs[2][0], x[2]) and pairs[-1][1] == 5
    assert np.array_equal(ArrayDataset(x)[1], x[1]) and len(list(ArrayDataset(y))) == 6
    assert ArrayDataset(y, transform=lambda v: v + 1)[3] == 4 and ArrayDataset(y, transform=abs).batch(y) is None
    for i, part in enumerate(pairs.batch(np.array([4, 0]))):
        assert np.array_equal(part, (x, y)[i][[4, 0]])
    for bad in ((), (x, y[:3]), (x, 1.0)):
        with pytest.raises(ShapeError):
            ArrayDataset(*bad)
    with pytest.raises(ArgumentError, match="no function"):
        ArrayDataset(x, transform=3)


def test_tensor_datasets(tensor):
    pairs = TensorDataset(tensor(np.arange(6.0).reshape(3, 2)), tensor([1, 2, 3]))
    x, y = pairs[1]
    assert type(x) is type(y) is Tensor and x.numpy().tolist() == [2, 3] and y.item() == 2
    assert len(list(pairs)) == 3
    with pytest.raises(IndexError):
        pairs[3]


def test_subsets_and_joined_datasets(rng):
    x = rng.random(10)
    subset = Subset(ArrayDataset(x), [3, -1, 3])
    assert len(subset) == 3 and list(subset) == [x[3], x[9], x[3]]
    assert subset.batch(np.array([1, 0])).tolist() == [x[9], x[3]] and Subset("abc", [1]).batch(np.array([0])) is None
    joined = ArrayDataset(x[:4]) + Subset(ArrayDataset(x), range(4, 10))
    assert isinstance(joined, ConcatDataset) and list(joined) == x.tolist() and joined[-10] == x[0]
    assert list(ConcatDataset([[], [1], [], [2, 3]])) == [1, 2, 3]
    np.testing.assert_array_equal(np.concatenate(list(DataLoader(joined, 3))), x)
    for bad in (lambda: joined[10], lambda: joined[-11], lambda: Subset(x, [10]), lambda: Subset(x, [-11])):
        with pytest.raises(IndexingError):
            bad()
    with pytest.raises(ArgumentError):
        ConcatDataset([])


@pytest.mark.parametrize("lengths, sizes", [
    ([7, 3], [7, 3]), ([0.7, 0.3], [7, 3]), ([0.33, 0.33, 0.34], [4, 3, 3]), ([10], [10]), ([0, 10], [0, 10]),
])  # fmt: skip
def test_random_split(lengths, sizes):
    parts = random_split(range(10), lengths, seed=2)
    assert [len(part) for part in parts] == sizes
    assert sorted(i for part in parts for i in part) == list(range(10))
    again, other = random_split(range(10), lengths, seed=2), random_split(range(10), lengths, seed=3)
    assert [list(p) for p in parts] == [list(p) for p in again] and [list(p) for p in parts] != [list(p) for p in other]


@pytest.mark.parametrize("lengths", [[5, 4], [0.5, 0.4], [11, -1], [1.5, -0.5], []])
def test_random_split_that_does_not_add_up(lengths):
    with pytest.raises(ArgumentError, match="add up"):
        random_split(range(10), lengths)


def test_a_dataset_defines_its_methods():
    for call in (len, lambda d: d[0]):
        with pytest.raises(NotImplementedError, match="Dataset does not define"):
            call(Dataset())


def test_collate(tensor):
    Point = namedtuple("Point", "x y")
    a = default_collate([Point(np.float64(1), {"k": [1, "s"]}), Point(np.float64(2), {"k": [2, "t"]})])
    assert type(a) is Point and a.x.dtype == np.float64 and a.y["k"][0].tolist() == [1, 2] and a.y["k"][1] == ["s", "t"]
    assert default_collate([1, 2.5]).dtype == np.float32 and default_collate([True, False]).dtype == bool
    assert default_collate([b"a", b"b"]) == [b"a", b"b"] and default_collate([None]) == [None]
    stacked = default_collate([tensor([1.0]), tensor([2.0])])
    assert isinstance(stacked, Tensor) and stacked.evaled and stacked.shape == (2, 1)
    with pytest.raises(ShapeError, match=r"\[2\], \[3\][^$]*fix:[^$]*Resize"):
        default_collate([np.zeros(2), np.zeros(3)])
    with pytest.raises(ShapeError, match="different numbers of parts"):
        default_collate([(1, 2), (1,)])
    with pytest.raises(ArgumentError, match="object cannot be made a batch"):
        default_collate([object()])


# ---- downloads -------------------------------------------------------------------------------------------


@pytest.fixture
def server():
    """A local web server: (its address, what it has been asked for). /short breaks off, /missing is not there."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(404 if self.path == "/missing" else 200)
            self.send_header("Content-Length", "100" if self.path == "/short" else "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args):
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}", asked
    served.shutdown()
    thread.join()
    served.server_close()


HELLO = hashlib.sha256(b"hello").hexdigest()


def test_download(server, tmp_path):
    address, asked = server
    path = tmp_path / "new" / "file"
    for checksum in (None, HELLO, HELLO.upper()):
        assert download(f"{address}/file", path, checksum) == str(path)
    assert path.read_bytes() == b"hello" and asked == ["/file"]
    (tmp_path / "source").write_bytes(b"hello")
    download((tmp_path / "source").as_uri(), tmp_path / "copy", HELLO)
    assert (tmp_path / "copy").read_bytes() == b"hello"


@pytest.mark.parametrize("page, checksum, words", [
    ("/file", "0" * 64, HELLO), ("/missing", None, "Not Found"), ("/short", None, "5 of 100 bytes"),
    ("/short", HELLO, "5 of 100 bytes"), ("refused", None, "could not be downloaded"), ("nonsense", None, "unknown url"),
])  # fmt: skip
def test_downloads_that_fail_leave_nothing_and_say_what_to_do(page, checksum, words, server, tmp_path):
    url = {"refused": "http://127.0.0.1:9/file", "nonsense": "nothing"}.get(page, server[0] + page)
    with pytest.raises(DataFileError, match=words) as caught:
        download(url, tmp_path / "file", checksum, timeout=5)
    assert url in str(caught.value).partition("fix:")[2] and str(tmp_path / "file") in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_but_wrong_is_kept(server, tmp_path):
    (tmp_path / "file").write_bytes(b"other")
    with pytest.raises(DataFileError, match="The file that is there has the SHA-256[^$]*delete it"):
        download(server[0] + "/file", tmp_path / "file", HELLO)
    assert (tmp_path / "file").read_bytes() == b"other" and not server[1]


# ---- images ----------------------------------------------------------------------------------------------


def idx(array):
    return np.array([2048 + array.ndim, *array.shape], ">u4").tobytes() + array.tobytes()


def test_mnist(tmp_path, rng, monkeypatch):
    images = rng.integers(0, 256, (12, 28, 28), np.uint8)
    for name, array in zip(mnist.PARTS, (images, np.arange(12, dtype=np.uint8) % 10, images[:3], np.uint8([7, 8, 9]))):
        (tmp_path / "there").mkdir(exist_ok=True)
        (tmp_path / "there" / (name + ".gz")).write_bytes(__import__("gzip").compress(idx(array)))
    train, test = MNIST(tmp_path / "there"), MNIST(tmp_path / "there", train=False, transform=lambda image: image / 255)
    assert len(train) == 12 and len(test) == 3 and train[11][1] == 1 and train[11][1].dtype == np.int32
    assert np.array_equal(train[5][0], images[5][None]) and np.array_equal(test[1][0], images[1][None] / 255)
    assert read_idx(tmp_path / "there" / "t10k-labels-idx1-ubyte.gz", (None,)).tolist() == [7, 8, 9]
    with pytest.raises(DataFileError, match=r"missing train-images[^$]*fix:[^$]*https://[^$]*download=True"):
        MNIST(tmp_path / "here")
    # downloads are checked: these are not the real files
    monkeypatch.setattr(mnist, "URL", (tmp_path / "there").as_uri() + "/")
    with pytest.raises(DataFileError, match="has the SHA-256"):
        MNIST(tmp_path / "here", download=True)
    sums = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / "there").iterdir()}
    monkeypatch.setattr(mnist, "CHECKSUMS", sums)
    assert len(MNIST(tmp_path / "here", download=True)) == 12 and len(list((tmp_path / "here").iterdir())) == 4


def write_cifar(folder, rng, kind):
    """Files of six images each; returns their bytes by name."""
    folder.mkdir(parents=True)
    files = {}
    for name in (*kind.train, *kind.test):
        labels = np.stack([rng.integers(0, n, 6) for n in kind.classes], 1).astype(np.uint8)
        files[name] = np.concatenate([labels, rng.integers(0, 256, (6, 3072), np.uint8)], 1).tobytes()
    for name, count in zip(kind.names, kind.classes):
        files[name] = "".join(f"kind {i}\n" for i in range(count)).encode() + b"\n"
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


def pack(files, folder, archive):
    with tarfile.open(archive, "w:gz") as packed:
        for name, content in {**files, "../evil.txt": b"evil", "other/readme.html": b"more"}.items():
            member = tarfile.TarInfo(name if "/" in name else f"{folder}/{name}")
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))


def test_cifar10(tmp_path, rng):
    kind = cifar._CIFAR10
    files = write_cifar(tmp_path / kind.folder, rng, kind)
    for folder in (tmp_path, tmp_path / kind.folder):
        train, test = CIFAR10(folder), CIFAR10(folder, train=False)
        assert len(train) == 30 and len(test) == 6 and train.classes == [f"kind {i}" for i in range(10)]
    record = np.frombuffer(files["data_batch_3.bin"], np.uint8).reshape(6, -1)[1]
    image, label = train[13]
    assert np.array_equal(image, record[1:].reshape(3, 32, 32)) and label == record[0] and label.dtype == np.int32
    assert CIFAR10(tmp_path, transform=lambda image: image[:1])[0][0].shape == (1, 32, 32)


def test_cifar100_from_its_archive(tmp_path, rng, monkeypatch):
    kind = cifar._CIFAR100
    files = write_cifar(tmp_path / "source", rng, kind)
    (tmp_path / "data").mkdir()
    with pytest.raises(
        DataFileError, match=r"CIFAR-100 is not there[^$]*fix:[^$]*https://[^$]*cifar-100-binary.tar.gz"
    ):
        CIFAR100(tmp_path / "data")
    pack(files, kind.folder, tmp_path / "source" / kind.archive)
    monkeypatch.setattr(cifar, "URL", (tmp_path / "source").as_uri() + "/")
    with pytest.raises(DataFileError, match="has the SHA-256"):
        CIFAR100(tmp_path / "data", download=True)
    monkeypatch.setattr(kind, "sha256", hashlib.sha256((tmp_path / "source" / kind.archive).read_bytes()).hexdigest())
    fine, coarse = CIFAR100(tmp_path / "data", download=True), CIFAR100(tmp_path / "data", coarse=True)
    records = np.frombuffer(files["train.bin"], np.uint8).reshape(6, -1)
    assert [int(label) for _, label in fine] == records[:, 1].tolist() and len(fine.classes) == 100
    assert [int(label) for _, label in coarse] == records[:, 0].tolist() and len(coarse.classes) == 20
    assert not (tmp_path / "evil.txt").exists() and sorted(os.listdir(tmp_path / "data" / kind.folder)) == sorted(files)


def test_broken_cifar_files(tmp_path, rng):
    kind = cifar._CIFAR10
    good = write_cifar(tmp_path / "good", rng, kind)["test_batch.bin"]
    path = tmp_path / "file.bin"
    for content, words in ((good[:-1], "no multiple of 3,073"), (b"", "0 bytes"), (b"\x0a" + good[1:], "labels up to")):
        path.write_bytes(content)
        with pytest.raises(DataFileError, match=words + r"[^$]*file.bin\n  fix:"):
            read_cifar(path)
    with pytest.raises(DataFileError, match="No such file"):
        read_cifar(tmp_path / "nowhere")
    archive = tmp_path / kind.archive
    for content in (b"no archive", b"\x1f\x8b\x08 broken"):
        archive.write_bytes(content)
        with pytest.raises(DataFileError, match="cannot be unpacked"):
            CIFAR10(tmp_path)
    pack({"data_batch_1.bin": good}, kind.folder, archive)
    with pytest.raises(DataFileError, match="lacks data_batch_2.bin"):
        CIFAR10(tmp_path)
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(DataFileError):
        CIFAR10(tmp_path)


@pytest.fixture
def photos(tmp_path, rng):
    for name in ("dog/b.png", "cat/deep/2.bmp", "cat/1.PNG", "cat/notes.txt", "dog/a.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".txt":
            Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8)).save(path)
        else:
            path.write_text("no image")
    return tmp_path


def test_image_folders(photos):
    folder = ImageFolder(photos)
    assert folder.classes == ["cat", "dog"] and folder.labels == [0, 0, 1, 1] and len(folder) == 4
    assert [os.path.relpath(path, photos) for path in folder.paths] == [
        "cat/1.PNG",
        "cat/deep/2.bmp",
        "dog/a.png",
        "dog/b.png",
    ]
    for i in range(4):
        image, label = folder[i]
        expected = np.asarray(Image.open(folder.paths[i])).transpose(2, 0, 1)
        assert image.dtype == np.uint8 and np.array_equal(image, expected) and label == folder.labels[i]
    small = ImageFolder(photos, transform=data.transforms.Resize((2, 3)), mode="L")
    with DataLoader(small, 4, num_workers=1) as loader:
        ((images, labels),) = loader
    assert images.shape == (4, 1, 2, 3) and labels.tolist() == [0, 0, 1, 1]
    assert read_image(folder.paths[0], "RGBA").shape == (4, 5, 7)


def test_broken_image_folders(photos, tmp_path, monkeypatch):
    (photos / "cat" / "1.PNG").write_bytes((photos / "cat" / "1.PNG").read_bytes()[:60])
    with pytest.raises(DataFileError, match=r"cannot be read[^$]*1.PNG\n  fix:"):
        ImageFolder(photos)[0]
    with pytest.raises(DataFileError, match="cannot be read"):
        read_image(photos / "cat" / "notes.txt")
    with pytest.raises(DataFileError, match="no such folder"):
        ImageFolder(photos / "nowhere")
    with pytest.raises(DataFileError, match="no images in folders of classes"):
        ImageFolder(photos / "dog")
    with pytest.raises(ArgumentError, match="CMYK"):
        ImageFolder(photos, mode="CMYK")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingPackageError, match="pip install pillow"):
        read_image(photos / "dog" / "a.png")


# ---- text ------------------------------------------------------------------------------------------------


def test_text_files(tmp_path):
    (tmp_path / "a.txt").write_bytes("né\r\n".encode())
    (tmp_path / "b.txt").write_bytes("ö".encode("latin-1"))
    assert read_text(tmp_path / "a.txt") == "né\n" and read_text([tmp_path / "a.txt"] * 2) == "né\nné\n"
    assert read_text(tmp_path / "b.txt", "latin-1") == "ö"
    with pytest.raises(DataFileError, match=r"not utf-8[^$]*b.txt\n  fix:[^$]*latin-1"):
        read_text(tmp_path / "b.txt")
    with pytest.raises(DataFileError, match="No such file"):
        read_text(tmp_path / "nowhere")


def test_characters():
    text = "zum Beispiel: ∑ 🙂\n"
    vocabulary = Characters.of(text)
    tokens = vocabulary.encode(text)
    assert tokens.dtype == np.int32 and len(vocabulary) == len(set(text)) == tokens.max() + 1
    assert tokens.tolist() == [vocabulary.alphabet.index(c) for c in text] and vocabulary.decode(tokens) == text
    assert Characters("cab").encode("abc").tolist() == [1, 2, 0] and Characters("cab").decode([1, 2, 0]) == "abc"
    assert vocabulary.decode([]) == "" == Characters("").decode([]) and Characters("").encode("").shape == (0,)
    assert Characters("ab") == Characters.of("ba") != Characters("ba") and repr(Characters("ab")) == "Characters('ab')"
    for bad in (lambda: vocabulary.encode("q"), lambda: Characters("").encode("a"), lambda: Characters("aa"),
                lambda: Characters("ab").decode([2]), lambda: Characters("ab").decode([-1]),
                lambda: Characters("ab").decode([0.5])):  # fmt: skip
        with pytest.raises(ArgumentError):
            bad()


def test_bytes():
    assert len(Bytes()) == 256 and Bytes().encode(b"\xff\0").tolist() == [255, 0]
    assert Bytes().decode(Bytes().encode("né 🙂")) == "né 🙂" and Bytes().decode([255]) == "\ufffd"
    with pytest.raises(ArgumentError):
        Bytes().decode([256])


@pytest.mark.parametrize(
    "length, stride, count", [(3, None, 3), (3, 1, 7), (3, 4, 2), (9, None, 1), (1, 1, 9), (1, 9, 1)]
)
def test_token_windows(length, stride, count):
    tokens = np.arange(100, 110, dtype=np.int32)
    windows = TokenWindows(tokens, length, stride)
    assert len(windows) == count == len(list(windows))
    for i, (x, y) in enumerate(windows):
        start = i * (stride or length)
        assert x.tolist() == tokens[start : start + length].tolist() and (y == x + 1).all() and x.dtype == np.int32
    x, y = next(iter(DataLoader(windows, count)))
    assert x.shape == y.shape == (count, length) and (y == x + 1).all()
    for bad in ((tokens, 10), (tokens, 0), (tokens, 3, 0), (tokens[None], 1)):
        with pytest.raises((ShapeError, ArgumentError)):
            TokenWindows(*bad)
    with pytest.raises(IndexError):
        windows[count]
