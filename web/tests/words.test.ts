import { describe, expect, it } from "vitest";
import * as words from "../src/frame/words";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const later = (seconds: number) => new Date(NOW + seconds * 1000).toISOString();
const frame = (more: Partial<words.Frame>) => ({ variant: 1, state: "RUNNING", ...more }) as words.Frame;

describe("what is going on", () => {
  it.each([
    [{ state: "PENDING", queuePosition: 1, retryCount: 0 }, "Next in line"],
    [{ state: "PENDING", queuePosition: 7, retryCount: 0 }, "Number 7 in line"],
    [{ state: "PENDING", queuePosition: null, retryCount: 0 }, "In line"],
    [{ state: "PENDING", queuePosition: 1, retryCount: 1 }, "Trying again shortly"],
    [{ state: "RUNNING", stage: "GENERATING" }, "Painting"],
    [{ state: "RUNNING", stage: "STORING" }, "Framing"],
    [{ state: "RUNNING", stage: null }, "Painting"],
  ] as const)("%o: %s", (job, expected) => {
    expect(words.stageWords(frame(job))).toBe(expected);
  });

  it("says who paints, and why it is another one", () => {
    const asked = (reason: NonNullable<words.Frame["fallOver"]>["reason"]) =>
      words.painterWords(frame({ model: "brush-1", fallOver: { requestedProvider: "gemini", reason } }));
    expect(asked("OVERLOADED")).toBe("brush-1, because gemini was busy");
    expect(asked("PAUSED")).toBe("brush-1, because gemini has been failing");
    expect(words.painterWords(frame({ model: "brush-1", fallOver: null }))).toBe("brush-1");
  });

  it("says how sure the progress is", () => {
    expect(words.progressWords(frame({ progress: 40, progressKind: "MEASURED" }))).toBe("40 %");
    expect(words.progressWords(frame({ progress: 40, progressKind: "ESTIMATED" }))).toBe("about 40 %");
    expect(words.progressWords(frame({ progress: 0, progressKind: "INDETERMINATE" }))).toBe("");
  });

  it.each([
    [12, 20, "about 12 s"],
    [43, 60, "about 45 s"],
    [200, 300, "about 3 min"],
    [-1, 5, "any moment"],
    [-9, -1, "longer than usual"],
  ])("a frame due in %d s (nine in ten: %d s) takes %s", (p50, p90, expected) => {
    expect(words.etaWords({ p50At: later(p50), p90At: later(p90), sampleSize: 9 }, NOW)).toBe(expected);
  });

  it("promises nothing without history", () => {
    expect(words.etaWords(null, NOW)).toBe("");
  });

  it.each([
    [10, "just now"],
    [300, "5 minutes ago"],
    [7_200, "2 hours ago"],
    [86_400, "yesterday"],
    [40 * 86_400, "Mar 22, 2026"],
  ])("%d s before now is %s", (seconds, expected) => {
    expect(words.ago(later(-seconds), NOW)).toBe(expected);
  });

  it("reads sizes", () => {
    expect(words.pixelsOf("SQUARE_512")).toEqual({ width: 512, height: 512 });
    expect(words.pixelsOf("LANDSCAPE_1536X1024")).toEqual({ width: 1536, height: 1024 });
  });

  it("announces states and nothing in between", () => {
    const before = frame({ state: "RUNNING", progress: 10 });
    expect(words.newsOf(before, { ...before, progress: 90 }, 3)).toBe("");
    expect(words.newsOf(before, { ...before, state: "SUCCESS" }, 3)).toBe("Frame 2 of 3 is finished.");
    const error = { code: "TIMEOUT", message: "It took too long.", retryable: true } as words.Frame["error"];
    expect(words.newsOf(before, { ...before, state: "FAILED", error }, 1)).toBe(
      "The frame failed. It took too long.",
    );
  });
});
