# The two commands: `make demo` and `make test`. Each installs first what it needs, and nothing twice.
MAIN := .venv/main/bin
# Our own tree first: the tests and benches lie beside the package and are not installed.
export PYTHONPATH := $(CURDIR)
# Some images tell Python to keep no bytecode: then every process would compile our own modules once more.
unexport PYTHONDONTWRITEBYTECODE
# A whole night with every step takes minutes beside a stack, a broker that the cluster gives up most of one: `make drill`.
DRILLS := tests/integration/on_stack/test_night_live.py tests/integration/on_stack/test_fenced_broker.py
LONG := $(DRILLS:%=--ignore=%)
# Some at once, for one test leaves a core idle half of the time (tests/conftest.py says which stay together); then
# those on the stack by themselves, for they hold it to what it promises within a second.
AT_ONCE := --no-loadscope-reorder -n
ON_STACK := tests/integration/on_stack
# The second part runs whatever the first one says, unless it was interrupted (2); none selected (5) counts in both only.
define in_two_parts
@$(MAIN)/python -m pytest $(1) --ignore=$(ON_STACK) $(AT_ONCE) 3 $(ARGS); apart=$$?; [ $$apart != 2 ] || exit 2; \
 $(MAIN)/python -m pytest $(ON_STACK) $(LONG) $(ARGS); on_stack=$$?; \
 [ $$apart != 5 ] || exit $$on_stack; [ $$on_stack != 5 ] || exit $$apart; exit $$((apart > on_stack ? apart : on_stack))
endef
.DEFAULT_GOAL := help

.PHONY: drill help demo test check install lint types unit integration bench-fresh bench-ack bench-feed bench-feed-latency bench-embeddings bench-analytics bench-night lock clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Needs: Linux x86-64, Python 3.11 or 3.12 with venv, JDK 17 or 21, Maven, 6 GiB of memory (8 for make test), 6 GB of disk."
	@echo "  After make install:  .venv/main/bin/foryou --help"

demo: install ## install, start the stack, let people live on it, print the report, stay up until Ctrl-C
	@$(MAIN)/foryou demo $(ARGS)

test: install-everything lint types ## install, lint, types, and every test, with the real parts
	$(call in_two_parts,tests)

check: install-main ## lint, types, unit tests: no Java, within a minute
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target unit types lint

install: ## make the environments and fetch the jars; says first what it downloads
	@python=$$(infra/local/python) && $$python -m foryou.local.install

install-main:
	@python=$$(infra/local/python) && $$python -m foryou.local.install "main environment"
.PHONY: install-main

install-everything:
	@python=$$(infra/local/python) && $$python -m foryou.local.install everything
.PHONY: install-everything

lint:
	@$(MAIN)/ruff check . && $(MAIN)/ruff format --check --quiet .

types:
	@$(MAIN)/mypy

unit:
	@$(MAIN)/python -m pytest tests --ignore=tests/integration -p no:schemathesis $(AT_ONCE) 4 $(ARGS)

integration: install-everything ## only the tests with the real parts, without a whole live night
	$(call in_two_parts,tests/integration)

bench-fresh: install ## POST to the new value read through Feast by another process, 1,000 events/s for 60 s after a minute of warm-up
	@$(MAIN)/foryou up && $(MAIN)/python -m bench.freshness --rate 1000 --seconds 60 --warm-up 60 $(ARGS)

bench-heartbeats: install ## what a watched minute costs: processor time of each part under 1,000 heartbeats/s for 30 s
	@$(MAIN)/foryou up && $(MAIN)/python -m bench.heartbeats $(ARGS)
.PHONY: bench-heartbeats

bench-ack: install ## POST to acknowledgement
	@$(MAIN)/foryou up && $(MAIN)/python -m bench.collector_ack --rate 1000 --seconds 20 $(ARGS)

bench-intake: install ## the collector: capacity, acks with Kafka up, frozen, flapping, killed, 10,000 connections, drain, a 10x step, peers
	@$(MAIN)/python -m bench.intake $(ARGS)

drill-intake: install ## kill -9, freezes, full and failing disks under load, thirty seeds; an independent checker reads what is left
	@$(MAIN)/python -m bench.intake_drill --seeds 30 $(ARGS)
.PHONY: bench-intake drill-intake
bench-gate: install-main ## what the gate costs per event, without sockets and without Kafka
	@$(MAIN)/python -m bench.gate $(ARGS)
.PHONY: bench-gate

bench-feed: install ## simulated enjoyment against random and popular pages, five seeds with intervals
	@$(MAIN)/foryou up && $(MAIN)/python -m bench.feed --seeds 1 2 3 4 5 $(ARGS)

bench-feed-latency: install ## GET /v1/feed, latencies
	@$(MAIN)/foryou up && $(MAIN)/python -m bench.feed_latency $(ARGS)

bench-import: install-main ## history into the lake, rows per second and core
	@$(MAIN)/python -m bench.importing $(ARGS)
.PHONY: bench-import

bench-embeddings: install ## recall and NDCG of vectors on held-out days against popularity; what they are worth to a viewer
	@$(MAIN)/python -m bench.embeddings $(ARGS) && $(MAIN)/python -m bench.night_enjoyment

bench-analytics: install-main ## ClickHouse: rows/s from Arrow, events/s of the loader, rollup queries and raw scans at 10 million rows
	@$(MAIN)/python -m bench.analytics $(ARGS)

bench-night: install ## a night over five million events: seconds and memory of each step, and DuckDB on the same rows; ARGS=--load: freshness beside it
	@$(MAIN)/python -m bench.night $(ARGS)

fuzz-intake: install-main ## a million hostile bodies at every door: no 5xx, flat memory (some six minutes); ARGS="--seed 2"
	@$(MAIN)/python -m bench.intake_fuzz $(ARGS)
.PHONY: fuzz-intake

drill: install ## a whole night beside a live stack; a broker that was given up; the night, killed anywhere and resumed, thirty seeds (some ninety minutes)
	@$(MAIN)/python -m pytest $(DRILLS) $(ARGS)
	@FORYOU_NIGHT_SEEDS="$$(seq -s ' ' 1 30)" $(MAIN)/python -m pytest tests/integration/test_night_killed.py $(ARGS)

notebook: install-main ## a day in the feed, told from the running stack: opens Jupyter on loopback
	@FORYOU_HOME="$${FORYOU_HOME:+$$(realpath -m -- "$$FORYOU_HOME")}" $(MAIN)/jupyter notebook --ServerApp.ip=127.0.0.1 notebooks/a_day_in_the_feed.ipynb $(ARGS)
.PHONY: notebook

lock: ## resolve requirements/*.in anew into hash-pinned lists
	@python=$$(infra/local/python) && $$python -m venv --clear .cache/lock && .cache/lock/bin/pip install -q --disable-pip-version-check uv
	@cd requirements && for name in main streaming clients; do ../.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header $$name.in -o $$name.txt || exit 1; done

clean: ## remove environments, jars and caches; the data (.home) stays
	@if [ -x $(MAIN)/foryou ]; then $(MAIN)/foryou down; fi
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info infra/local/lib infra/local/*/target
