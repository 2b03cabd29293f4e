#!/bin/sh
# images.sh ROOM...: build the image of each room, and write their names to .tools/images and, as Helm values,
# to .tools/images.yaml. A tag is the image's own id: a room that did not change keeps its name, so its pods stay.
set -eu

rm -f .tools/images.new .tools/images.yaml.new
for room in "$@"; do
    echo "image of $room ..." >&2
    # Provenance holds times, and would give the same image another id.
    id=$(docker buildx build --load --quiet --provenance=false --build-arg "SERVICE=$room" \
        --build-arg PYTHON_IMAGE --build-arg PIP_INDEX_URL --build-arg UV_DEFAULT_INDEX .)
    tag=$(echo "${id#sha256:}" | cut -c 1-12)
    docker tag "$id" "switchboard/$room:$tag"
    echo "switchboard/$room:$tag" >> .tools/images.new
    value=$(echo "$room" | sed 's/_model/Model/')
    if grep -q "^$value:" charts/switchboard/values.yaml; then  # the chart does not run every room yet
        echo "$value: {image: {tag: \"$tag\"}}" >> .tools/images.yaml.new
    fi
done
mv .tools/images.new .tools/images
mv .tools/images.yaml.new .tools/images.yaml
cat .tools/images
