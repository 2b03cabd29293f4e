# Everything that a user or CI types about Kubernetes.
#
# CLUSTER=kind     a kind cluster of its own, made when missing (the default)
# CLUSTER=current  whatever kubectl points at; LOAD names the command that gives it images of the docker engine, such as
#                  LOAD="minikube image load"; without LOAD none are given

CLUSTER ?= kind
NAMESPACE ?= switchboard
RELEASE ?= switchboard
ROOMS := router users tickets registry demo_model
CHART := charts/switchboard

ifeq ($(CLUSTER),kind)
LOAD ?= kind load docker-image --name switchboard
# The user's current context may be any cluster: these targets use kind's alone.
cluster load demo forward e2e smoke: export KUBECONFIG := $(CURDIR)/.tools/kind.kubeconfig
else ifneq ($(CLUSTER),current)
$(error CLUSTER is "kind" or "current", not "$(CLUSTER)")
endif

# Tests load images of their own.
e2e smoke: export LOAD := $(LOAD)

# What a target was told on its command line, to be told to the next one too.
CHOSEN = $(strip $(foreach name,CLUSTER NAMESPACE RELEASE,$(if $(findstring command line,$(origin $(name))),$(name)=$($(name)))))

need = @command -v $(1) >/dev/null || { echo "$(1) is missing; see $(2)" >&2; exit 1; }

.PHONY: images images-test cluster load demo forward down e2e smoke

images: ## build the container image of every service
	$(call need,docker,https://docs.docker.com/get-started/get-docker/)
	@docker info >/dev/null 2>&1 || { echo "the docker engine does not answer: start it" >&2; exit 1; }
	@docker buildx version >/dev/null 2>&1 || { echo "docker lacks buildx; see https://docs.docker.com/build/" >&2; exit 1; }
	@mkdir -p .tools
	@k8s/images.sh $(ROOMS)

images-test: install images ## check that the images start, leave, and hold nothing else
	$(PY) -m pytest tests/containers

demo: cluster load ## everything on Kubernetes, in a kind cluster: make demo [CLUSTER=current LOAD=...]
	helm upgrade --install $(RELEASE) $(CHART) --namespace $(NAMESPACE) --create-namespace \
		--values k8s/demo-values.yaml --values .tools/images.yaml --wait --timeout 10m $(ARGS)
	helm test $(RELEASE) --namespace $(NAMESPACE)
	@echo
	@echo "It runs. Open its ports in another terminal, and ask:"
	@echo "  make forward $(CHOSEN)"
	@echo '  make ask Q="My API calls are failing, what is wrong with my account?"'
	@echo "Restate's UI is then at http://localhost:9070; 'make down$(if $(CHOSEN), $(CHOSEN))' removes what was installed."

forward: ## open the ingress (8080) and Restate's UI (9070) on this machine until Ctrl-C
	kubectl --namespace $(NAMESPACE) port-forward service/$(RELEASE)-restate 8080 9070

ifeq ($(CLUSTER),kind)
down: ## remove what `make demo` made
	$(call need,kind,https://kind.sigs.k8s.io/docs/user/quick-start/#installation)
	kind delete cluster --name switchboard
	@rm -f .tools/kind.kubeconfig
else
down:
	helm uninstall $(RELEASE) --namespace $(NAMESPACE) --ignore-not-found --wait
	$(if $(filter switchboard,$(NAMESPACE)),kubectl delete namespace switchboard --ignore-not-found)
endif

e2e: install cluster load ## the whole cluster suite, on the current kubeconfig with CLUSTER=current
	$(PY) -m pytest tests/cluster $(ARGS)

smoke: install cluster load ## install, ask, upgrade once under load
	$(PY) -m pytest tests/cluster -m smoke $(ARGS)

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
	@k8s/load.sh $(LOAD)
endif
