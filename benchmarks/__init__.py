"""How fast dot2gpt is beside its peers: `make benchmark`, or `python -m benchmarks`."""
