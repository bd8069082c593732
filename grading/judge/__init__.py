"""The tests of an assignment, which run outside the sandbox and hold what is hidden."""
