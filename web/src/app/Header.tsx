import type { StudioQuery } from "../graphql/generated/graphql";
import { IconButton } from "../ui/Button";
import { IconMoon, IconSun } from "../ui/icons";
import { useStore } from "../ui/store";
import { switchTheme, theme } from "../ui/theme";

/** The name, who is here, and day or night. */
export function Header({ viewer }: { viewer: StudioQuery["viewer"] | undefined }) {
  const isDark = useStore(theme) === "dark";
  return (
    <header className="top">
      <a className="wordmark" href="/">
        Mintari
      </a>
      <div className="top-right">
        {viewer?.isOperator ? <a href="/?operator">Operating</a> : null}
        {viewer ? <span className="viewer">{viewer.id}</span> : null}
        <IconButton
          label={isDark ? "Switch to day" : "Switch to night"}
          icon={isDark ? <IconSun /> : <IconMoon />}
          onClick={switchTheme}
        />
      </div>
    </header>
  );
}
