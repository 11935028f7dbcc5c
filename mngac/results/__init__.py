"""Records -> rows, tests, tables: what was measured, told. Loads without torch."""
