"""What goes between the loader and its worker processes: small messages through sockets, everything large through shared memory.

The memory is anonymous (memfd): it has no name, so nothing can be left in /dev/shm, whoever is killed and when. Objects are pickled
with their arrays out of band, so that an array is copied into the memory once and out of it once, and never pickled.
"""

import mmap
import os
import pickle
import socket
import struct
import traceback

import numpy as np

_ALIGNMENT = 64
_LENGTH = struct.Struct("<q")


class Slot:
    """A piece of memory that two processes share through a file descriptor; it grows when it must."""

    def __init__(self, fd=None):
        self.fd = os.memfd_create("pequegrad.data", os.MFD_CLOEXEC) if fd is None else fd
        self.map = None

    def write(self, value):
        """Puts a picklable object into the memory; returns where it lies, for read(). Raises OSError if memory is short."""
        buffers = []
        head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        parts = [memoryview(head), *(buffer.raw() for buffer in buffers)]
        places, end = [], 0
        for part in parts:
            places.append((end, part.nbytes))
            end += -(-part.nbytes // _ALIGNMENT) * _ALIGNMENT
        self._reach(end, grow=True)
        for part, (start, size) in zip(parts, places):
            self.map[start : start + size] = part
        return places

    def read(self, places, copy=True):
        """The object that write() put there; its arrays are copies, or else views of the memory that write to private pages."""
        self._reach(max(start + size for start, size in places), grow=False, private=not copy)
        memory = memoryview(self.map)
        (start, size), *rest = places
        buffers = [memory[start : start + size] for start, size in rest]
        if copy:
            buffers = [_copied(buffer) for buffer in buffers]
        value = pickle.loads(memory[start : start + size], buffers=buffers)
        return value

    def _reach(self, size, grow, private=False):
        """Maps at least `size` bytes."""
        if self.map is not None and len(self.map) >= size:
            return
        if grow:
            size = -(-max(size, mmap.PAGESIZE) // mmap.PAGESIZE) * mmap.PAGESIZE
            os.posix_fallocate(self.fd, 0, size)  # an error now, where writing would be the signal SIGBUS
        self.map = mmap.mmap(self.fd, 0, flags=mmap.MAP_PRIVATE if private else mmap.MAP_SHARED)

    def close(self):
        """Gives the memory back, once the other process has, too."""
        self.map = None
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1


def _copied(buffer):
    own = np.empty(buffer.nbytes, np.uint8)
    own[:] = np.frombuffer(buffer, np.uint8)
    return own


# ---- messages --------------------------------------------------------------------------------------------


def send(connection, message):
    """Sends a picklable message; raises OSError if the other side is gone."""
    data = pickle.dumps(message, protocol=5)
    connection.sendall(_LENGTH.pack(len(data)) + data)


def receive(connection):
    """The next message; raises EOFError if the other side is gone."""
    return pickle.loads(_exactly(connection, _LENGTH.unpack(_exactly(connection, _LENGTH.size))[0]))


def _exactly(connection, size):
    data = bytearray()
    while len(data) < size:
        try:
            piece = connection.recv(size - len(data))
        except ConnectionError:
            piece = b""
        if not piece:
            raise EOFError
        data += piece
    return data


def pair():
    """Two connected sockets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


# ---- errors ----------------------------------------------------------------------------------------------


class WorkerTraceback(Exception):
    """The cause of an error that came from another process: its traceback there, as text."""

    def __str__(self):
        return f'\n"""\n{self.args[0]}"""'


def pack_error(error):
    """(the exception, pickled so that it can be raised elsewhere, or None; its message; its traceback as text)."""
    message = f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    # a second way for exceptions whose __init__ takes something else than what they keep
    for candidate in (error, _Rebuilt(error)):
        try:
            packed = pickle.dumps(candidate)
            again = pickle.loads(packed)
            if type(again) is type(error) and str(again) == str(error):
                return packed, message, trace
        except Exception:
            continue  # exceptions can hold anything, and those that cannot be sent are sent as text
    return None, message, trace


class _Rebuilt:
    """Pickled, it is its exception, made without calling __init__."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        return _rebuild, (type(self.error), self.error.args, vars(self.error))


def _rebuild(kind, arguments, attributes):
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    vars(error).update(attributes)
    return error
