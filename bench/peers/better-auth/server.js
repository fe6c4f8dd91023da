// Better Auth on node:http and PostgreSQL, with a process for each core.

import cluster from "node:cluster";
import { createServer } from "node:http";
import { availableParallelism } from "node:os";

import { hash, verify } from "@node-rs/argon2";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import pg from "pg";

// Argon2id; what all who use it here have.
const parameters = { algorithm: 2, memoryCost: 19456, timeCost: 2, parallelism: 1 };

const options = {
  // Whoever shows a cookie has to come from this origin.
  baseURL: "http://bench.example",
  // Nothing that is signed with it outlives the benchmark.
  secret: "a secret of the benchmark, 5b1f0c2e9d7a4836",
  database: new pg.Pool({ connectionString: process.env.DATABASE_URL }),
  emailAndPassword: {
    enabled: true,
    password: {
      hash: (password) => hash(password, parameters),
      verify: ({ hash, password }) => verify(hash, password),
    },
  },
  session: {
    // GET only looks at a session; POST refreshes it, each time instead of once a day.
    deferSessionRefresh: true,
    updateAge: 0,
  },
  rateLimit: { enabled: false },
  logger: { disabled: true },
  telemetry: { enabled: false },
};

if (process.argv[2] === "migrate") {
  await (await getMigrations(options)).runMigrations();
  await options.database.end();
} else if (cluster.isPrimary) {
  for (let worker = 0; worker < availableParallelism(); worker += 1) cluster.fork();
  // A benchmark of fewer processes than it says would be a wrong one.
  cluster.on("exit", () => process.exit(1));
} else {
  createServer(toNodeHandler(betterAuth(options))).listen(Number(process.env.PORT), "127.0.0.1");
}
