# The operator's image; docs/image.md says how to build it, with and without a container engine, and how large it is.
#
# BASE must bring python3 (3.11 or newer) and needs nothing else, not even a shell. BUILD_BASE must bring the same python3
# in the same place, because the environment made with it refers to it, and a shell, venv and pip; none of it is left in
# the image. In a pipeline, pin both by digest.
ARG BASE=docker.io/library/python:3.13-slim-bookworm
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
WORKDIR /build
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/operator
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: PIP_ROOT_USER_ACTION=ignore
COPY requirements.txt requirements-build.txt ./
# opensearch-py asks for gRPC and never imports it: 20 MB, and native code that would have to be kept up to date.
RUN tools/bin/pip install --no-compile --require-hashes --requirement requirements-build.txt \
 && tools/bin/pip --python /opt/operator/bin/python install --no-compile --require-hashes --requirement requirements.txt \
 && tools/bin/pip --python /opt/operator/bin/python uninstall --yes opensearch-protobufs grpcio protobuf
COPY pyproject.toml README.md ./
COPY operator operator
COPY image/slim.py image/
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && tools/bin/pip --python /opt/operator/bin/python install --no-compile --no-deps dist/*.whl \
 && /opt/operator/bin/python image/slim.py

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="aws-connectivity-test" \
      org.opencontainers.image.description="Does this workload reach MSK, OpenAI, OpenSearch Serverless and RDS with its IAM role?" \
      org.opencontainers.image.vendor="Hyperoptic" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/operator /opt/operator
# USER as a variable: the uid has no entry in /etc/passwd, and kopf ends at once if it cannot tell its user's name.
# The root file system is read-only in the cluster, so there is nowhere to write compiled files to.
ENV PATH=/opt/operator/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    USER=connectivity-operator
USER 65532:65532
WORKDIR /
EXPOSE 8080 9090
ENTRYPOINT ["connectivity-operator"]
CMD ["run"]
