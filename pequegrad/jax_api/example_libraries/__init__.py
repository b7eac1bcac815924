"""jax.example_libraries: stax (layers as pairs of functions) and optimizers."""
