/** Pause before try number `attempt` (from 0), milliseconds: doubling, capped, with jitter. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(FIRST_MS * 2 ** attempt, LONGEST_MS);
  // Half is fixed, half is chance: a thousand pages must not come back in the same instant.
  return full / 2 + (full / 2) * random();
}

const FIRST_MS = 400;
const LONGEST_MS = 8_000;
