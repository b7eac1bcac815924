"""Memory and threads of the devices."""

from ..core.device import Device
from ..core.device import device as devices
from ..core.errors import ArgumentError
from . import library


def memory_stats(device=devices.cpu):
    """Bytes and counts of a device: in_use, peak_in_use, cached, limit, allocations, system_allocations, programs."""
    return library.memory_stats(devices(device))


def empty_cache(device=devices.cpu):
    """Gives memory that is kept for reuse back to the operating system."""
    library.lib.pg_device_empty_cache(devices(device).handle)


def set_memory_limit(size, device=devices.cpu):
    """No more than `size` bytes are taken on the device; above that OutOfMemoryError is raised."""
    if size < 0:
        raise ArgumentError(f"{size} is not a number of bytes.")
    library.lib.pg_device_set_memory_limit(devices(device).handle, size)


def num_threads():
    """The number of threads that CPU kernels use."""
    return library.lib.pg_num_threads()


def set_num_threads(n):
    """Sets the number of threads that CPU kernels use (also: PG_NUM_THREADS)."""
    library.check(library.lib.pg_set_num_threads(n), invalid=ArgumentError)


def sync_cuda_device():
    """Waits for the CUDA device, if it was used; otherwise there is nothing to wait for."""
    opened = Device("cuda")._handle
    if opened is not None:
        library.check(library.lib.pg_device_synchronize(opened))
