import type { CodegenConfig } from "@graphql-codegen/cli";

/** Typed documents from the contract. `npm run codegen` writes them, `npm run check` compares. */
const config: CodegenConfig = {
  schema: "../schema/schema.graphql",
  documents: ["src/graphql/documents/*.graphql"],
  generates: {
    "src/graphql/generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        enumsAsTypes: true,
        useTypeImports: true,
        strictScalars: true,
        // graphcache identifies every object by its type and id.
        dedupeFragments: true,
        scalars: { ID: "string", DateTime: "string", File: "File" },
      },
    },
  },
};

export default config;
