# Made from solutions/ by `make sync`: do not edit.

# %% add_1 (more is tested when it is handed in)
c = checks.Checks("Exercise 1 · Add 1")
c.close("of 2", lambda: add_1(2), 2 + 1, mistakes={"it is taken off": 2 - 1})
c.report()

# %% add_2 (more is tested when it is handed in)
c = checks.Checks("Exercise 2 · Add 2")
c.close("of 2", lambda: add_2(2), 2 + 2, mistakes={"it is taken off": 2 - 2})
c.report()

# %% add_3 (more is tested when it is handed in)
c = checks.Checks("Exercise 3 · Add 3")
c.close("of 2", lambda: add_3(2), 2 + 3, mistakes={"it is taken off": 2 - 3})
c.report()
