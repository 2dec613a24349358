import { pixelsOf, sizeWords } from "../frame/words";
import type { ImageSize } from "../graphql/generated/graphql";

/** A size as an option: its shape, drawn to scale, and its pixels. */
export function sizeOption(size: ImageSize) {
  const { width, height } = pixelsOf(size);
  const unit = 22 / 1536;
  const [across, down] = [Math.round(width * unit), Math.round(height * unit)];
  const kind = width > height ? "Landscape" : width < height ? "Portrait" : "Square";
  return {
    value: size,
    says: `${kind}, ${sizeWords(size)} pixels`,
    label: (
      <>
        <svg className="shape" viewBox="0 0 24 24">
          <rect x={12 - across / 2} y={12 - down / 2} width={across} height={down} rx={2} />
        </svg>
        <span className="choice-words">{width === height ? width : sizeWords(size).replaceAll(" ", "")}</span>
      </>
    ),
  };
}
