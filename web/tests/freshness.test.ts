import { describe, expect, it } from "vitest";
import { Freshness } from "../src/api/freshness";

const job = (version: number, more: object = {}) => ({
  __typename: "Job",
  id: "j1",
  version,
  state: version < 9 ? "RUNNING" : "SUCCESS",
  progress: version * 10,
  ...more,
});

describe("lower versions never overwrite higher ones", () => {
  it("passes what is newer, and what is the same, without a copy", () => {
    const freshness = new Freshness();
    const first = { jobProgress: job(3) };
    const renewed = { jobProgress: { ...job(3), image: { url: "signed again" } } };
    expect(freshness.refresh(first)).toBe(first);
    expect(freshness.refresh(renewed)).toBe(renewed);
    expect(freshness.refresh({ jobProgress: job(4) }).jobProgress.progress).toBe(40);
  });

  it("fills an older job, wherever it is, from the newest that was seen", () => {
    const freshness = new Freshness();
    freshness.refresh({ jobProgress: job(9, { image: { url: "u" } }) });
    const late = { generations: { edges: [{ node: { id: "g", jobs: [job(2, { image: null })] } }] } };
    const [seen] = freshness.refresh(late).generations.edges[0]!.node.jobs;
    expect(seen).toEqual(job(9, { image: { url: "u" } }));
    expect(late.generations.edges[0]!.node.jobs[0]!.version).toBe(2);
  });

  it("gives an older job only the fields that it asked for, and never its links", () => {
    const freshness = new Freshness();
    freshness.refresh({ a: job(5, { preview: { url: "p" }, generation: { id: "g", jobs: [] } }) });
    const late = freshness.refresh({ a: job(4, { generation: { id: "g", prompt: "a sea" } }) });
    expect(late.a).toEqual(job(5, { generation: { id: "g", prompt: "a sea" } }));
  });

  it("keeps jobs apart and leaves everything else alone", () => {
    const freshness = new Freshness();
    freshness.refresh({ a: job(5) });
    const other = { a: { ...job(1), id: "j2" }, viewer: null, list: [1, "two", null] };
    expect(freshness.refresh(other)).toBe(other);
  });

  it("forgets the oldest jobs", () => {
    const freshness = new Freshness();
    freshness.refresh({ a: job(5) });
    for (let index = 0; index < 2_000; index++) freshness.refresh({ a: { ...job(1), id: `x${index}` } });
    expect(freshness.refresh({ a: job(2) }).a.version).toBe(2);
  });
});
