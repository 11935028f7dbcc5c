"""The train stages: the loop over batches, and what it costs."""
