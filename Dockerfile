# syntax=docker/dockerfile:1
# One image for the API, the workers and migrations: `mintari api`, `mintari worker`, `mintari migrate`.

FROM node:24-bookworm-slim AS page
WORKDIR /src/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --omit=dev --ignore-scripts
COPY schema/schema.graphql ../schema/schema.graphql
COPY web ./
RUN npm run build

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/mintari
COPY deploy/requirements.txt /src/deploy/requirements.txt
RUN pip --python /opt/mintari/bin/python install --require-hashes -r /src/deploy/requirements.txt
WORKDIR /src
COPY . .
COPY --from=page /src/transport/built ./transport/built
# The build backend is among the pinned packages: nothing is fetched here.
RUN pip --python /opt/mintari/bin/python install --no-deps --no-build-isolation --no-index .

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin mintari \
    && install -d -o mintari -g mintari /pictures
COPY --from=build /opt/mintari /opt/mintari
ENV PATH=/opt/mintari/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    API_HOST=0.0.0.0 \
    METRICS_HOST=0.0.0.0 \
    METRICS_PORT=9090
USER 10001
WORKDIR /tmp
EXPOSE 8000 9090
ENTRYPOINT ["mintari"]
CMD ["api"]
