/** GraphiQL, our own copy: works without the internet, subscribes over the websocket. */
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./style.css";
import { createGraphiQLFetcher, type Fetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createClient } from "graphql-ws";
import { createRoot } from "react-dom/client";
import { tabs } from "./tabs";

let headers: Record<string, string> = {};

/** A socket per subscription, with the token that the headers tab has at that moment. */
const wsClient = createClient({
  url: `${location.origin.replace(/^http/, "ws")}/graphql`,
  connectionParams: () => ({ authorization: headers["Authorization"] ?? "" }),
});
const send = createGraphiQLFetcher({ url: "/graphql", wsClient });
const response = await fetch("/dev/token", { method: "POST" });
const { token } = (await response.json()) as { token: string };
const own = { Authorization: `Bearer ${token}` };
const shownHeaders = JSON.stringify(own, null, 2);

const fetcher: Fetcher = (params, options) => {
  // Tabs are kept over a reload, their headers are not: without any, the token is filled in.
  headers = { ...own, ...(options?.headers as Record<string, string> | undefined) };
  return send(params, { ...options, headers });
};

const root = document.getElementById("graphiql");
if (root) {
  createRoot(root).render(
    <GraphiQL
      fetcher={fetcher}
      initialHeaders={shownHeaders}
      initialVariables={tabs[0]?.variables ?? ""}
      defaultTabs={tabs.map((tab) => ({ ...tab, headers: shownHeaders }))}
      defaultEditorToolsVisibility="variables"
    >
      <GraphiQL.Logo>Mintari</GraphiQL.Logo>
    </GraphiQL>,
  );
}
