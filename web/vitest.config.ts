import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    environment: "node",
    // As in the built page; else the cache's hints for developers fill the output.
    env: { NODE_ENV: "production" },
  },
});
