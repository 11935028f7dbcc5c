"""What a run will take, before anyone pays: jobs, hits, work, hours, space. Computes nothing; loads without torch."""
