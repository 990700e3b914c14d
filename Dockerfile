# Images of one project: `operator` runs `tiltyard operator`, `worker` the stages and the simulated experts,
# `worker-full` them too, with an embedder (sentence-transformers) and the hub's benchmarks (datasets; several GB),
# `trainer` is the worker and an environment with TRL (several GB; only a tournament with `spec.training` needs it),
# `lm-eval` the worker and lm-evaluation-harness (for `spec.evaluation.lmEval`).
#   docker build --target operator -t tiltyard/operator .
#   docker build --target worker -t tiltyard/worker .
#   docker build --target worker-full -t tiltyard/worker-full .
#   docker build --target trainer -t tiltyard/trainer .
#   docker build --target lm-eval -t tiltyard/lm-eval .
# Behind a package index or a proxy of one's own: --secret id=pip,src=/etc/pip.conf, --secret id=ca,src=BUNDLE.pem;
# neither stays in the image.
ARG BASE=docker.io/library/debian:bookworm-slim
ARG VERSION=0.1.0
ARG REVISION=unknown

FROM ${BASE} AS python
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/*

FROM python AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv
WORKDIR /src
COPY requirements/build.txt .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/tiltyard \
 && /opt/pip/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r build.txt
ENV INSTALL="/opt/pip/bin/pip --python /opt/tiltyard/bin/python install --no-cache-dir --no-compile" \
    COMPILE="python3 -m compileall -q --invalidation-mode unchecked-hash" \
    SITE=/opt/tiltyard/lib/python3.11/site-packages

FROM build AS wheel
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY jobs jobs
RUN SOURCE_DATE_EPOCH=1767225600 /opt/pip/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist .

# Dependencies from the locks only, in a layer of their own.
FROM build AS build-operator
COPY requirements/operator.txt .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    $INSTALL --require-hashes --only-binary :all: -r operator.txt && $COMPILE $SITE
COPY --from=wheel /dist /dist
RUN $INSTALL --no-deps /dist/*.whl && $COMPILE $SITE/tiltyard $SITE/tiltyard_jobs

FROM build AS build-worker
COPY requirements/worker.txt .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    $INSTALL --require-hashes --only-binary :all: -r worker.txt && $COMPILE $SITE
COPY --from=wheel /dist /dist
RUN $INSTALL --no-deps /dist/*.whl && $COMPILE $SITE/tiltyard $SITE/tiltyard_jobs

FROM build-worker AS build-worker-full
COPY requirements/worker-full.txt .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    $INSTALL --require-hashes --only-binary :all: -r worker-full.txt

# TRL and its dependencies, apart from the worker's: they need other versions of shared packages.
FROM build AS build-trainer
COPY requirements/trainer.txt .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv --without-pip /opt/train \
 && /opt/pip/bin/pip --python /opt/train/bin/python install --no-cache-dir --no-compile --require-hashes \
      --only-binary :all: -r trainer.txt

# lm-evaluation-harness, apart for the same reason. Four of its packages are published only as Python sources: the
# lock's own setuptools makes wheels of them.
FROM build AS build-lm-eval
COPY requirements/lm-eval.txt .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv --without-pip /opt/lm-eval \
 && sed -n '/^setuptools==/,/[^\\]$/p' lm-eval.txt > setuptools.txt \
 && for lock in setuptools lm-eval; do \
      /opt/pip/bin/pip --python /opt/lm-eval/bin/python install --no-cache-dir --no-compile --no-deps --require-hashes \
        --only-binary :all: --no-binary langdetect,rouge-score,sqlitedict,word2number --no-build-isolation \
        -r $lock.txt || exit 1; \
    done

FROM python AS final
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
ENV PATH=/opt/tiltyard/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
USER 65532:65532
WORKDIR /tmp

FROM final AS worker
LABEL org.opencontainers.image.title="tiltyard worker"
COPY --from=build-worker /opt/tiltyard /opt/tiltyard
ENTRYPOINT ["python", "-m", "tiltyard_jobs"]

FROM final AS worker-full
LABEL org.opencontainers.image.title="tiltyard worker-full"
COPY --from=build-worker-full /opt/tiltyard /opt/tiltyard
ENTRYPOINT ["python", "-m", "tiltyard_jobs"]

FROM worker AS trainer
LABEL org.opencontainers.image.title="tiltyard trainer"
COPY --from=build-trainer /opt/train /opt/train

FROM worker AS lm-eval
LABEL org.opencontainers.image.title="tiltyard lm-eval"
COPY --from=build-lm-eval /opt/lm-eval /opt/lm-eval

FROM final AS operator
LABEL org.opencontainers.image.title="tiltyard operator"
COPY --from=build-operator /opt/tiltyard /opt/tiltyard
ENTRYPOINT ["python", "-m", "tiltyard", "operator"]
