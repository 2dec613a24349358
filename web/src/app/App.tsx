import { lazy, Suspense, useMemo } from "react";
import { useQuery } from "urql";
import { problemOf } from "../api/problems";
import { signInNeeded } from "../api/session";
import { CompareDialog } from "../frame/CompareDialog";
import { FrameDialog } from "../frame/FrameDialog";
import { PinnedBar } from "../frame/PinnedBar";
import { StudioDocument } from "../graphql/generated/graphql";
import { Scene } from "../scene/Scene";
import { Sketchbook } from "../sketchbook/Sketchbook";
import { Composer } from "../studio/Composer";
import { spoken } from "../ui/announcer";
import { useRoute } from "../ui/router";
import { useStore } from "../ui/store";
import { Toasts } from "../ui/Toasts";
import { Banner } from "./Banner";
import { Header } from "./Header";
import { SignIn } from "./SignIn";
import { StyleNames } from "./StyleNames";

/** For few people: who is no operator never loads it. */
const OperatorPage = lazy(() => import("../operator/OperatorPage"));

/** The whole page. */
export function App() {
  const mustSignIn = useStore(signInNeeded);
  return (
    <>
      <Scene />
      {mustSignIn ? <SignIn /> : <Studio />}
      <Toasts />
      <p className="visually-hidden" role="status" data-testid="spoken">
        {useStore(spoken)}
      </p>
    </>
  );
}

function Studio() {
  const [{ data, fetching, error }] = useQuery({ query: StudioDocument });
  const route = useRoute();
  const styleNames = useMemo(
    () => new Map(data?.styles.map((style) => [style.slug, style.name])),
    [data?.styles],
  );
  return (
    <StyleNames value={styleNames}>
      <Header viewer={data?.viewer} />
      <Banner />
      {route.view === "operator" ? (
        <Suspense fallback={<main aria-busy="true" />}>
          <OperatorPage />
        </Suspense>
      ) : (
        <main>
          <div className="hero">
            <h1>What shall we paint?</h1>
            <p>A photo or a sentence becomes a painting, and you watch the brush.</p>
          </div>
          {data ? <Composer studio={data} /> : null}
          {!data && fetching ? (
            <div className="composer composer-waiting" aria-busy="true" />
          ) : null}
          {!data && !fetching && error ? (
            <p className="composer empty">{problemOf(error, 0).message}</p>
          ) : null}
          {data ? <Sketchbook /> : null}
        </main>
      )}
      <PinnedBar />
      {route.view === "frame" ? <FrameDialog id={route.id} /> : null}
      {route.view === "compare" ? <CompareDialog ids={route.ids} /> : null}
    </StyleNames>
  );
}
