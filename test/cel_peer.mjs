// Evaluates CEL with npm's @bufbuild/cel: [[expression, variables], ...] on standard input, a list of
// {value} or {error} on standard output. For test_guard.py, which holds cel.py to it.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.argv[2] + "/");
const { run } = require("@bufbuild/cel");
const { strings } = require("@bufbuild/cel/ext");

const plain = (v) => typeof v === "bigint" ? Number(v) : v;
const typed = (v) => Number.isInteger(v) ? BigInt(v) : Array.isArray(v) ? v.map(typed)
  : v && typeof v === "object"
    ? new Map(Object.entries(v).map(([k, x]) => [k, typed(x)])) : v;

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0)).map(([expression, variables]) => {
  const bound = Object.fromEntries(Object.entries(variables).map(([k, v]) => [k, typed(v)]));
  try {
    const value = run(expression, bound, { funcs: strings });
    return value instanceof Error || value?.constructor?.name === "CelError"
      ? { error: String(value) } : { value: plain(value) };
  } catch (e) {
    return { error: String(e) };
  }
})));
