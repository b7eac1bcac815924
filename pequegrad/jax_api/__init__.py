"""JAX's interface. `import pequegrad.jax_api as jnp` has the functions of jax.numpy and the transforms; `import pequegrad.jax_api as jax`
has the shape of the package jax: jax.numpy, jax.lax, jax.random, ...

A name that is here works as JAX 0.10's does; one that cannot work is absent. Everything is imported when it is first used.
"""

import importlib

from .array import Array
from .configuration import config

del globals()["array"]  # the module: jax.numpy's function has the name

__version__ = "0.10.2"  # the JAX whose behaviour this is: libraries look whether theirs is new enough
__version_info__ = (0, 10, 2)

# names by the module that has them; "a:b" is a as b
_NAMES = {
    "at": "ds",
    "ad_checkpoint": "checkpoint checkpoint_policies remat",
    "configuration": (
        "allow_f16_reductions array_garbage_collection_guard check_tracer_leaks checking_leaks debug_infs debug_key_reuse debug_nans "
        "default_device default_matmul_precision default_prng_impl disable_jit enable_checks enable_custom_prng enable_x64 "
        "explain_cache_misses legacy_prng_key log_compiles no_execution no_tracing numpy_dtype_promotion numpy_rank_promotion "
        "remove_size_one_mesh_axis_from_type softmax_custom_jvp thread_guard threefry_partitionable transfer_guard "
        "transfer_guard_device_to_device transfer_guard_device_to_host transfer_guard_host_to_device"
    ),
    "core": "ensure_compile_time_eval",
    "custom_derivatives": "closure_convert custom_gradient custom_jvp custom_vjp",
    "derivatives": "grad hessian jacfwd jacobian jacrev jvp linear_transpose linearize value_and_grad vjp FLOAT0:float0",
    "environment": "print_environment_info",
    "finder": "install",
    "jaxprs": "make_jaxpr typeof",
    "jitting": "clear_caches jit",
    "placement": (
        "Device block_until_ready copy_to_host_async default_backend device_count device_get device_put devices effects_barrier "
        "host_count host_id host_ids live_arrays local_device_count local_devices make_array_from_callback "
        "make_array_from_process_local_data make_array_from_single_device_arrays process_count process_index process_indices"
    ),
    "ref": "Ref empty_ref free_ref freeze new_ref",
    "shaped": "Shard",
    "device_maps": "pmap shard_map smap",
    "sharding": "NamedSharding P make_mesh reshard set_mesh",
    "transforms": "ShapeDtypeStruct eval_shape named_call named_scope pure_callback vmap",
}
_MODULE_OF = {
    entry.split(":")[-1]: (module, entry.split(":")[0]) for module, names in _NAMES.items() for entry in names.split()
}

# the modules that programs may import from jax
MODULES = """ad_checkpoint api_util cloud_tpu_init core custom_batching custom_derivatives debug distributed dlpack dtypes errors
    example_libraries experimental export extend ffi flatten_util image interpreters lax monitoring nn numpy ops profiler random ref scipy sharding
    stages test_util tree tree_util typing version""".split()

__all__ = list(_MODULE_OF) + ["Array", "config"]


def __getattr__(name):
    if name in _MODULE_OF:
        module, name_there = _MODULE_OF[name]
        found = getattr(importlib.import_module(f"{__name__}.{module}"), name_there)
        globals()[name] = found
        return found
    if name in MODULES:
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    elif not name.startswith("_"):
        numpy = importlib.import_module(f"{__name__}.numpy")
        if hasattr(numpy, name):
            return getattr(numpy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    from . import numpy

    return sorted({*__all__, *MODULES, *dir(numpy), "__version__", "__version_info__"})
