import { defineConfig } from "vite";
import react from "@vitejs/plugin-react";
import { compress } from "./scripts/compress.ts";

/** Its editor is two megabytes: the best brotli would take half a minute for a page on loopback. */
const QUICK = 5;

export default defineConfig({
  root: "graphiql",
  base: "/graphiql/",
  plugins: [react(), compress(QUICK)],
  worker: { format: "es" },
  build: {
    outDir: "../../transport/built/graphiql",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 10_000,
  },
});
