"""What Async Workloads says and hears."""
