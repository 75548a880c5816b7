"""The Router's moving parts in one event loop: the writer, parked pollers, orders to agents, time."""
