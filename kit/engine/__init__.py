"""The local durable loop: it claims what is due, executes, stores, and waits for nothing else."""

from kit.engine.clock import Clock, SystemClock
from kit.engine.engine import Engine

__all__ = ["Clock", "Engine", "SystemClock"]
