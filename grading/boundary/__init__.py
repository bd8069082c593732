"""The conversation between a test and an answer: codec, shared tensors, calls, peers.

Half of it runs beside the learner's code, in the sandbox, where nothing is trusted.
"""
