import type { StudioQuery } from "../graphql/generated/graphql";

interface StylePickerProps {
  styles: StudioQuery["styles"];
  value: string;
  onChange: (slug: string) => void;
}

/** The ways to paint, by picture. */
export function StylePicker({ styles, value, onChange }: StylePickerProps) {
  const chosen = styles.find((style) => style.slug === value);
  return (
    <fieldset className="styles">
      <legend>Style</legend>
      <div className="style-row">
        {styles.map((style) => (
          <label key={style.slug} className="style">
            <input
              type="radio"
              name="style"
              className="visually-hidden"
              value={style.slug}
              checked={style.slug === value}
              onChange={() => onChange(style.slug)}
            />
            <span className="style-picture">
              {style.sampleUrl ? <img src={style.sampleUrl} alt="" width={320} height={320} /> : null}
            </span>
            <span className="style-name">{style.name}</span>
          </label>
        ))}
      </div>
      <p className="hint">{chosen?.description}</p>
    </fieldset>
  );
}
