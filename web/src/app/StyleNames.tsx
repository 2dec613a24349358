import { createContext, useContext } from "react";

/** What people call the styles, by slug. */
export const StyleNames = createContext<ReadonlyMap<string, string>>(new Map());

export function useStyleName(slug: string): string {
  return useContext(StyleNames).get(slug) ?? slug;
}
