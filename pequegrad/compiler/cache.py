"""Compiled kernels on disk, so that the next process need not compile them.

The folder is PG_CACHE_DIR, else `pequegrad` in the user's cache folder; it must be the user's own, and nobody else may
write to it. It holds

    <hash of its bytes>.so    a shared object: all kernels that one compiler process compiled
    <key of a kernel>         a symbolic link to the file that holds the kernel
    build-<random>/           compilations under way

Many kernels share a file since loading one takes as long as it takes to look up ten kernels; a lookup is one readlink.
A file is loaded only if it is the user's and its bytes have the hash that its name says: what was truncated or changed
is removed and compiled anew. Files appear by renaming, so processes may share the folder without locks.
"""

import contextlib
import os
import stat
import time
from hashlib import blake2b

from ..core.errors import ArgumentError

DEFAULT_SIZE = "512M"
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_DAY = 86400


def open_cache():
    """The Cache that the environment asks for, or None where there is no folder that can be used."""
    limit = _size_of(os.environ.get("PG_CACHE_SIZE") or DEFAULT_SIZE)
    folder = _folder() if limit else None
    return Cache(folder, limit) if folder and _make_private(folder) else None


def _size_of(text):
    number, unit = (text[:-1], _UNITS[text[-1].upper()]) if text[-1].upper() in _UNITS else (text, 1)
    if not number.isdecimal():
        raise ArgumentError(f"PG_CACHE_SIZE is {text!r}, not a size such as 512M, 2G or 0.")
    return int(number) * unit


def _folder():
    if named := os.environ.get("PG_CACHE_DIR"):
        return os.path.abspath(named)
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # as the XDG specification says
        home = os.environ.get("HOME", "")
        if not os.path.isabs(home):
            return None
        base = os.path.join(home, ".cache")
    return os.path.join(base, "pequegrad")


def _make_private(folder):
    """Makes the folder; False if it cannot be made or written to, or if others own it or may write to it."""
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:
            pass
        found = os.stat(folder)
    except OSError:
        return False
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
    return private and os.access(folder, os.W_OK | os.X_OK)


class Cache:
    """A folder of shared objects, of at most about `limit` bytes."""

    def __init__(self, folder, limit):
        self.folder, self.limit = folder, limit
        self.until_trimmed = 0  # bytes that may be added before the folder's size is looked at

    def find(self, keys):
        """The intact files that hold kernels with these keys: {path: [key, ...]}."""
        files = {}
        for key in keys:
            try:
                files.setdefault(os.readlink(os.path.join(self.folder, key)), []).append(key)
            except OSError:
                pass
        return {os.path.join(self.folder, name): held for name, held in files.items() if self._is_intact(name)}

    def _is_intact(self, name):
        path = os.path.join(self.folder, name)
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                found = os.fstat(file.fileno())
                if found.st_uid == os.geteuid() and name == _name_of(file.read()):
                    if found.st_mtime < time.time() - _DAY:
                        os.utime(path)  # the time of the last use, to the day
                    return True
            os.unlink(path)
        except OSError:
            pass
        return False

    def add(self, keys, path):
        """Moves a shared object, from a folder that `build_folder` made, into the cache, if it can be kept."""
        try:
            with open(path, "rb") as file:
                content = file.read()
            name = _name_of(content)
            os.chmod(path, 0o700)
            os.rename(path, os.path.join(self.folder, name))
            for key in keys:
                link = f"{path}.{key}"
                os.symlink(name, link)
                os.rename(link, os.path.join(self.folder, key))
            self.until_trimmed -= len(content)
            if self.until_trimmed < 0:
                self.until_trimmed = self.limit // 16
                self._trim()
        except OSError:  # no room, or a file system without links: the next process compiles again
            pass

    def _trim(self):
        """If the folder is too large, removes the files that were not used for the longest time, and links to them."""
        files, links, total = [], [], 0
        for entry in os.scandir(self.folder):
            try:
                found = entry.stat(follow_symlinks=False)
                if entry.name.startswith("build-"):
                    if found.st_mtime < time.time() - _DAY:  # of a process that was killed
                        _remove_folder(entry.path)
                elif entry.is_symlink():
                    links.append((os.readlink(entry.path), entry.path))
                else:
                    files.append((found.st_mtime, entry.name, found.st_size))
                    total += found.st_size
            except OSError:  # another process has removed it
                pass
        if total <= self.limit:
            return
        for _, name, size in sorted(files):
            if total <= self.limit * 3 // 4:
                break
            _remove(os.path.join(self.folder, name))
            total -= size
        for name, path in links:
            if not os.path.exists(os.path.join(self.folder, name)):
                _remove(path)


@contextlib.contextmanager
def build_folder(cache):
    """A new private folder to compile in, from which files can be moved to the cache; removed at the end."""
    import tempfile  # only compiling needs it

    path = os.path.join(cache.folder if cache else tempfile.gettempdir(), f"build-{os.urandom(12).hex()}")
    try:
        os.mkdir(path, 0o700)
        yield path
    finally:
        _remove_folder(path)


def _remove_folder(path):
    """Removes a flat folder."""
    try:
        for entry in list(os.scandir(path)):
            _remove(entry.path)
        os.rmdir(path)
    except OSError:
        pass


def _name_of(content):
    return blake2b(content, digest_size=20).hexdigest() + ".so"


def _remove(path):
    try:
        os.unlink(path)
    except OSError:
        pass
