"""jax.distributed: there is one process."""

__all__ = ["initialize", "is_initialized", "shutdown"]

_initialized = False


def initialize(coordinator_address=None, num_processes=None, process_id=None, local_device_ids=None, cluster_detection_method=None,
               initialization_timeout=300, heartbeat_timeout_seconds=100, shutdown_timeout_seconds=300,
               coordinator_bind_address=None, slice_index=None):  # fmt: skip
    """Begins a group of processes, of this one alone: num_processes is 1."""
    global _initialized
    if num_processes is None:
        raise ValueError("Number of processes must be defined: num_processes=1.")
    if num_processes != 1 or process_id not in (None, 0):
        raise NotImplementedError(f"A group of {num_processes} processes: there is one process here.")
    if _initialized:
        raise RuntimeError("distributed.initialize should only be called once.")
    _initialized = True


def is_initialized():
    """True after `initialize`."""
    return _initialized


def shutdown():
    """Ends the group."""
    global _initialized
    _initialized = False
