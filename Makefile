# pequegrad: `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
LIBRARY := pequegrad/runtime/libpequegrad.so
BINDING := pequegrad/runtime/_binding.py
# what generated code is compiled with; pequegrad.h is not part of it
SHIPPED := $(addprefix pequegrad/runtime/include/pequegrad_,freestanding.h scalar.h special.h turn.h threefry.h)
HEADER := runtime/include/pequegrad.h
RUNTIME_SOURCES := $(wildcard runtime/core/*.[ch] runtime/cpu/*.[ch] runtime/include/*.h) runtime/Makefile
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
ASAN_TESTS := tests/runtime tests/test_control_flow.py tests/test_callbacks.py tests/test_kernels.py \
    tests/test_array_kernels.py tests/test_attention.py tests/test_sorting.py tests/test_cumulative.py tests/test_dynamic.py \
    tests/test_convolution_tiles.py tests/test_kept_weights.py

.PHONY: all lib run test test-full array-api bench docs c-example lint format asan clean help
.DEFAULT_GOAL := all

all: lib $(BINDING) ## Build the C library and its binding in place, for the active Python

lib: $(LIBRARY) $(SHIPPED) ## Build only the C library

run: $(VENV)/.run lib ## Set up .venv, build, and train the digit classifier
	@$(MAKE) -s --no-print-directory $(BINDING) PYTHON=$(VENV_PYTHON)
	$(VENV_PYTHON) -m examples.mlp_mnist $(ARGS)

test: $(VENV)/.test lib ## Set up .venv, build, and run the test-suite
	@$(MAKE) -s --no-print-directory $(BINDING) PYTHON=$(VENV_PYTHON)
	$(VENV_PYTHON) -m pytest -n $(JOBS) $(ARGS)

test-full: $(VENV)/.test lib ## The test-suite with many more generated cases
	@$(MAKE) -s --no-print-directory $(BINDING) PYTHON=$(VENV_PYTHON)
	PG_TEST_FULL=1 $(VENV_PYTHON) -m pytest -n $(JOBS) $(ARGS)

array-api: $(VENV)/.test lib ## The official array API suite on jax.numpy (SUITE=a checkout of data-apis/array-api-tests with its submodule)
	@test -d "$(SUITE)/array_api_tests" || { echo "SUITE=$(SUITE) is no checkout of github.com/data-apis/array-api-tests" >&2; exit 1; }
	@$(MAKE) -s --no-print-directory $(BINDING) PYTHON=$(VENV_PYTHON)
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check -r $(SUITE)/requirements.txt
	cd $(SUITE) && PYTHONPATH=$(CURDIR) JAX_ENABLE_X64=1 ARRAY_API_TESTS_MODULE=pequegrad.jax_api.numpy ARRAY_API_TESTS_VERSION=2024.12 \
	$(CURDIR)/$(VENV_PYTHON) -m pytest -q -n $(JOBS) array_api_tests --hypothesis-disable-deadline -p no:cacheprovider \
	--xfails-file=$(CURDIR)/tests/jax_api/array_api_xfails.txt $(ARGS)

bench: $(VENV)/.test lib ## Measure against PyTorch and JAX (ARGS=--write: into docs/performance.md; --held-out; --cases ...)
	@$(MAKE) -s --no-print-directory $(BINDING) PYTHON=$(VENV_PYTHON)
	$(VENV_PYTHON) -m benchmarks $(ARGS)

docs: $(VENV)/.test lib ## Write docs/primitives.md and docs/jax/ anew
	@$(MAKE) -s --no-print-directory $(BINDING) PYTHON=$(VENV_PYTHON)
	$(VENV_PYTHON) scripts/primitives_table.py > build/primitives.md && mv build/primitives.md docs/primitives.md
	$(VENV_PYTHON) -m tests.jax_api.pages

lint: $(VENV)/.lint ## Check style: ruff for Python, clang-format for C
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/clang-format --dry-run --Werror $(filter %.c %.h,$(RUNTIME_SOURCES))

format: $(VENV)/.lint ## Apply the style
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/clang-format -i $(filter %.c %.h,$(RUNTIME_SOURCES))

asan: $(VENV)/.test ## Run the kernel tests on a library built with address and undefined-behaviour sanitizers
	$(MAKE) -C runtime -j$(JOBS) BUILD=../build/asan SANITIZE=address,undefined CFLAGS=-O1
	@$(MAKE) -s --no-print-directory $(BINDING) PYTHON=$(VENV_PYTHON)
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
	PG_LIBRARY=$(CURDIR)/build/asan/libpequegrad.so $(VENV_PYTHON) -m pytest -n $(JOBS) $(ASAN_TESTS) $(ARGS)

c-example: build/run_program ## Build examples/run_program.c, which runs saved programs without Python

clean: ## Remove everything that was built (.venv stays)
	rm -rf build dist *.egg-info $(LIBRARY) $(BINDING) pequegrad/runtime/include
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

# ---- the library ---------------------------------------------------------------------------------------

$(LIBRARY): $(RUNTIME_SOURCES)
	@$(MAKE) --no-print-directory -C runtime -j$(JOBS) BUILD=../build
	@cp build/libpequegrad.so $@.new && mv $@.new $@

pequegrad/runtime/include/%.h: runtime/include/%.h
	@mkdir -p $(@D)
	@cp $< $@.new && mv $@.new $@

$(BINDING): $(HEADER) pequegrad/runtime/build_binding.py
	@$(PYTHON) -c "import cffi" 2>/dev/null || { echo "cffi is missing in $(PYTHON): pip install cffi, or use make run / make test, which set up .venv" >&2; exit 1; }
	@$(PYTHON) pequegrad/runtime/build_binding.py $(HEADER) $@

build/run_program: examples/run_program.c $(LIBRARY)
	$(CC) -std=c11 -O2 -Wall -Wextra -Werror -I$(dir $(HEADER)) $< $(abspath $(LIBRARY)) -Wl,-rpath,$(abspath $(dir $(LIBRARY))) -o $@

# ---- the environment -----------------------------------------------------------------------------------

$(VENV)/.made:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "pequegrad needs Python >= 3.11, $(PYTHON) is older: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

define install_rule
$(VENV)/.$(1): pyproject.toml $(VENV)/.made
	$(VENV_PYTHON) scripts/requirements.py $(2) > $(VENV)/$(1).txt
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check -r $(VENV)/$(1).txt
	@touch $$@
endef
$(eval $(call install_rule,run,examples))
$(eval $(call install_rule,test,examples test))
$(eval $(call install_rule,lint,lint))
