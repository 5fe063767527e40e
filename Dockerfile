# One image for operator, runtime, sidecar and command line. It runs as 65532 on a read-only root; /tmp and
# mounted volumes are all that it writes to. Builds for any platform that BASE and the locked wheels exist for; whoever
# publishes it names BASE by digest. All else is fetched by hash.
ARG BASE=python:3.11-slim

# What seldom changes is a layer of its own, so that an upgrade fetches little. botocore describes every AWS service;
# mail needs a few. Bytecode is written now, since the root is read-only then, and unchecked, so that the same sources
# give the same files.
FROM ${BASE} AS dependencies
ENV UV_PROJECT_ENVIRONMENT=/opt/emailflow \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1
COPY build/uv.txt /opt/uv.txt
RUN python3 -m venv /opt/uv \
 && /opt/uv/bin/python -m pip install --quiet --no-cache-dir --no-deps --only-binary=:all: --require-hashes -r /opt/uv.txt
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN /opt/uv/bin/uv sync --quiet --frozen --no-dev --no-install-project \
 && /opt/uv/bin/uv export --quiet --frozen --no-dev --no-emit-project \
      --format cyclonedx1.5 --output-file /opt/emailflow/sbom.cdx.json \
 && cd /opt/emailflow/lib/python3*/site-packages \
 && find botocore/data -mindepth 1 -maxdepth 1 -type d \
      ! -name sesv2 ! -name sns ! -name sts ! -name sso ! -name sso-oidc -exec rm -r {} + \
 && find . -type d \( -name tests -o -name test \) -prune -exec rm -r {} + \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash .

FROM dependencies AS project
COPY README.md LICENSE ./
COPY crds crds
COPY operator operator
COPY runtime runtime
RUN /opt/uv/bin/uv sync --quiet --frozen --no-dev --no-editable \
 && cd /opt/emailflow/lib/python3*/site-packages \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash emailflow_* \
 && mkdir /project \
 && cd / && tar -cf - opt/emailflow/bin/*emailflow* opt/emailflow/lib/python3*/site-packages/emailflow* \
      | tar -xf - -C /project

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="EmailFlow" \
      org.opencontainers.image.description="Event-driven email on Kubernetes: operator, runtime, sidecar, command line" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      dev.emailflow.sbom="/opt/emailflow/sbom.cdx.json"
RUN echo 'emailflow:x:65532:' >>/etc/group \
 && echo 'emailflow:x:65532:65532:EmailFlow:/tmp:/usr/sbin/nologin' >>/etc/passwd
ENV PATH=/opt/emailflow/bin:$PATH \
    HOME=/tmp \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=dependencies /opt/emailflow /opt/emailflow
COPY --from=project /project /
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["emailflow"]
CMD ["--help"]
