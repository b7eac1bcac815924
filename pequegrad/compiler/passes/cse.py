"""Common subexpressions: equal primitives with equal parameters and inputs are one node.

Not merged are nodes with effects, host functions, and barriers, whose purpose is that what lies behind them is computed
again. Parameters are compared exactly; graphs among them by their structure. Operands of commutative primitives
may change places. Random numbers are functions of their key, so equal draws are one.
"""

from .rewriting import local_pass

cse = local_pass({})  # the Builder merges equal nodes in every pass
