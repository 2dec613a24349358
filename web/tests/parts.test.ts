import { describe, expect, it } from "vitest";
import { CombinedError } from "@urql/core";
import { backoffMs } from "../src/api/backoff";
import { codeOf, problemOf } from "../src/api/problems";
import { isExpired, tokenInFragment } from "../src/api/session";
import { EMPTY, readDraft, readSeed } from "../src/studio/draft";
import { addressOf, parseRoute, type Route } from "../src/ui/router";

const jwt = (claims: object) => `h.${btoa(JSON.stringify(claims)).replace(/=+$/, "")}.s`;

describe("addresses", () => {
  it.each<Route>([
    { view: "studio" },
    { view: "frame", id: "0193-a" },
    { view: "compare", ids: ["a b", "c"] },
  ])("%o comes back from its address", (route) => {
    expect(parseRoute(new URL(addressOf(route), "http://x").search)).toEqual(route);
  });

  it("takes half a comparison for none", () => {
    expect(parseRoute("?compare=a")).toEqual({ view: "studio" });
  });
});

describe("tokens", () => {
  it("are found in the fragment", () => {
    expect(tokenInFragment("#token=a.b.c")).toBe("a.b.c");
    expect(tokenInFragment("#other=1")).toBeUndefined();
  });

  it("count as expired ten seconds early", () => {
    expect(isExpired(jwt({ exp: 1_000 }), 989)).toBe(false);
    expect(isExpired(jwt({ exp: 1_000 }), 991)).toBe(true);
  });

  it("of another kind are left for the API to judge", () => {
    expect(isExpired("opaque", 5)).toBe(false);
    expect(isExpired(jwt({}), 5)).toBe(false);
  });
});

describe("the draft", () => {
  it("survives what an older page has kept, and nonsense", () => {
    expect(readDraft('{"prompt":"a sea","variantCount":"many","gone":1}')).toEqual({ ...EMPTY, prompt: "a sea" });
    expect(readDraft("{")).toEqual(EMPTY);
    expect(readDraft(null)).toEqual(EMPTY);
  });

  it.each([
    ["", null],
    [" 7 ", 7],
    ["2147483647", 2_147_483_647],
    ["2147483648", undefined],
    ["-1", undefined],
    ["1.5", undefined],
    ["seven", undefined],
  ])("reads the seed %o as %o", (text, seed) => {
    expect(readSeed(text)).toBe(seed);
  });
});

describe("trouble", () => {
  const refused = new CombinedError({
    graphQLErrors: [
      { message: "10 requests …", extensions: { code: "RATE_LIMITED", limit: 10, retryAfterSeconds: 12 } },
    ],
  });

  it("says when it will work again", () => {
    expect(codeOf(refused)).toBe("RATE_LIMITED");
    expect(problemOf(refused, 1_000)).toEqual({
      title: "One moment, please",
      message: "10 requests …",
      retryAt: 13_000,
    });
  });

  it("never shows a network error's own words", () => {
    const cut = new CombinedError({ networkError: new TypeError("Failed to fetch") });
    expect(problemOf(cut, 0).message).not.toContain("fetch");
  });

  it("pauses longer each time, up to a bound, never in step", () => {
    const longest = [0, 1, 2, 9].map((attempt) => backoffMs(attempt, () => 1));
    expect(longest).toEqual([400, 800, 1_600, 8_000]);
    expect(backoffMs(1, () => 0)).toBe(400);
  });
});
