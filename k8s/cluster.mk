# Everything that a user or CI types about Kubernetes.
#
# CLUSTER=kind     a kind cluster of its own, made when missing (the default)
# CLUSTER=current  whatever kubectl points at; LOAD names the command that gives it images of the docker engine, such as
#                  LOAD="minikube image load"; without LOAD none are given
# OBSERVE=1        Grafana, Prometheus and Tempo beside the demo (k8s/observability/lgtm.yaml)

CLUSTER ?= kind
NAMESPACE ?= switchboard
RELEASE ?= switchboard
ROOMS := router users tickets conversations registry demo_model gateway console
CHART := charts/switchboard
OBSERVE ?=

# What was told on the command line, to be told to the next command too. Then, as in the Makefile: what a person types reaches
# a program by its environment alone.
GIVEN := $(foreach name,CLUSTER NAMESPACE RELEASE OBSERVE,$(if $(findstring command line,$(origin $(name))),$(name)))
$(foreach typed,CLUSTER NAMESPACE RELEASE OBSERVE LOAD,$(if $(filter undefined,$(origin $(typed))),,\
	$(eval override $(typed) := $$(value $(typed)))))

ifneq ($(filter-out 1,$(OBSERVE)),)
$(error OBSERVE is "1" or not set, not "$(OBSERVE)")
endif

ifeq ($(CLUSTER),kind)
LOAD ?= kind load docker-image --name switchboard
# The user's current context may be any cluster: these targets use kind's alone.
cluster load demo observe forward e2e smoke: export KUBECONFIG := $(CURDIR)/.tools/kind.kubeconfig
else ifneq ($(CLUSTER),current)
$(error CLUSTER is "kind" or "current", not "$(CLUSTER)")
endif

# Not for all targets: the services that tests start have settings of these names.
demo observe forward down: override export CLUSTER := $(CLUSTER)
demo observe forward down: override export NAMESPACE := $(NAMESPACE)
demo observe forward down: override export RELEASE := $(RELEASE)
demo observe forward down: override export OBSERVE := $(OBSERVE)
# The tests of a cluster load images of their own.
e2e smoke load: override export LOAD := $(LOAD)

LGTM_KINDS := deployments,services,configmaps,networkpolicies,rolebindings,roles,serviceaccounts
COMMA := ,

say_again = printf '  make %s' $(1); $(foreach name,$(GIVEN),printf ' %s=%s' $(name) "$$$(name)";) echo

need = @command -v $(1) >/dev/null || { echo "$(1) is missing; see $(2)" >&2; exit 1; }

.PHONY: images images-test cluster load demo observe forward down e2e smoke

images: ## build the container image of every service in the chart
	$(call need,docker,https://docs.docker.com/get-started/get-docker/)
	@docker info >/dev/null 2>&1 || { echo "the docker engine does not answer: start it" >&2; exit 1; }
	@docker buildx version >/dev/null 2>&1 || { echo "docker lacks buildx; see https://docs.docker.com/build/" >&2; exit 1; }
	@mkdir -p .tools
	@k8s/images.sh $(ROOMS)

images-test: install images ## check that the images start, leave, and hold nothing else
	$(PY) -m pytest tests/containers

demo: cluster load $(if $(OBSERVE),observe) ## everything on Kubernetes: make demo [OBSERVE=1] [CLUSTER=current LOAD=...]
	$(WITH_ARGS) helm upgrade --install "$$RELEASE" $(CHART) --namespace "$$NAMESPACE" --create-namespace \
		--values k8s/demo-values.yaml $(if $(OBSERVE),--values k8s/observability/lgtm-values.yaml) \
		--values .tools/images.yaml --wait --timeout 10m
	$(if $(OBSERVE),kubectl --namespace "$$NAMESPACE" rollout status deployment/lgtm --timeout 10m)
	helm test "$$RELEASE" --namespace "$$NAMESPACE"
	@echo
	@echo "It runs. Open its ports in another terminal, and ask:"
	@$(call say_again,forward)
	@echo '  make ask Q="My API calls are failing, what is wrong with my account?"'
	@echo '  make chat'
	@echo "The chat page is then at http://localhost:9089, Restate's UI at http://localhost:9070$(if $(OBSERVE),$(COMMA) Grafana at http://localhost:3000). This removes what was installed:"
	@$(call say_again,down)

# Alerts and dashboards are the chart's files: Prometheus and Grafana read them without the operator and the sidecar.
observe: cluster
	kubectl create namespace "$$NAMESPACE" --dry-run=client --output yaml | kubectl apply --filename -
	@$(foreach files,alerts dashboards,$(call configmap,lgtm-$(files),$(CHART)/$(files)) &&) true
	kubectl --namespace "$$NAMESPACE" apply --filename k8s/observability/lgtm.yaml

# Server-side, since an annotation could not hold them.
configmap = kubectl create configmap $(1) --from-file=$(2) --dry-run=client --output yaml \
	| kubectl label --local --filename - app.kubernetes.io/name=lgtm --output yaml \
	| kubectl --namespace "$$NAMESPACE" apply --server-side --force-conflicts --filename -

forward: ## open the gateway (9089), Restate's UI (9070), its ingress (8080) and, OBSERVE=1, Grafana (3000) until Ctrl-C
	$(if $(OBSERVE),$(open) service/lgtm 3000 & grafana=$$!;) $(open) "service/$$RELEASE-gateway" 9089 & gateway=$$!; \
		trap 'kill $$grafana $$gateway' EXIT; $(open) "service/$$RELEASE-restate" 8080 9070

open = kubectl --namespace "$$NAMESPACE" port-forward

ifeq ($(CLUSTER),kind)
down: ## remove what `make demo` made
	$(call need,kind,https://kind.sigs.k8s.io/docs/user/quick-start/#installation)
	kind delete cluster --name switchboard
	@rm -f .tools/kind.kubeconfig
else
down:
	helm uninstall "$$RELEASE" --namespace "$$NAMESPACE" --ignore-not-found --wait
	kubectl --namespace "$$NAMESPACE" delete $(LGTM_KINDS) --selector app.kubernetes.io/name=lgtm --ignore-not-found
	test "$$NAMESPACE" != switchboard || kubectl delete namespace switchboard --ignore-not-found
endif

e2e: install cluster load ## the whole cluster suite, on the current kubeconfig with CLUSTER=current
	$(WITH_ARGS) $(PY) -m pytest tests/cluster

smoke: install cluster load ## install, ask, upgrade once under load
	$(WITH_ARGS) $(PY) -m pytest tests/cluster -m smoke

cluster:
	$(call need,helm,https://helm.sh/docs/intro/install/)
	$(call need,kubectl,https://kubernetes.io/docs/tasks/tools/)
	@mkdir -p .tools
ifeq ($(CLUSTER),kind)
	$(call need,docker,https://docs.docker.com/get-started/get-docker/)
	$(call need,kind,https://kind.sigs.k8s.io/docs/user/quick-start/#installation (or set CLUSTER=current))
	@kind get clusters --quiet | grep --quiet --line-regexp switchboard || \
		env -u KUBECONFIG kind create cluster --config k8s/kind/cluster.yaml --wait 2m
	@kind get kubeconfig --name switchboard > .tools/kind.kubeconfig
endif
	@kubectl get nodes >/dev/null || { echo "no cluster answers: set CLUSTER=kind, or mend the kubeconfig" >&2; exit 1; }

load: images cluster
ifneq ($(LOAD),)
	@k8s/load.sh
endif
