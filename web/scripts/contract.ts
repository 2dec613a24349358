import { readdirSync, readFileSync } from "node:fs";
import { buildSchema, parse, validate } from "graphql";
import type { Plugin } from "vite";

const at = (path: string) => new URL(`../${path}`, import.meta.url);

/**
 * Stops the build when the page asks for something that the schema does not have.
 *
 * That the types are the schema's, to the letter, is what `npm run check` compares: it needs the
 * code generator, and building the page should not have to install that.
 */
export function contract(): Plugin {
  return {
    name: "contract",
    apply: "build",
    buildStart() {
      const schema = buildSchema(readFileSync(at("../schema/schema.graphql"), "utf8"));
      const folder = at("src/graphql/documents/");
      const documents = readdirSync(folder)
        .filter((name) => name.endsWith(".graphql"))
        .map((name) => readFileSync(new URL(name, folder), "utf8"));
      for (const error of validate(schema, parse(documents.join("\n")))) {
        this.error(`The page and schema/schema.graphql disagree: ${error.message}`);
      }
    },
  };
}
