"""A small, real training on real data, and the runs of it that ``mlconsole demo`` launches."""
