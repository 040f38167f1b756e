"""The local durable loop: it claims what is due, executes, stores, and waits for nothing else."""
