# The same commands in plain pip: pip install -e . (to use it), pip install -e '.[dev]' (to test it)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all lint bench gpu clean

demo: .venv/installed
	$(BIN)/python -m experiments.run --variant rope2d

test: .venv/installed-dev
	$(BIN)/python -m pytest -q analysis experiments
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not gpu"

test-all: .venv/installed-dev
	$(BIN)/python -m pytest -q analysis experiments
	$(BIN)/python -m pytest --cov --cov-report=term

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python -m experiments.bench

# All that waits for a GPU: its tests, the benchmark, a short run, the CIFAR-10 study (stop and start it at will)
DATA ?= cifar10
gpu: .venv/installed-dev
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m experiments.bench --preset cifar10
	$(BIN)/python -m experiments.run --preset cifar10 --data $(DATA) --train.steps 2000 --eval.every 0
	$(BIN)/python -m experiments.study cifar10 --data $(DATA) --runs-per-gpu 4

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/pip install -e .
	touch $@

.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/pip install -e '.[dev]'
	touch .venv/installed $@

clean:
	rm -rf .venv build *.egg-info
