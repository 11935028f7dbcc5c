"""The project from Python, without a workspace and without a DAG: what `import mngac` gives."""
