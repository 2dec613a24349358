import { IconButton } from "../ui/Button";
import { IconMoon, IconSun } from "../ui/icons";
import { useStore } from "../ui/store";
import { switchTheme, theme } from "../ui/theme";

/** The name, who is here, and day or night. */
export function Header({ viewer }: { viewer: string | undefined }) {
  const isDark = useStore(theme) === "dark";
  return (
    <header className="top">
      <a className="wordmark" href="/">
        Mintari
      </a>
      <div className="top-right">
        {viewer ? <span className="viewer">{viewer}</span> : null}
        <IconButton
          label={isDark ? "Switch to day" : "Switch to night"}
          icon={isDark ? <IconSun /> : <IconMoon />}
          onClick={switchTheme}
        />
      </div>
    </header>
  );
}
