"""What the project's speed is measured with: `python -m benchmarks`, and studies that documents refer to."""
