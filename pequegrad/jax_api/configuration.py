"""jax.config: JAX's switches. Those that mean something here work (`_ACTIONS`, and what reads them); the others keep their values."""

import contextlib
import os

from ..core import dtype as dtypes

# name -> value before anybody changes it; JAX reads them from environment variables of the same name in capitals
_DEFAULTS = {
    "jax_check_tracer_leaks": False,
    "jax_compilation_cache_dir": None,
    "jax_debug_infs": False,
    "jax_debug_nans": False,
    "jax_default_device": None,
    "jax_default_matmul_precision": None,
    "jax_default_prng_impl": "threefry2x32",
    "jax_disable_jit": False,
    "jax_enable_checks": False,
    "jax_enable_compilation_cache": True,
    "jax_enable_custom_prng": False,
    "jax_enable_x64": False,
    "jax_log_compiles": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_platform_name": "",
    "jax_platforms": None,
    "jax_threefry_partitionable": True,
    "jax_traceback_filtering": "auto",
    "jax_transfer_guard": None,
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
        self.values[name] = value
        for action in self.actions.get(name, ()):
            action(value)

    def read(self, name):
        """The value of a switch."""
        return getattr(self, name)

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


config = Config()
config.on_change("jax_enable_x64", lambda on: dtypes.set_default_bits(64 if on else 32))


def _from_environment():
    for name, default in _DEFAULTS.items():
        text = os.environ.get(name.upper())
        if text is not None:
            value = text.lower() in ("1", "true", "yes", "on") if isinstance(default, bool) else text
            config.update(name, value)


_from_environment()
