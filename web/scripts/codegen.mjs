// Writes the typed documents. `--check` writes nothing and fails when something would change.
import { readFileSync, writeFileSync } from "node:fs";
import { generate, loadCodegenConfig } from "@graphql-codegen/cli";

const check = process.argv.includes("--check");
const { config } = await loadCodegenConfig({ configFilePath: "codegen.ts" });
const files = await generate({ ...config, silent: true, errorsOnly: true }, false);
let stale = 0;
for (const { filename, content } of files) {
  let before = "";
  try {
    before = readFileSync(filename, "utf8");
  } catch {
    // It is new.
  }
  if (before === content) continue;
  stale += 1;
  if (check) console.error(`${filename} is not what the schema says: npm run codegen`);
  else writeFileSync(filename, content);
}
process.exitCode = check && stale ? 1 : 0;
