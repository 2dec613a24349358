/**
 * Lower versions never overwrite higher ones.
 *
 * A job arrives by several roads: pushed by the subscription, in an answer to a mutation, in a
 * list that was read a moment earlier. The roads have different lengths, so an older picture of a
 * job can arrive after a newer one. Every result passes here on its way into the cache: a job that
 * is older than what was seen already is filled in from that.
 */
type Json = unknown;
type Entity = Record<string, Json>;

/** How many jobs are remembered; the oldest are forgotten, they ended long ago. */
const MOST = 2_000;
/** Links to other entities are not covered by a job's version. */
const LINKS = new Set(["generation", "regeneratedFrom", "regenerations"]);

export class Freshness {
  readonly #newest = new Map<string, Entity>();

  /** The same data, with every outdated job brought up to date. */
  refresh<T>(data: T): T {
    return this.#walk(data as Json) as T;
  }

  #walk(value: Json): Json {
    if (Array.isArray(value)) return mapped(value, (item) => this.#walk(item));
    if (typeof value !== "object" || value === null) return value;
    const walked = mappedValues(value as Entity, (item) => this.#walk(item));
    return isJob(walked) ? this.#newer(walked) : walked;
  }

  #newer(job: Entity & { id: string; version: number }): Entity {
    const seen = this.#newest.get(job.id);
    if (!seen || (seen["version"] as number) <= job.version) {
      this.#remember(job.id, { ...seen, ...job });
      return job;
    }
    const filled: Entity = { ...job };
    for (const key of Object.keys(job)) {
      if (key in seen && !LINKS.has(key)) filled[key] = seen[key];
    }
    return filled;
  }

  #remember(id: string, job: Entity): void {
    this.#newest.delete(id);
    this.#newest.set(id, job);
    if (this.#newest.size > MOST) {
      const [oldest] = this.#newest.keys();
      if (oldest !== undefined) this.#newest.delete(oldest);
    }
  }
}

function isJob(value: Entity): value is Entity & { id: string; version: number } {
  return (
    value["__typename"] === "Job" &&
    typeof value["id"] === "string" &&
    typeof value["version"] === "number"
  );
}

/** Like `map`, but the same array when nothing has changed: results are shared and large. */
function mapped(items: Json[], change: (item: Json) => Json): Json[] {
  const next = items.map(change);
  return next.some((item, index) => item !== items[index]) ? next : items;
}

function mappedValues(entity: Entity, change: (item: Json) => Json): Entity {
  let next = entity;
  for (const [key, value] of Object.entries(entity)) {
    const changed = change(value);
    if (changed === value) continue;
    if (next === entity) next = { ...entity };
    next[key] = changed;
  }
  return next;
}
