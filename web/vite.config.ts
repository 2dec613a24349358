import { defineConfig } from "vite";
import react from "@vitejs/plugin-react";
import { compress } from "./scripts/compress.ts";
import { contract } from "./scripts/contract.ts";
import { documents } from "./scripts/documents.ts";
import * as generated from "./src/graphql/generated/graphql.ts";

/** Where `vite` (hot reload) finds the API. */
const api = process.env["MINTARI_API_URL"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react(), contract(), documents(generated), compress()],
  build: {
    // Inside the Python package that serves it, so that a wheel and a checkout look alike.
    outDir: "../transport/built/page",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  // Not graphiql/: its workers cannot be bundled in advance.
  optimizeDeps: { entries: ["index.html"] },
  server: {
    proxy: Object.fromEntries(
      ["/graphql", "/uploads", "/dev", "/files", "/styles"].map((path) => [
        path,
        // The API takes sockets from its own origin only.
        { target: api, ws: path === "/graphql", changeOrigin: true, rewriteWsOrigin: true },
      ]),
    ),
  },
});
