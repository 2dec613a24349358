import type { ReactNode } from "react";

interface ChoicesProps<T extends string | number> {
  legend: string;
  name: string;
  options: readonly { value: T; label: ReactNode; says: string }[];
  value: T;
  onChange: (value: T) => void;
}

/** A few short options side by side: one of them. */
export function Choices<T extends string | number>(props: ChoicesProps<T>) {
  const { legend, name, options, value, onChange } = props;
  return (
    <fieldset className="choices">
      <legend>{legend}</legend>
      <div className="choice-row">
        {options.map((option) => (
          <label key={option.value} className="choice" title={option.says}>
            <input
              type="radio"
              name={name}
              className="visually-hidden"
              aria-label={option.says}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
            />
            <span aria-hidden="true">{option.label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
