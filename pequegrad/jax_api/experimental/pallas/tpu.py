"""jax.experimental.pallas.tpu: spaces of memory, which are one here, and grids with arguments that index_map reads."""

from . import ANY, GridSpec, MemorySpace, no_block_spec

__all__ = ["ANY", "CompilerParams", "PrefetchScalarGridSpec", "SMEM", "VMEM"]

VMEM, SMEM = MemorySpace("vmem"), MemorySpace("smem")


class CompilerParams:
    """How a TPU would run a kernel, which does not matter here."""

    def __init__(self, **options):
        self.options = options


class PrefetchScalarGridSpec(GridSpec):
    """A GridSpec of which index_map and kernel get Refs on the first `num_scalar_prefetch` arguments, too."""

    def __init__(
        self, num_scalar_prefetch, grid=(), in_specs=no_block_spec, out_specs=no_block_spec, scratch_shapes=()
    ):
        super().__init__(grid, in_specs, out_specs, scratch_shapes)
        self.num_scalar_prefetch = num_scalar_prefetch
