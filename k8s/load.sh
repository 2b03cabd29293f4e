#!/bin/sh
# load.sh: call the command whose words are in LOAD with the names in .tools/images that some node of the cluster does not have yet.
set -eu
kubectl get nodes --output jsonpath='{range .items[*]}{.status.images[*].names}{"\n"}{end}' > .tools/nodes

missing=
while read -r image; do
    if grep --quiet --invert-match --fixed-strings "/$image\"" .tools/nodes; then
        missing="$missing $image"
    fi
done < .tools/images
if [ -n "$missing" ]; then
    set -f # words, and nothing else
    $LOAD $missing
fi
