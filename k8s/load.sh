#!/bin/sh
# load.sh COMMAND...: call COMMAND with the names in .tools/images that some node of the cluster does not have yet.
set -eu
kubectl get nodes --output jsonpath='{range .items[*]}{.status.images[*].names}{"\n"}{end}' > .tools/nodes

missing=
while read -r image; do
    if grep --quiet --invert-match --fixed-strings "/$image\"" .tools/nodes; then
        missing="$missing $image"
    fi
done < .tools/images
if [ -n "$missing" ]; then
    "$@" $missing
fi
