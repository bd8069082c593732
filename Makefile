# From X·Xᵀ to GPT. `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8888
# One thread a process: results repeat, and the processes share the cores evenly.
export OMP_NUM_THREADS ?= 1
export PYTHONHASHSEED ?= 0
.DEFAULT_GOAL := help
.PHONY: help mended book pdf test check machines lab sync execute models grade benchmark benchmark-grading clean evidence mutants

help:  ## this list
	@echo "make book      build the book and say where it is"
	@echo "make pdf       the book as one PDF, through Chromium (minutes)"
	@echo "make test      everything that must hold (what CI runs)"
	@echo "make check     the part of it that takes under a minute"
	@echo "make machines  the notebooks as three other processors would run them (an hour; NAMES=06_multi_head)"
	@echo "make lab       JupyterLab on the course (PORT=8888)"
	@echo "make sync      lesson cells -> dot2gpt/, solutions -> exercise sheets"
	@echo "make execute   run the notebooks that changed (NAMES=06_multi_head for one chapter)"
	@echo "make models    train the models that the book's pages load, and store them (minutes; NAMES=dates)"
	@echo "make evidence  measure the book's claims again (hours; NAMES=06_multi_head for one chapter)"
	@echo "make grade     autograde what lies in submitted/, in a sandbox (NAMES=06_multi_head)"
	@echo "make mutants   whether the tests of the sheets notice small mistakes (long, resumable; NAMES=06_multi_head)"
	@echo "make benchmark how fast the library is beside its peers, as a table (minutes)"
	@echo "make benchmark-grading  submissions a minute beside nbgrader autograde (minutes)"
	@echo "make clean     remove what is built; work in submitted/ stays"

# .venv names the folder that it lies in: mended once that was moved or copied.
mended:
	@test ! -f $(VENV)/pyvenv.cfg || $(PYTHON) -m tools.mended

# A stamp a set of pins: set up again only when the pins change.
$(VENV)/.ready: requirements.txt pyproject.toml | mended
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing requirements.txt into $(VENV). On Linux torch comes with its GPU libraries, some gigabytes;"
	@echo "for the small build, of 200 MB: export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.ready-tests: $(VENV)/.ready tests/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

book: $(VENV)/.ready  ## the HTML book
	@$(BIN)/python -m tools.book

pdf: $(VENV)/.ready-tests book
	@$(BIN)/python -m tools.pdf

lab: $(VENV)/.ready
	@$(BIN)/python -m tools.lab --port $(PORT)

sync: $(VENV)/.ready
	@$(BIN)/python -m tools.sync

execute: sync
	@$(BIN)/python -m tools.execute $(NAMES)
	@$(BIN)/python -m tools.sync  # a sheet carries its solutions' metadata

models: $(VENV)/.ready
	@$(BIN)/python -m tools.models $(NAMES)

evidence: $(VENV)/.ready
	@$(BIN)/python -m tools.evidence --asserts $(NAMES)

grade: $(VENV)/.ready
	@$(BIN)/python -m grading run $(NAMES)

mutants: $(VENV)/.ready-tests
	@$(BIN)/python -m tools.mutants $(NAMES)

# One more than two cores: tests of what does not end wait a good deal.
WORKERS ?= 3
QUICK := tests --ignore=tests/test_pages.py --ignore=tests/test_book.py --ignore=tests/test_lab.py \
	--ignore=tests/test_nbgrader.py --ignore=tests/test_clean.py --ignore=tests/test_sheets.py \
	--ignore=tests/test_sheets_cli.py --ignore=tests/test_mutants.py --ignore=tests/test_pictures_browser.py \
	--ignore=tests/test_gpt_commands.py --ignore=tests/test_benchmarks.py --ignore=tests/test_pins.py \
	--ignore=tests/test_page.py --ignore=tests/test_page_engine.py --ignore=tests/test_models.py \
	--ignore=tests/test_page_sentence.py --ignore=tests/test_page_dates.py \
	--ignore=tests/test_sandbox.py --ignore=tests/test_grading_run.py --ignore=tests/test_grading_class.py \
	--ignore=tests/test_hostile.py --ignore=tests/test_judge.py --ignore=tests/test_grade.py

check: $(VENV)/.ready-tests
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup $(QUICK)

# nbval, for which the last digits of numbers may differ, with kernels that start fast.
NBVAL := --nbval -p tests.printed_numbers -p tests.warm_kernels

test: $(VENV)/.ready-tests book
	$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	$(BIN)/python -m pytest -q -rs -n $(WORKERS) --dist loadgroup tests
	notebooks=$$($(BIN)/python -m tools.machines --left) && \
		TQDM_DISABLE=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q -n 2 --dist loadfile $(NBVAL) $$notebooks

machines: $(VENV)/.ready-tests
	@$(BIN)/python -m tools.machines $(NAMES)

benchmark: $(VENV)/.ready-tests
	@$(BIN)/python -m benchmarks

benchmark-grading: $(VENV)/.ready-tests
	@$(BIN)/python -m benchmarks.grading

clean:
	rm -rf _build .pytest_cache
