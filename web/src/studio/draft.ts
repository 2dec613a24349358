/** What the form holds. Kept for the tab, so that a reload loses no words. */
import { useEffect, useState } from "react";
import type { ImageSize } from "../graphql/generated/graphql";

export interface Draft {
  prompt: string;
  style: string;
  size: ImageSize;
  variantCount: number;
  seed: string;
  lockSeed: boolean;
  provider: string;
}

const KEPT_AS = "mintari.draft";

export const EMPTY: Draft = {
  prompt: "",
  style: "ghibli",
  size: "SQUARE_1024",
  variantCount: 3,
  seed: "",
  lockSeed: false,
  provider: "",
};

export function useDraft(): [Draft, (change: Partial<Draft>) => void] {
  const [draft, setDraft] = useState<Draft>(() => readDraft(sessionStorage.getItem(KEPT_AS)));
  useEffect(() => sessionStorage.setItem(KEPT_AS, JSON.stringify(draft)), [draft]);
  return [draft, (change) => setDraft((now) => ({ ...now, ...change }))];
}

/** A kept draft; what an older version of the page has kept is taken as far as it fits. */
export function readDraft(kept: string | null): Draft {
  try {
    const found = JSON.parse(kept ?? "{}") as Record<string, unknown>;
    const fitting = Object.entries(EMPTY).map(([name, value]) => [
      name,
      typeof found[name] === typeof value ? found[name] : value,
    ]);
    return Object.fromEntries(fitting) as unknown as Draft;
  } catch {
    return EMPTY;
  }
}

const MAX_SEED = 2_147_483_647;

/** The seed that was typed: null for "any", undefined for something that is no seed. */
export function readSeed(text: string): number | null | undefined {
  if (text.trim() === "") return null;
  const seed = Number(text);
  return Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED ? seed : undefined;
}
