import { useId, type ReactNode } from "react";

interface TableProps {
  title: string;
  heads: readonly string[];
  rows: readonly { key: string; cells: readonly ReactNode[] }[];
  /** What to say when there are no rows. */
  empty?: string | undefined;
  controls?: ReactNode;
}

/** A section with a table; a narrow window scrolls it, also with the keyboard. */
export function Table({ title, heads, rows, empty, controls }: TableProps) {
  const id = useId();
  return (
    <section>
      <h2 id={id}>{title}</h2>
      {controls ? <div className="controls">{controls}</div> : null}
      {rows.length ? (
        // What scrolls must be reachable by the keyboard.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div className="scroller" role="region" aria-labelledby={id} tabIndex={0}>
          <table>
            <thead>
              <tr>
                {heads.map((head) => (
                  <th key={head} scope="col">
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ key, cells }) => (
                <tr key={key}>
                  {cells.map((cell, column) => (
                    <td key={heads[column]}>{cell}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <p className="none">{empty}</p>
      )}
    </section>
  );
}
