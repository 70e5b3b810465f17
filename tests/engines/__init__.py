"""Real engines for tests: brought up on this machine by ``pytest --engines=ssh,slurm,ray``, taken down after it."""
