# The granary command: a bridge by default, or any other command of it. See docs/deployment.md.
FROM node:20-bookworm-slim AS build
WORKDIR /src
COPY . .
RUN npm ci && npm run build
# What runs is built; what built it, tests and benchmarks stay behind.
RUN rm -rf node_modules packages/*/src packages/*/node_modules bench/src \
 && npm ci --omit=dev --workspace @granary/cli

FROM node:20-bookworm-slim
RUN groupadd --gid 10001 granary \
 && useradd --uid 10001 --gid granary --home-dir /data --no-create-home --shell /usr/sbin/nologin granary \
 && install --directory --owner granary --group granary --mode 0700 /data
WORKDIR /opt/granary
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/packages packages
RUN ln -s /opt/granary/packages/cli/bin/granary.mjs /usr/local/bin/granary
ENV NODE_ENV=production GRANARY_HOME=/data
USER granary
VOLUME /data
EXPOSE 9000 4600
STOPSIGNAL SIGTERM
ENTRYPOINT ["granary"]
CMD ["bridge", "--listen", "0.0.0.0:9000", "--log-level", "info"]
