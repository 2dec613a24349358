import { obstacle } from "../api/reachability";
import { IconCloudOff } from "../ui/icons";
import { useStore } from "../ui/store";

const WORDS = {
  none: "",
  offline: "You are offline. What is being painted goes on; this page catches up when you are back.",
  server: "Mintari cannot be reached right now. This page keeps trying and catches up by itself.",
};

/** Says what is in the way while the API cannot be reached. */
export function Banner() {
  const now = useStore(obstacle);
  return (
    <div className="banner" role="status" data-shown={now !== "none"} data-testid="banner">
      {now === "none" ? null : (
        <p>
          <IconCloudOff /> {WORDS[now]}
        </p>
      )}
    </div>
  );
}
