"""In and out: classifiers of files outside the DAG, released checkpoints, exports."""
