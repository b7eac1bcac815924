"""jax.experimental.multihost_utils: what processes tell each other. There is one."""

import numpy as np

from ..convert import as_array
from ..placement import device_get
from ..tree_util import tree_map

__all__ = [
    "assert_equal", "broadcast_one_to_all", "global_array_to_host_local_array", "host_local_array_to_global_array",
    "process_allgather", "reached_preemption_sync_point", "sync_global_devices",
]  # fmt: skip


def broadcast_one_to_all(in_tree, is_source=None):
    """The tree of this process, as NumPy arrays."""
    return tree_map(np.asarray, device_get(in_tree))


def process_allgather(in_tree, tiled=False):
    """The arrays of all processes, NumPy arrays: with a leading axis of size 1, or (tiled) as they are."""
    found = tree_map(np.asarray, device_get(in_tree))
    return found if tiled else tree_map(lambda x: x[None], found)


def sync_global_devices(name):
    """Waits for the other processes."""


def assert_equal(in_tree, fail_message=""):
    """AssertionError if the trees of processes differ."""


def reached_preemption_sync_point(step_id):
    """False: nobody ends this process in advance."""
    return False


def host_local_array_to_global_array(local_inputs, global_mesh, pspecs):
    """The arrays of this process as arrays of all."""
    return tree_map(as_array, local_inputs)


def global_array_to_host_local_array(global_inputs, global_mesh, pspecs):
    """Arrays of all processes as those of this one."""
    return tree_map(as_array, global_inputs)
