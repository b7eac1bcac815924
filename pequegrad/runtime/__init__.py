"""The binding of the C runtime. Nothing else in pequegrad knows C."""
