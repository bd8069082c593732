"""Makes sandboxes and runs kernels in them; outside, but for what becomes a kernel."""
