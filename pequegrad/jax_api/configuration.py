"""jax.config: JAX's switches. Those that mean something here work (their actions, and what reads them); the others keep their values.

Each switch is also a context manager: `with jax.debug_nans(True): ...`. Values are those of all threads.
"""

import contextlib
import os
import sys

import numpy as np

from ..core import dtype as dtypes

# name -> value before anybody changes it; JAX reads them from environment variables of the same name in capitals
_DEFAULTS = {
    "jax_allow_f16_reductions": True,
    "jax_array_garbage_collection_guard": None,
    "jax_check_tracer_leaks": False,
    "jax_compilation_cache_dir": None,
    "jax_cpu_enable_async_dispatch": True,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
    "jax_debug_nans": False,
    "jax_default_device": None,
    "jax_default_matmul_precision": None,
    "jax_default_prng_impl": "threefry2x32",
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_distributed_debug": False,
    "jax_dynamic_shapes": False,
    "jax_enable_checks": False,
    "jax_enable_compilation_cache": True,
    "jax_enable_custom_prng": False,
    "jax_enable_x64": False,
    "jax_explain_cache_misses": False,
    "jax_include_full_tracebacks_in_locations": True,
    "jax_legacy_prng_key": "allow",
    "jax_log_compiles": False,
    "jax_no_execution": False,
    "jax_no_tracing": False,
    "jax_num_cpu_devices": -1,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_persistent_cache_min_compile_time_secs": 1.0,
    "jax_persistent_cache_min_entry_size_bytes": 0,
    "jax_platform_name": "",
    "jax_platforms": None,
    "jax_raise_persistent_cache_errors": False,
    "jax_remove_size_one_mesh_axis_from_type": False,
    "jax_softmax_custom_jvp": True,
    "jax_thread_guard": False,
    "jax_threefry_partitionable": True,
    "jax_traceback_filtering": "auto",
    "jax_transfer_guard": None,
    "jax_transfer_guard_device_to_device": None,
    "jax_transfer_guard_device_to_host": None,
    "jax_transfer_guard_host_to_device": None,
    "jax_use_shardy_partitioner": True,
}
_CHOICES = {  # the others take anything
    "jax_numpy_dtype_promotion": ("standard", "strict"),
    "jax_numpy_rank_promotion": ("allow", "warn", "raise"),
    "jax_legacy_prng_key": ("allow", "warn", "error"),
}


class Config:
    """`config.update("jax_enable_x64", True)`; `config.jax_enable_x64`. AttributeError for a name that is no switch."""

    def __init__(self):
        self.__dict__["values"] = dict(_DEFAULTS)
        self.__dict__["actions"] = {}  # name -> functions that are called with the new value

    def update(self, name, value):
        """Gives a switch a value, for all threads."""
        if name not in self.values:
            raise AttributeError(f"Unrecognized config option: {name}")
        if value not in _CHOICES.get(name, (value,)):
            raise ValueError(f"{name} must be one of {_CHOICES[name]}, not {value!r}.")
        if isinstance(_DEFAULTS[name], bool):
            value = bool(value)
        self.values[name] = value
        for action in self.actions.get(name, ()):
            action(value)

    def read(self, name):
        """The value of a switch."""
        return getattr(self, name)

    @property
    def x64_enabled(self):
        """The value of jax_enable_x64."""
        return self.jax_enable_x64

    def __getattr__(self, name):
        values = self.__dict__["values"]
        if name in values:
            return values[name]
        raise AttributeError(f"Unrecognized config option: {name}")

    def __setattr__(self, name, value):
        self.update(name, value)

    def on_change(self, name, action):
        """Calls action(value) whenever the switch gets a value."""
        self.actions.setdefault(name, []).append(action)

    @contextlib.contextmanager
    def temporarily(self, name, value):
        """The switch has this value inside the with block."""
        before = self.values[name]
        self.update(name, value)
        try:
            yield
        finally:
            self.update(name, before)

    def parse_flags_with_absl(self):
        """Takes the values of switches from the command line: --jax_enable_x64, --jax_enable_x64=true, --nojax_enable_x64."""
        for argument in sys.argv[1:]:
            name, given, text = argument.lstrip("-").partition("=")
            if argument.startswith("-") and name in self.values:
                self.update(name, _parsed(name, text) if given else True)
            elif argument.startswith("-") and name.startswith("no") and name[2:] in self.values:
                self.update(name[2:], False)

    def config_with_absl(self):
        """Lets absl's flags have the switches: they are read when absl has parsed the command line."""
        import absl.app
        from absl import flags

        for name, default in _DEFAULTS.items():
            define = flags.DEFINE_bool if isinstance(default, bool) else flags.DEFINE_string
            if name not in flags.FLAGS:
                define(name, self.values[name], "a switch of jax.config")

        def take():
            for name, default in _DEFAULTS.items():
                value = getattr(flags.FLAGS, name)
                if value != self.values[name]:
                    self.update(name, value if isinstance(default, bool) or value is None else _parsed(name, value))

        absl.app.call_after_init(take)


