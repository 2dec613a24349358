import type { Client } from "@urql/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { makeSubject } from "wonka";
import { follow } from "../src/api/follow";

type Result = { error?: { graphQLErrors: object[] } };

/** A client whose subscriptions the test ends. */
function fakeClient() {
  const started: ReturnType<typeof makeSubject<Result>>[] = [];
  const query = vi.fn(() => ({ toPromise: () => Promise.resolve() }));
  const subscription = () => {
    const subject = makeSubject<Result>();
    started.push(subject);
    return subject.source;
  };
  return { client: { query, subscription } as unknown as Client, query, started };
}

describe("following a grid", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("starts again when it ends too early, after pauses that grow", () => {
    const { client, started } = fakeClient();
    const stop = follow(client, ["j1"]);
    started[0]!.complete();
    expect(started).toHaveLength(1);
    vi.advanceTimersByTime(400);
    expect(started).toHaveLength(2);
    started[1]!.complete();
    vi.advanceTimersByTime(399);
    expect(started).toHaveLength(2);
    vi.advanceTimersByTime(401);
    expect(started).toHaveLength(3);
    stop();
    vi.advanceTimersByTime(60_000);
    expect(started).toHaveLength(3);
  });

  it("stops, and asks for the list, when a job is gone", () => {
    const { client, query, started } = fakeClient();
    follow(client, ["j1"]);
    started[0]!.next({ error: { graphQLErrors: [{ extensions: { code: "JOB_NOT_FOUND" } }] } });
    started[0]!.complete();
    vi.advanceTimersByTime(60_000);
    expect(started).toHaveLength(1);
    expect(query).toHaveBeenCalledOnce();
  });
});
