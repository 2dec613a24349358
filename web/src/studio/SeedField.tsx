import { useId } from "react";
import { IconButton } from "../ui/Button";
import { IconDice, IconLock } from "../ui/icons";
import type { Draft } from "./draft";

interface SeedFieldProps {
  draft: Draft;
  change: (change: Partial<Draft>) => void;
  problem: string;
}

/** The seed: any, unless one is typed. Locked, later frames of a picture keep its composition. */
export function SeedField({ draft, change, problem }: SeedFieldProps) {
  const id = useId();
  return (
    <div className="seed">
      <label htmlFor={id}>Seed</label>
      <div className="seed-row">
        <input
          id={id}
          className="field"
          inputMode="numeric"
          autoComplete="off"
          placeholder="any"
          value={draft.seed}
          aria-invalid={problem !== ""}
          aria-describedby={`${id}-refusal`}
          onChange={(event) => change({ seed: event.target.value })}
        />
        <IconButton
          label="Roll a seed"
          icon={<IconDice />}
          onClick={() => change({ seed: String(Math.floor(Math.random() * 1_000_000)) })}
        />
        <IconButton
          label="Keep the seed when painting again"
          icon={<IconLock />}
          pressed={draft.lockSeed}
          onClick={() => change({ lockSeed: !draft.lockSeed })}
        />
      </div>
      <p className="refusal" id={`${id}-refusal`} role="alert">
        {problem}
      </p>
    </div>
  );
}
