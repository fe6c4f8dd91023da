// Verifies a token with jose. Its arguments are the algorithm, the URL of the key set or the shared secret, and
// the file of the token. It ends with 0 if the token is good, and with 3 if its signature is not.

import { readFileSync } from "node:fs";
import { argv, exit } from "node:process";

import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const [algorithm, keys, file] = argv.slice(2);
const key = algorithm.startsWith("HS") ? new TextEncoder().encode(keys) : createRemoteJWKSet(new URL(keys));
try {
  await jwtVerify(readFileSync(file, "utf8"), key, { algorithms: [algorithm] });
} catch (error) {
  if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
  exit(3);
}
