# The version that package.json brings along for everybody without Docker.
FROM node:26.10.0-slim AS node

FROM node AS build
WORKDIR /app
COPY package.json package-lock.json ./
# With optional packages, because the compiler's own binary is one of them. Without install scripts: npm would run
# node-gyp for better-sqlite3, which brings its binaries along, and the slim image has no Python for that.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json mikro-orm.config.ts ./
COPY src ./src
RUN npm run build

FROM node AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Without optional packages: they are the Node of package.json, and the image has its own.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node
# A container is reached from outside itself; what is published of it is said where it is run.
ENV HOST=0.0.0.0
WORKDIR /app
# The only place that is written to. A named volume takes over the owner of the folder that it covers.
RUN mkdir data && chown node:node data
COPY package.json schema.graphql ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
VOLUME /app/data
EXPOSE 4000
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 4000}/health/ready`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/src/main.js"]
