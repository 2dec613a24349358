import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Provider } from "urql";
import "./styles/index.css";
import { openClient } from "./api/client";
import { watchNetwork } from "./api/reachability";
import { takeTokenFromAddress } from "./api/session";
import { App } from "./app/App";
import { startTheme } from "./ui/theme";

takeTokenFromAddress(); // before anything asks for a token
startTheme();
watchNetwork();
const client = openClient();

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Provider value={client}>
        <App />
      </Provider>
    </StrictMode>,
  );
}
