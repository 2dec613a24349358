import { createHash } from "node:crypto";
import { formatDocument, stringifyDocument, type TypedDocumentNode } from "@urql/core";
import type { Plugin } from "vite";

/** The texts of operations as the page's client sends them, by their SHA-256. */
function textsByHash(nodes: TypedDocumentNode[]): Record<string, string> {
  const texts = nodes
    .filter(({ definitions }) => definitions.some(({ kind }) => kind === "OperationDefinition"))
    // The cache asks for every object's type, too.
    .map((node) => stringifyDocument(formatDocument(node) as TypedDocumentNode));
  return Object.fromEntries(
    texts.map((text) => [createHash("sha256").update(text).digest("hex"), text]),
  );
}

/** Writes documents.json beside the page, from generated code: the API registers what is in it. */
export function documents(generated: object): Plugin {
  return {
    name: "documents",
    apply: "build",
    generateBundle() {
      const nodes = Object.values(generated) as TypedDocumentNode[];
      const source = JSON.stringify(textsByHash(nodes), null, 1);
      this.emitFile({ type: "asset", fileName: "documents.json", source });
    },
  };
}
