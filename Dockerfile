# Two images of one project: `operator` runs `tiltyard operator`, `worker` the stages and the simulated experts.
#   docker build --target operator -t tiltyard/operator .
#   docker build --target worker -t tiltyard/worker .
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS python
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/*

FROM python AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/tiltyard
WORKDIR /src

# Dependencies by their locks alone; the project is plain Python, so its sources are its installation.
FROM build AS build-operator
COPY requirements/operator.txt .
RUN /opt/pip/bin/pip --python /opt/tiltyard/bin/python install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r operator.txt \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/tiltyard/lib
COPY operator/tiltyard /opt/tiltyard/lib/python3.11/site-packages/tiltyard
COPY jobs/tiltyard_jobs /opt/tiltyard/lib/python3.11/site-packages/tiltyard_jobs
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/tiltyard/lib/python3.11/site-packages/tiltyard*

FROM build AS build-worker
COPY requirements/worker.txt .
RUN /opt/pip/bin/pip --python /opt/tiltyard/bin/python install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r worker.txt \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/tiltyard/lib
COPY jobs/tiltyard_jobs /opt/tiltyard/lib/python3.11/site-packages/tiltyard_jobs
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/tiltyard/lib/python3.11/site-packages/tiltyard*

FROM python AS final
ENV PATH=/opt/tiltyard/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
USER 65532:65532
WORKDIR /tmp

FROM final AS worker
LABEL org.opencontainers.image.title="tiltyard worker" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-worker /opt/tiltyard /opt/tiltyard
ENTRYPOINT ["python", "-m", "tiltyard_jobs"]

FROM final AS operator
LABEL org.opencontainers.image.title="tiltyard operator" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-operator /opt/tiltyard /opt/tiltyard
ENTRYPOINT ["python", "-m", "tiltyard", "operator"]
