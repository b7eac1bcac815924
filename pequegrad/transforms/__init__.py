"""Functions from functions to functions: derivatives, vectorisation, compilation."""
