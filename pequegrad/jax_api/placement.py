"""jax.devices, jax.device_put, jax.block_until_ready ...: where arrays are. There is one process with one device."""

import gc

import numpy as np

from ..core.device import Device
from ..core.device import device as core_devices
from ..core.errors import ArgumentError
from ..core.evaluate import evaluate
from ..core.tensor import Tensor
from ..primitives.control import to_device
from ..transforms.tree import flatten, flatten_ordered
from .array import Array, is_differentiated
from .convert import convertible, current_device
from .shaped import Sharding

__all__ = [
    "Device", "block_until_ready", "copy_to_host_async", "default_backend", "device_count", "device_get", "device_put",
    "devices", "effects_barrier", "host_count", "host_id", "host_ids", "live_arrays", "local_device_count",
    "local_devices", "make_array_from_callback", "make_array_from_process_local_data",
    "make_array_from_single_device_arrays", "process_count", "process_index", "process_indices",
]  # fmt: skip


# ---- what there is ---------------------------------------------------------------------------------------


def devices(backend=None):
    """The devices of a backend ("cpu"), a list. RuntimeError for a backend that is not there."""
    if backend not in (None, "cpu"):
        raise RuntimeError(f"Unknown backend {backend}. Available backends are ['cpu'].")
    return [core_devices.cpu]


def local_devices(process_index=None, backend=None, host_id=None):
    """The devices of this process, which is all there is."""
    for index in (process_index, host_id):
        if index not in (None, 0):
            raise ValueError(f"Unknown process_index {index}")
    return devices(backend)


def device_count(backend=None):
    """The number of devices: 1."""
    return len(devices(backend))


def local_device_count(backend=None):
    """The number of devices of this process: 1."""
    return len(devices(backend))


def default_backend():
    """The name of the backend: "cpu"."""
    return current_device().platform


def process_index(backend=None):
    """The number of this process: 0."""
    return devices(backend)[0].process_index


def process_count(backend=None):
    """The number of processes: 1."""
    return len(process_indices(backend))


def process_indices(backend=None):
    """The numbers of all processes, a list."""
    return [d.process_index for d in devices(backend)]


host_id, host_count, host_ids = process_index, process_count, process_indices


def check_place(device, backend):
    """RuntimeError, or an error that says more, if jit's `device` or `backend` names what is not there."""
    if device is not None:
        _device_of(device)
    devices(backend)


# ---- moving arrays ---------------------------------------------------------------------------------------


def device_put(x, device=None, *, src=None, donate=False, may_alias=None):
    """The tree x with Arrays for its leaves, on `device`: a Device, a Sharding, or a tree of these that is a prefix of x."""
    leaves, structure = flatten_ordered(x)
    places = [device] * len(leaves) if _is_place(device) else _spread(device, x)
    return structure.unflatten([_put(leaf, place) for leaf, place in zip(leaves, places)])


def _is_place(x):
    from .sharding import PartitionSpec

    return x is None or isinstance(x, (Device, Sharding, PartitionSpec)) or hasattr(x, "layout")


def _spread(places, tree):
    from .tree_util import broadcast_prefix

    return broadcast_prefix(places, tree, is_leaf=_is_place)


def _put(leaf, place):
    found = convertible(leaf)
    if found is None:
        raise ArgumentError(f"device_put: {leaf!r} of type {type(leaf).__name__} is not a valid JAX type.")
    if hasattr(place, "shard_shape"):
        place.shard_shape(found.shape)
    if place is None:
        return found
    target = _device_of(place)
    return found if target is None else to_device(found, target)


def _device_of(place):
    """The Device that a place means; None: the one on which an array is."""
    if isinstance(place, Device):
        return place
    if isinstance(place, Sharding):
        (found,) = place.device_set
        return found
    if _is_place(place):  # a PartitionSpec of the mesh here, or a layout
        return None
    raise ValueError(f"{place!r} is no device and no sharding.")


def device_get(x):
    """The tree x with NumPy arrays for its Arrays, but for those that are being differentiated; other leaves as they are."""
    leaves, structure = flatten_ordered(x)
    block_until_ready(leaves)
    stays = lambda leaf: not isinstance(leaf, Tensor) or is_differentiated(leaf)
    return structure.unflatten([leaf if stays(leaf) else leaf.numpy() for leaf in leaves])


def block_until_ready(x):
    """The tree x, all of whose Arrays have been computed, by one program."""
    found = [leaf for leaf in flatten(x)[0] if isinstance(leaf, Tensor)]
    evaluate([leaf._node for leaf in found if leaf._node.value is None and leaf._node.frame is None])
    return x


def copy_to_host_async(x):
    """Begins to bring the arrays of a tree to the host: they are there."""
    block_until_ready(x)


def effects_barrier():
    """Waits for the effects of programs, which take place before calls return."""


def live_arrays(platform=None):
    """All Arrays that hold values, a list."""
    devices(platform)
    return [x for x in gc.get_objects() if type(x) is Array and x._node.value is not None]


# ---- arrays of parts -------------------------------------------------------------------------------------


def make_array_from_callback(shape, sharding, data_callback, dtype=None):
    """The array of this shape whose part at `index` (a tuple of slices) is data_callback(index)."""
    data = np.asarray(data_callback((slice(None),) * len(shape)))
    return _whole(shape, data if dtype is None else data.astype(dtype), sharding)


def make_array_from_process_local_data(sharding, local_data, global_shape=None):
    """The array of this process's data, which is all of it."""
    return _whole(np.shape(local_data) if global_shape is None else global_shape, local_data, sharding)


def make_array_from_single_device_arrays(shape, sharding, arrays, *, dtype=None):
    """The array of this shape that consists of one array for each device."""
    (array,) = arrays
    return _whole(shape, array, sharding)


def _whole(shape, data, sharding):
    if tuple(shape) != np.shape(data):
        raise ValueError(f"The data has shape {np.shape(data)}, the array {tuple(shape)}.")
    return device_put(data, sharding)
