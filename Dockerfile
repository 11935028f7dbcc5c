# The pinned environment and the commands of the pipeline, on a bare Debian: docs/container.md says how to use it.
FROM python:3.11-slim-bookworm

# git: DVC's experiments and the commit in a record's provenance. A workspace that is mounted belongs to somebody else.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/* \
 && git config --system --add safe.directory '*'

# The packages come before the code, so that a change in the code installs none of them again.
ARG PIP_INDEX_URL
COPY requirements.lock /opt/mngac/
RUN python -m pip install --no-cache-dir --requirement /opt/mngac/requirements.lock

COPY . /opt/mngac
RUN python -m pip install --no-cache-dir --no-deps --editable /opt/mngac \
 && python -m compileall -q /opt/mngac/mngac

RUN useradd --no-create-home mngac \
 && mkdir /workspace /cache \
 && chown mngac /workspace /cache

# A checkout mounted on /workspace brings its own code, which then is what runs. Any user has a home and a name.
ENV MNGAC_CACHE=/cache PYTHONPATH=/workspace HOME=/tmp USER=mngac MPLBACKEND=Agg
USER mngac
WORKDIR /workspace
VOLUME ["/workspace", "/cache"]
CMD ["mngac", "--help"]
