"""The ground: what params.yaml may say, read and checked, and what can be named in it. Loads without torch."""
