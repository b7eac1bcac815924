"""Fetching files: whole and verified, or not at all."""

import hashlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request

from ..core.errors import DataFileError


def download(url, path, sha256=None, timeout=30):
    """Makes `path` a copy of what is at `url`, unless it is there already; returns the path.

    sha256: the checksum (hex) that the file must have; one that is there with another is refused, not replaced. The file is
    written beside and renamed, so that it is never there in part. timeout: seconds without an answer. Raises DataFileError, which says
    where to get the file and where to put it, if there is no network or what comes is not what should.

    >>> download("https://example.org/data.bin", "data/data.bin", sha256="9f86d0...")  # doctest: +SKIP
    'data/data.bin'
    """
    path = os.fspath(path)
    if os.path.exists(path):
        if sha256 is not None and (found := _checksum(path)) != sha256.lower():
            raise _failed(url, path, sha256, f"The file that is there has the SHA-256 {found}", "delete it, then ")
        return path
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=os.path.basename(path) + ".")
    try:
        with os.fdopen(handle, "wb") as file:
            _fetch(url, path, file, timeout, sha256)
        if sha256 is not None and (found := _checksum(temporary)) != sha256.lower():
            raise _failed(url, path, sha256, f"What came from {url} has the SHA-256 {found}")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return path


def _fetch(url, path, file, timeout, sha256):
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            shutil.copyfileobj(answer, file)
            size = answer.headers.get("Content-Length")
        if size is not None and int(size) != file.tell():
            raise OSError(f"{file.tell():,} of {int(size):,} bytes came")
        file.flush()
        os.fsync(file.fileno())
    except (OSError, ValueError, EOFError) as error:  # URLError and HTTPException's common forms are OSErrors
        reason = getattr(error, "reason", None) or error
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is an open answer, too
        raise _failed(url, path, sha256, f"{url} could not be downloaded: {reason}") from None


def _failed(url, path, sha256, what, first=""):
    also = f" Its SHA-256 is {sha256}." if sha256 else ""
    return DataFileError(
        what + ".", where=os.path.abspath(path), fix=f"{first}get {url} on any computer and put it there.{also}"
    )


def _checksum(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