def _parsed(name, text):
    """The value of a switch that is given as text."""
    default = _DEFAULTS[name]
    if isinstance(default, bool):
        return text.lower() in ("1", "true", "yes", "y", "on", "t")
    if isinstance(default, (int, float)):
        return type(default)(text)
    return text


config = Config()


class _NoDefault:
    def __repr__(self):
        return "<no default>"


_NO_DEFAULT = _NoDefault()


class Switch:
    """A context manager for a switch: `with switch(value): ...`; without a value that is True, of a bool."""

    def __init__(self, name, default=None):
        self.name, self.default = name, default
        self.__name__ = name.removeprefix("jax_")
        self.__doc__ = f"Context manager: {name} has the value new_val inside."

    def __call__(self, new_val=_NO_DEFAULT):
        if new_val is _NO_DEFAULT and self.default is None:
            raise TypeError(f"{self} needs a value.")
        return config.temporarily(self.name, self.default if new_val is _NO_DEFAULT else new_val)

    value = property(lambda self: config.values[self.name], doc="The value now.")

    def __repr__(self):
        return f"jax.{self.__name__}"


def transfer_guard(new_val):
    """Context manager: transfers between host and device are all allowed, whatever it says: there is one memory."""
    return config.temporarily("jax_transfer_guard", new_val)


_SWITCHES = """allow_f16_reductions array_garbage_collection_guard debug_infs debug_key_reuse debug_nans default_device
    default_matmul_precision default_prng_impl enable_checks enable_custom_prng enable_x64 explain_cache_misses legacy_prng_key
    log_compiles no_execution no_tracing numpy_dtype_promotion numpy_rank_promotion remove_size_one_mesh_axis_from_type
    softmax_custom_jvp thread_guard threefry_partitionable transfer_guard_device_to_device
    transfer_guard_device_to_host transfer_guard_host_to_device check_tracer_leaks""".split()

for _name in _SWITCHES:
    _default = True if isinstance(_DEFAULTS[f"jax_{_name}"], bool) else None
    globals()[_name] = Switch(f"jax_{_name}", _default)


def disable_jit(disable=True):
    """Context manager: jitted functions run as they are written."""
    return config.temporarily("jax_disable_jit", disable)


def checking_leaks():
    """Context manager: jax_check_tracer_leaks is on inside."""
    return config.temporarily("jax_check_tracer_leaks", True)


# ---- what they do ----------------------------------------------------------------------------------------

config.on_change("jax_enable_x64", lambda on: dtypes.set_default_bits(64 if on else 32))
config.on_change("jax_numpy_dtype_promotion", lambda mode: dtypes.set_promotion(mode))


def non_finite_checks():
    """What all numbers are asked under jax_debug_nans and jax_debug_infs, a function of an array; None if both are off."""
    nans, infs = config.jax_debug_nans, config.jax_debug_infs
    if nans and infs:
        return np.isfinite
    return (lambda x: ~np.isnan(x)) if nans else (lambda x: ~np.isinf(x)) if infs else None


_watch = []  # the open `watching` of operations outside of jitted functions


def _watch_operations(_):
    while _watch:
        _watch.pop().__exit__(None, None, None)
    checks = non_finite_checks()
    if checks is not None:
        from ..transforms.debug import check_node
        from ..transforms.watch import watching

        _watch.append(watching(lambda node: check_node(node, checks)))
        _watch[-1].__enter__()


config.on_change("jax_debug_nans", _watch_operations)
config.on_change("jax_debug_infs", _watch_operations)


def read_environment():
    """Takes values from environment variables: when this module is loaded, and when a script first imports jax, which may have set some."""
    for name in _DEFAULTS:
        text = os.environ.get(name.upper())
        if text is not None:
            config.update(name, _parsed(name, text))


read_environment()

__all__ = list(_SWITCHES) + ["checking_leaks", "config", "disable_jit", "transfer_guard"]
