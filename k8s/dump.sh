#!/usr/bin/env bash
# Writes what tells how it stands, of every namespace with a part of Switchboard in it: k8s/dump.sh <folder>
set -uo pipefail
folder=${1:?usage: k8s/dump.sh <folder>}
PARTS='app.kubernetes.io/name in (switchboard, restate)'

dump() {
  local namespace=$1 here=$folder/$1 pod
  k() { kubectl --namespace "$namespace" "$@"; }
  mkdir -p "$here"
  k get events --sort-by .lastTimestamp --output wide &> "$here/events.txt"
  k get deployments,statefulsets,jobs,cronjobs,pods,services,networkpolicies,pvc --output wide &> "$here/objects.txt"
  k describe pods &> "$here/pods.txt"
  for pod in $(k get pods --output name); do
    k logs "$pod" --all-containers --prefix --timestamps &> "$here/${pod#pod/}.log"
    k logs "$pod" --all-containers --prefix --timestamps --previous &> "$here/${pod#pod/}.previous.log" ||
      rm "$here/${pod#pod/}.previous.log"
  done
  for pod in $(k get pods --selector app.kubernetes.io/component=restate --output name | head -1); do
    k exec "$pod" -- restatectl status &> "$here/restate.txt"
    ask_restate "$pod" sys_invocation > "$here/invocations.json"
    ask_restate "$pod" sys_deployment > "$here/deployments.json"
  done
}

ask_restate() { # through a port that is free
  local line forward
  exec 3< <(exec kubectl --namespace "$namespace" port-forward "$1" :9070 2>&1)
  forward=$!
  read -r -t 20 line <&3
  line=${line#*127.0.0.1:}
  curl --silent --show-error --max-time 30 "http://127.0.0.1:${line%% *}/query" \
    --header 'content-type: application/json' --header 'accept: application/json' \
    --data "{\"query\": \"SELECT * FROM $2\"}" 2>&1
  kill "$forward" 2> /dev/null
}

mkdir -p "$folder"
kubectl get nodes --output wide &> "$folder/nodes.txt"
for namespace in $(kubectl get pods --all-namespaces --selector "$PARTS" --no-headers | awk '{print $1}' | sort -u); do
  dump "$namespace"
done
