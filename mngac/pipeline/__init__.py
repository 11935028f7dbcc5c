"""How a stage is run: the DAG, keys, cache, logs, devices. In no code digest; loads without torch."""
